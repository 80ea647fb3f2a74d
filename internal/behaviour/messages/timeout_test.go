package messages_test

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

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestCancelledWrite(t *testing.T) {
	conntest.OverRaw(t, true, websocket.Options{CloseTimeout: 100 * time.Millisecond}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go func() {
			io.ReadFull(peer, make([]byte, 100))
			cancel() // no transport takes all of the frame by itself
		}()
		err := c.Write(ctx, websocket.Binary, make([]byte, 16<<20))
		if !errors.Is(err, context.Canceled) || websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
			t.Fatalf("got %v", err)
		}
		if err := c.Write(bg, websocket.Binary, nil); websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
			t.Errorf("the next write: %v", err)
		}
		<-c.Context().Done() // the peer waits for the rest
		if _, _, err := c.Read(bg); websocket.CloseCode(err) != websocket.StatusAbnormalClosure || !errors.Is(err, context.Canceled) {
			t.Errorf("the next read: %v", err)
		}
	})
}

// TestCancelledWriteBeforeItsFrame needs a transport that is full to the byte
// and stays so. A socket makes room as it likes.
func TestCancelledWriteBeforeItsFrame(t *testing.T) {
	a, peer := bufpipe.New(wstest.PipeSize)
	defer peer.Close()
	c := conntest.New(t, a, true, websocket.Options{})
	defer c.CloseNow()
	// The beginning of a frame, behind the connection's back.
	rest := conntest.Frame(websocket.OpBinary, true, true, strings.Repeat("x", wstest.PipeSize))
	n, err := a.Write(rest[:wstest.PipeSize])
	if err != nil {
		t.Fatal(err)
	}
	rest = rest[n:]

	ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel()
	if err := c.Write(ctx, websocket.Text, []byte("lost")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	short, cancel1 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel1()
	gone, err := c.Writer(short, websocket.Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Write(make([]byte, (16 << 10))); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	w, err := c.Writer(bg, websocket.Text)
	if err != nil {
		t.Fatal(err)
	}
	ctx2, cancel2 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel2()
	if err := c.Write(ctx2, websocket.Text, []byte("waits for the writer")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	done := make(chan error, 1)
	go func() {
		a.Write(rest)
		io.WriteString(w, "first")
		if err := w.Close(); err != nil {
			done <- err
		}
		done <- c.Write(bg, websocket.Text, []byte("after"))
	}()
	r := &conntest.FrameReader{NC: peer}
	var texts []string
	for len(texts) < 2 {
		f, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Opcode == websocket.OpText {
			texts = append(texts, f.Payload)
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
	m, err := websocket.NewPreparedMessage(websocket.Binary, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(*websocket.Conn) error{
		"Write":         func(c *websocket.Conn) error { return c.Write(bg, websocket.Binary, p) },
		"with context":  func(c *websocket.Conn) error { return c.Write(later, websocket.Binary, p) },
		"uncompressed":  func(c *websocket.Conn) error { return c.WriteUncompressed(bg, websocket.Binary, p) },
		"prepared":      func(c *websocket.Conn) error { return c.WritePrepared(bg, m) },
		"small":         func(c *websocket.Conn) error { return c.Write(bg, websocket.Binary, p[:1000]) },
		"message of it": func(c *websocket.Conn) error { return writeAsStream(c, p) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conntest.OverAllRaw(t, false, websocket.Options{WriteTimeout: timeout, PingInterval: -1}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
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

func writeAsStream(c *websocket.Conn, p []byte) error {
	w, err := c.Writer(bg, websocket.Binary)
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
	conntest.OverAllRaw(t, false, websocket.Options{WriteTimeout: time.Hour, PingInterval: -1}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		ctx, cancel := context.WithTimeout(bg, 50*time.Millisecond)
		defer cancel()
		if _, err := untilStuck(func() error { return c.Write(ctx, websocket.Binary, p) }); !errors.Is(err, context.DeadlineExceeded) {
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
		c := conntest.New(t, a, false, websocket.Options{WriteTimeout: timeout, PingInterval: -1})
		defer c.CloseNow()
		peer := &conntest.FrameReader{NC: b}
		for _, pause := range []time.Duration{0, timeout * 6 / 10, timeout * 6 / 10, 3 * timeout, timeout - 1} {
			time.Sleep(pause)
			if err := c.Write(bg, websocket.Binary, make([]byte, 50)); err != nil {
				t.Fatalf("a write that did not have to wait: %v", err)
			}
			if _, err := peer.Next(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(timeout * 6 / 10) // the timer of the last write runs

		w, err := c.Writer(bg, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Write(bg, websocket.Binary, nil); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("behind another's message: %v after %v", err, time.Since(start))
		}
		start = time.Now()
		if _, err := c.Writer(bg, websocket.Binary); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("a Writer behind another's: %v after %v", err, time.Since(start))
		}
		if err := w.Close(); err != nil {
			t.Errorf("the message that was in the way: %v", err)
		}
		if f, err := peer.Next(); err != nil || f.Opcode != websocket.OpText {
			t.Errorf("%+v, %v", f, err)
		}

		start = time.Now()
		if err := c.Write(bg, websocket.Binary, make([]byte, 1000)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != timeout {
			t.Errorf("a peer that does not read: %v after %v", err, time.Since(start))
		}
		if err := c.Write(bg, websocket.Binary, nil); err == nil {
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
		c := conntest.New(t, a, false, websocket.Options{WriteTimeout: time.Second, PingInterval: -1})
		defer c.CloseNow()
		if err := c.Write(bg, websocket.Binary, make([]byte, 98)); err != nil { // with its header all that there is room for
			t.Fatal(err)
		}
		for range 2 {
			if err := c.Write(bg, websocket.Text, []byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
		}
		peer := &conntest.FrameReader{NC: b}
		if _, err := peer.Next(); err != nil {
			t.Fatal(err)
		}
		if err := c.Write(bg, websocket.Text, []byte("again")); err != nil {
			t.Errorf("when there is room: %v", err)
		}
		if f, err := peer.Next(); err != nil || f.Payload != "again" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// TestWriteTimeoutTimerRuns: a timer that an earlier write has set gives the one
// under way its whole time.
func TestWriteTimeoutTimerRuns(t *testing.T) {
	for _, pause := range []time.Duration{0, 1, 6 * time.Second, 10*time.Second - 1, 10 * time.Second, 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(100)
			defer b.Close()
			c := conntest.New(t, a, false, websocket.Options{WriteTimeout: 10 * time.Second, PingInterval: -1})
			defer c.CloseNow()
			if err := c.Write(bg, websocket.Binary, make([]byte, 50)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(pause)
			start := time.Now()
			err := c.Write(bg, websocket.Binary, make([]byte, 1000))
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("%v after the one before: %v after %v", pause, err, time.Since(start))
			}
		})
	}
}
