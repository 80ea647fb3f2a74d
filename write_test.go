package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

func TestCancelledWrite(t *testing.T) {
	overBlockingRaw(t, true, Options{CloseTimeout: 100 * time.Millisecond}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go func() {
			io.ReadFull(peer, make([]byte, 100))
			cancel() // no transport takes all of the frame by itself
		}()
		err := c.Write(ctx, Binary, make([]byte, 16<<20))
		if !errors.Is(err, context.Canceled) || CloseCode(err) != StatusAbnormalClosure {
			t.Fatalf("got %v", err)
		}
		if err := c.Write(bg, Binary, nil); CloseCode(err) != StatusAbnormalClosure {
			t.Errorf("the next write: %v", err)
		}
		<-c.ended() // the peer waits for the rest
		if _, _, err := c.Read(bg); CloseCode(err) != StatusAbnormalClosure || !errors.Is(err, context.Canceled) {
			t.Errorf("the next read: %v", err)
		}
	})
}

// TestCancelledWriteBeforeItsFrame needs a transport that is full to the byte
// and stays so. A socket makes room as it likes.
func TestCancelledWriteBeforeItsFrame(t *testing.T) {
	a, peer := bufpipe.New(pipeSize)
	defer peer.Close()
	c := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	// The beginning of a frame, behind the connection's back.
	rest := frame(OpBinary, true, true, strings.Repeat("x", pipeSize))
	n, err := a.Write(rest[:pipeSize])
	if err != nil {
		t.Fatal(err)
	}
	rest = rest[n:]

	ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel()
	if err := c.Write(ctx, Text, []byte("lost")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	short, cancel1 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel1()
	gone, err := c.Writer(short, Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Write(make([]byte, fragmentSize)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	w, err := c.Writer(bg, Text)
	if err != nil {
		t.Fatal(err)
	}
	ctx2, cancel2 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel2()
	if err := c.Write(ctx2, Text, []byte("waits for the writer")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	done := make(chan error, 1)
	go func() {
		a.Write(rest)
		io.WriteString(w, "first")
		if err := w.Close(); err != nil {
			done <- err
		}
		done <- c.Write(bg, Text, []byte("after"))
	}()
	r := &frameReader{nc: peer}
	var texts []string
	for len(texts) < 2 {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Opcode == OpText {
			texts = append(texts, f.payload)
		}
	}
	if err := <-done; err != nil || fmt.Sprint(texts) != "[first after]" {
		t.Errorf("%q, %v", texts, err)
	}
}

// untilStuck writes to a peer that does not read until a write fails, and returns
// how long that one has taken.
func untilStuck(write func() error) (time.Duration, error) {
	for {
		start := time.Now()
		if err := write(); err != nil {
			return time.Since(start), err
		}
	}
}

// TestWriteTimeout: over every kind of connection a write to a peer that does not
// read ends by the clock, whatever its context.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	p := make([]byte, 64<<10)
	later, cancel := context.WithTimeout(bg, time.Hour)
	t.Cleanup(cancel)
	m, err := NewPreparedMessage(Binary, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(*Conn) error{
		"Write":         func(c *Conn) error { return c.Write(bg, Binary, p) },
		"with context":  func(c *Conn) error { return c.Write(later, Binary, p) },
		"uncompressed":  func(c *Conn) error { return c.WriteUncompressed(bg, Binary, p) },
		"prepared":      func(c *Conn) error { return c.WritePrepared(bg, m) },
		"small":         func(c *Conn) error { return c.Write(bg, Binary, p[:1000]) },
		"message of it": func(c *Conn) error { return writeAsStream(c, p) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overRaw(t, false, Options{WriteTimeout: timeout, PingInterval: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
				took, err := untilStuck(func() error { return write(c) })
				if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "Options.WriteTimeout, 100ms") {
					t.Errorf("%v", err)
				}
				if took < timeout {
					t.Errorf("the write has failed after %v", took)
				}
			})
		})
	}
}

func writeAsStream(c *Conn, p []byte) error {
	w, err := c.Writer(bg, Binary)
	if err != nil {
		return err
	}
	if _, err := w.Write(p); err != nil {
		return err
	}
	return w.Close()
}

// TestWriteTimeoutContext: a context that ends earlier is what a write ends by.
func TestWriteTimeoutContext(t *testing.T) {
	p := make([]byte, 64<<10)
	overRaw(t, false, Options{WriteTimeout: time.Hour, PingInterval: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
		defer cancel()
		if _, err := untilStuck(func() error { return c.Write(ctx, Binary, p) }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

// TestWriteTimeoutClock: the time of a write begins with the write, whenever the
// one timer was set, and goes on while it waits for its turn.
func TestWriteTimeoutClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 10 * time.Second
		a, b := bufpipe.New(100)
		defer b.Close()
		c := newConn(a, connConfig{opts: Options{WriteTimeout: timeout, PingInterval: -1}.withDefaults()})
		defer c.CloseNow()
		peer := &frameReader{nc: b}
		for _, pause := range []time.Duration{0, timeout * 6 / 10, timeout * 6 / 10, 3 * timeout, timeout - 1} {
			time.Sleep(pause)
			if err := c.Write(bg, Binary, make([]byte, 50)); err != nil {
				t.Fatalf("a write that did not have to wait: %v", err)
			}
			if _, err := peer.next(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(timeout * 6 / 10) // the timer of the last write runs

		w, err := c.Writer(bg, Text)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Write(bg, Binary, nil); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("behind another's message: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if _, err := c.Writer(bg, Binary); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("a Writer behind another's: %v after %v", err, time.Since(start))
		}
		if err := w.Close(); err != nil {
			t.Errorf("the message that was in the way: %v", err)
		}
		if f, err := peer.next(); err != nil || f.Opcode != OpText {
			t.Errorf("%+v, %v", f, err)
		}

		start = time.Now()
		if err := c.Write(bg, Binary, make([]byte, 1000)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("a peer that does not read: %v after %v", err, time.Since(start))
		}
		if err := c.Write(bg, Binary, nil); err == nil {
			t.Error("a write behind half a frame")
		}
	})
}

// TestWriteTimeoutRepeats: a write that has taken too long, and of which nothing
// has left, leaves the connection as it was.
func TestWriteTimeoutRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(100)
		defer b.Close()
		c := newConn(a, connConfig{opts: Options{WriteTimeout: time.Second, PingInterval: -1}.withDefaults()})
		defer c.CloseNow()
		if err := c.Write(bg, Binary, make([]byte, 98)); err != nil { // with its header all that there is room for
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Write(bg, Text, []byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		}
		peer := &frameReader{nc: b}
		if _, err := peer.next(); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(bg, Text, []byte("again")); err != nil {
			t.Errorf("when there is room: %v", err)
		}
		if f, err := peer.next(); err != nil || f.payload != "again" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// TestWriteTimeoutCost: without a WriteTimeout a connection has nothing for it, and
// with one a write allocates nothing.
func TestWriteTimeoutCost(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		a, b := tcpPair(t)
		defer b.Close()
		c := newConn(a, connConfig{opts: Options{WriteTimeout: timeout, PingInterval: -1}.withDefaults()})
		defer c.CloseNow()
		p := make([]byte, 10)
		write := func() {
			if err := c.Write(bg, Binary, p); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if n := testing.AllocsPerRun(1000, write); n > 0 && !raceEnabled {
			t.Errorf("with %v: %v allocations", timeout, n)
		}
		if made := c.cancel.Load() != nil; made != (timeout > 0) {
			t.Errorf("with %v there is a clock: %v", timeout, made)
		}
	}
}

// TestWriteTimeoutTimerRuns: a timer that an earlier write has set gives the one
// under way its whole time.
func TestWriteTimeoutTimerRuns(t *testing.T) {
	for _, pause := range []time.Duration{0, 1, 6 * time.Second, 10*time.Second - 1, 10 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(100)
			defer b.Close()
			c := newConn(a, connConfig{opts: Options{WriteTimeout: 10 * time.Second, PingInterval: -1}.withDefaults()})
			defer c.CloseNow()
			if err := c.Write(bg, Binary, make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			start := time.Now()
			err := c.Write(bg, Binary, make([]byte, 1000))
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("%v after the one before: %v after %v", pause, err, time.Since(start))
			}
		})
	}
}
