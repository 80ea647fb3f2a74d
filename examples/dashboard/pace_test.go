package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// paced returns a paced connection, whose other end is read, and a function
// that closes both and returns what was read.
func paced(t *testing.T) (c *pacedConn, finish func() []byte) {
	near, far := net.Pipe()
	c = newPacedConn(near)
	var got bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(&got, far) })
	return c, func() []byte {
		c.Close()
		reading.Wait()
		far.Close()
		return got.Bytes()
	}
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, finish := paced(t)
		sent := bytes.Repeat([]byte("0123456789"), 1000)
		took := func(n int) time.Duration {
			start := time.Now()
			if k, err := c.Write(sent[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			return time.Since(start)
		}
		if d := took(10000); d != 0 {
			t.Errorf("without a rate 10000 bytes take %v", d)
		}
		c.setRate(5000)
		// The line is busy with the last piece when Write returns.
		if d := took(10000); d < 1900*time.Millisecond || d > 2*time.Second {
			t.Errorf("at 5000 a second 10000 bytes take %v", d)
		}
		start := time.Now()
		for range 1000 { // many small writes take as long as a large one
			took(5)
		}
		if d := time.Since(start); d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("at 5000 a second 1000 times 5 bytes take %v", d)
		}
		time.Sleep(time.Hour) // a line that was idle has not saved up anything
		if d := took(5000); d < 900*time.Millisecond {
			t.Errorf("after a rest 5000 bytes take %v", d)
		}
		c.setRate(0)
		if d := took(10000); d != 0 {
			t.Errorf("without a rate again 10000 bytes take %v", d)
		}
		if got := finish(); len(got) != 40000 || !bytes.Equal(got[:10000], sent) {
			t.Errorf("%d bytes have arrived", len(got))
		}
	})
}

// A change during a write holds for the rest of the write.
func TestPaceChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*pacedConn)
		err  error
	}{
		{"no rate", func(c *pacedConn) { c.setRate(0) }, nil},
		{"close", func(c *pacedConn) { c.Close() }, net.ErrClosed},
		{"deadline", func(c *pacedConn) { c.SetWriteDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"both deadlines", func(c *pacedConn) { c.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, finish := paced(t)
				defer finish()
				conn.setRate(minRate)
				start := time.Now()
				time.AfterFunc(time.Second, func() { c.do(conn) })
				n, err := conn.Write(make([]byte, 10*minRate))
				if d := time.Since(start); d != time.Second {
					t.Errorf("the write has lasted %v", d)
				}
				if !errors.Is(err, c.err) {
					t.Errorf("the error is %v, want %v", err, c.err)
				}
				if err != nil && (n < minRate-100 || n > minRate+100) {
					t.Errorf("%d bytes have left in a second", n)
				}
			})
		})
	}
}

// A deadline ends a write at its time, and a later one lets it go on.
func TestPaceDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, finish := paced(t)
		defer finish()
		c.setRate(minRate)
		start := time.Now()
		c.SetWriteDeadline(start.Add(1500 * time.Millisecond))
		n, err := c.Write(make([]byte, 10000))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		c.SetWriteDeadline(time.Time{})
		if k, err := c.Write(make([]byte, 10000-n)); err != nil || k != 10000-n {
			t.Error(k, err)
		}
		c.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write after Close: %v", err)
		}
	})
}

func TestPacedListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	c, err := pacedListener{ln}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := paceOf(withPace(t.Context(), c))
	if p == nil || net.Conn(p) != c {
		t.Fatalf("the context has %v", p)
	}
	if got := paceOf(withPace(t.Context(), far)); got != nil {
		t.Errorf("a connection of another kind is %v", got)
	}
	// Half closing still works, and what was sent before arrives.
	if _, err := c.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := p.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(far); string(b) != "last words" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	ln.Close()
	if _, err := (pacedListener{ln}).Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}
