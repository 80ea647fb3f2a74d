//go:build unix

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// burstReaders is the variable by which the test binary becomes a process with
// readers: the address, and how many.
const burstReaders = "HUB_BURST_READERS"

func init() {
	if addr := os.Getenv(burstReaders); addr != "" {
		if err := readBursts(addr, burstReceivers); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

const burstReceivers = 1000

// readBursts reads on n connections, and throws away what comes, until standard input
// ends.
func readBursts(addr string, n int) error {
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		if err != nil {
			return err
		}
		go io.Copy(io.Discard, bufio.NewReaderSize(struct{ io.Reader }{c}, 64<<10))
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// BenchmarkHubBurst publishes bursts of messages of 128 bytes to a thousand
// connections whose peers are in another process: by one goroutine, by one goroutine
// with Options.Collect, and by as many goroutines as there are messages. The figure
// to look at is cpu-ns/delivery: the time of the processor, in this process and in
// the system for it, for each message to each connection.
func BenchmarkHubBurst(b *testing.B) {
	for _, engine := range []string{"goroutines", "loop"} {
		for _, way := range []string{"one", "collect", "many"} {
			for _, burst := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("%s/%s/%d", engine, way, burst), func(b *testing.B) {
					opts := new(hub.Options)
					if way == "collect" {
						opts.Collect = time.Millisecond
					}
					benchmarkHubBurst(b, engine, opts, way == "many", burst)
				})
			}
		}
	}
}

func benchmarkHubBurst(b *testing.B, engine string, opts *hub.Options, many bool, burst int) {
	h := hub.New(opts)
	defer h.Shutdown(b.Context())
	listenBurst(b, engine, h)
	p := make([]byte, 128)
	publish := func() {
		if err := h.Publish("t", websocket.Binary, p); err != nil {
			b.Error(err)
		}
	}
	done := uint64(0)
	before := cpuTime(b)
	for b.Loop() {
		if many {
			var all sync.WaitGroup
			for range burst {
				all.Go(publish)
			}
			all.Wait()
		} else {
			for range burst {
				publish()
			}
		}
		done += uint64(burst * burstReceivers)
		for h.Stats().Delivered+h.Stats().Dropped < done {
			time.Sleep(200 * time.Microsecond)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(done), "cpu-ns/delivery")
	if n := h.Stats().Dropped; n > done/100 {
		b.Errorf("%d of %d messages were dropped", n, done)
	}
}

// listenBurst subscribes burstReceivers connections of another process.
func listenBurst(b *testing.B, engine string, h *hub.Hub) {
	b.Helper()
	subscribed := make(chan error, burstReceivers)
	open := func(c *websocket.Conn) {
		_, err := h.Subscribe("t", c, nil)
		subscribed <- err
	}
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		open(c)
		c.Read(b.Context()) // up to the end
	}}
	if engine == "loop" {
		loop, err := websocket.NewLoop(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { loop.Close() })
		ws = &websocket.Server{Loop: loop, Events: burstEvents(open)}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	web := &http.Server{Handler: ws}
	go web.Serve(l)
	b.Cleanup(func() { ws.Close(); web.Close() })
	readers := exec.Command(os.Args[0])
	readers.Env = append(os.Environ(), burstReaders+"="+l.Addr().String())
	readers.Stderr = os.Stderr
	stdin, err := readers.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := readers.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stdin.Close(); readers.Wait() })
	for range burstReceivers {
		if err := <-subscribed; err != nil {
			b.Fatal(err)
		}
	}
}

// burstEvents calls itself with each connection of a Loop.
type burstEvents func(*websocket.Conn)

func (e burstEvents) OnOpen(c *websocket.Conn)                               { e(c) }
func (burstEvents) OnMessage(*websocket.Conn, websocket.MessageType, []byte) {}
func (burstEvents) OnClose(*websocket.Conn, error)                           {}

// cpuTime is the processor time of this process so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
