package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
)

// benchConfig is the command line of wscat bench.
type benchConfig struct {
	target
	conns    int
	duration time.Duration
	size     int
}

// The connections are opened a few at a time: a server's queue of those that it
// has not accepted yet is short.
const dialsAtOnce = 32

// echoTimeout is how long the last echoes may take.
const echoTimeout = 10 * time.Second

func parseBench(args []string, stderr io.Writer) (*benchConfig, error) {
	cfg := new(benchConfig)
	flags := newFlagSet("wscat bench [flags] ws://HOST:PORT/PATH", stderr)
	cfg.register(flags)
	flags.IntVar(&cfg.conns, "n", 100, "how many connections to open")
	flags.DurationVar(&cfg.duration, "d", 5*time.Second, "for how long to measure, as a `time`")
	flags.IntVar(&cfg.size, "size", 32, "`bytes` of a message")
	if err := cfg.parse(flags, args); err != nil {
		return nil, err
	}
	if cfg.conns < 1 || cfg.size < 0 || cfg.duration <= 0 {
		return nil, usageError(flags, errors.New("-n and -d must be positive, and -size not negative"))
	}
	return cfg, nil
}

// bench is a measurement.
type bench struct {
	cfg    *benchConfig
	status *log.Logger
	bar    *progress
	conns  []*websocket.Conn

	mu         sync.Mutex // guards the fields below
	handshakes histogram
	roundTrips histogram
	err        error // the first one
	failed     int   // connections
}

// runBench is wscat bench. It returns the exit code.
func runBench(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseBench(args, stderr)
	if err != nil {
		return exitCode(err)
	}
	b := &bench{cfg: cfg, status: log.New(stderr, "", 0), bar: newProgress(stderr)}
	defer b.closeAll()
	start := time.Now()
	b.open(ctx)
	opened := time.Since(start)
	if len(b.conns) == 0 {
		b.status.Printf("wscat: no connection: %s", printable(fmt.Sprint(b.err)))
		return exitFailed
	}
	start = time.Now()
	b.measure(ctx)
	took := time.Since(start)

	fmt.Fprintf(stdout, "%d connections in %s, each handshake:\n", len(b.conns), short(opened))
	b.handshakes.print(stdout)
	fmt.Fprintf(stdout, "\n%d round trips of %d bytes in %s, %.0f per second:\n",
		b.roundTrips.total, cfg.size, short(took), float64(b.roundTrips.total)/took.Seconds())
	b.roundTrips.print(stdout)
	if b.err != nil {
		b.status.Printf("wscat: %d of %d connections failed: %s", b.failed, cfg.conns, printable(b.err.Error()))
		return exitFailed
	}
	return 0
}

// fail counts a connection that failed. The caller holds b.mu.
func (b *bench) fail(err error) {
	b.failed++
	if b.err == nil {
		b.err = err
	}
}

// open opens the connections.
func (b *bench) open(ctx context.Context) {
	var group sync.WaitGroup
	var done atomic.Int64
	slots := make(chan struct{}, dialsAtOnce)
	stop := b.bar.run("connecting", func() float64 { return float64(done.Load()) / float64(b.cfg.conns) })
	defer stop()
	for range b.cfg.conns {
		slots <- struct{}{}
		group.Go(func() {
			start := time.Now()
			c, _, err := b.cfg.dial(ctx, b.status)
			took := time.Since(start)
			<-slots
			done.Add(1)
			b.mu.Lock()
			defer b.mu.Unlock()
			if err != nil {
				b.fail(err)
				return
			}
			b.handshakes.add(took)
			b.conns = append(b.conns, c)
		})
	}
	group.Wait()
}

// measure makes round trips on all connections at the same time, until the
// time is over or ctx is done.
func (b *bench) measure(ctx context.Context) {
	start := time.Now()
	end, cancel := context.WithTimeout(ctx, b.cfg.duration)
	defer cancel()
	stop := b.bar.run("measuring", func() float64 { return float64(time.Since(start)) / float64(b.cfg.duration) })
	defer stop()
	var group sync.WaitGroup
	for _, c := range b.conns {
		group.Go(func() {
			var trips histogram
			err := measureConn(end, c, b.cfg.size, &trips)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.roundTrips.merge(&trips)
			if err != nil {
				b.fail(err)
			}
		})
	}
	group.Wait()
}

// measureConn makes round trips on one connection until end is done, and waits for the
// last one.
func measureConn(end context.Context, c *websocket.Conn, size int, trips *histogram) error {
	message := bytes.Repeat([]byte("x"), size)
	for end.Err() == nil {
		start := time.Now()
		ctx, cancel := context.WithDeadline(context.Background(), start.Add(echoTimeout))
		err := roundTrip(ctx, c, message)
		cancel()
		if err != nil {
			return err
		}
		trips.add(time.Since(start))
	}
	return nil
}

// roundTrip sends a message and waits for its echo.
func roundTrip(ctx context.Context, c *websocket.Conn, message []byte) error {
	if err := c.Write(ctx, websocket.Text, message); err != nil {
		return err
	}
	_, got, err := c.Read(ctx)
	if err == nil && !bytes.Equal(got, message) {
		err = fmt.Errorf("the server does not echo: %d bytes went out, and %d others came back", len(message), len(got))
	}
	return err
}

// closeAll closes all connections, at the same time.
func (b *bench) closeAll() {
	var group sync.WaitGroup
	for _, c := range b.conns {
		group.Go(func() { c.Close(websocket.StatusNormalClosure, "") }) // the measurement is over either way
	}
	group.Wait()
}
