package bufpipe

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

var _ net.Conn = (*Conn)(nil)

// result holds the results of a Read or Write, and its time.
type result struct {
	n    int
	data string
	err  error
	at   time.Time
}

// start runs a Read or Write in the background. The channel is empty as long
// as it waits.
func start(f func() (int, string, error)) <-chan result {
	done := make(chan result, 1)
	go func() {
		n, data, err := f()
		done <- result{n, data, err, time.Now()}
	}()
	return done
}

func read(c *Conn, size int) func() (int, string, error) {
	return func() (int, string, error) {
		p := make([]byte, size)
		n, err := c.Read(p)
		return n, string(p[:n]), err
	}
}

func write(c *Conn, s string) func() (int, string, error) {
	return func() (int, string, error) {
		n, err := c.Write([]byte(s))
		return n, "", err
	}
}

// waiting checks that a call in the background can do nothing but wait.
func waiting(t *testing.T, done <-chan result) {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		t.Fatalf("returned %d, %q, %v, should wait", r.n, r.data, r.err)
	default:
	}
}

// returned checks the results of a call in the background.
func returned(t *testing.T, done <-chan result, n int, data string, err error) result {
	t.Helper()
	synctest.Wait()
	select {
	case r := <-done:
		if r.n != n || r.data != data || !errors.Is(r.err, err) {
			t.Fatalf("returned %d, %q, %v; want %d, %q, %v", r.n, r.data, r.err, n, data, err)
		}
		return r
	default:
		t.Fatalf("still waits; want %d, %q, %v", n, data, err)
		panic("unreachable")
	}
}

// now checks a call that does not wait.
func now(t *testing.T, f func() (int, string, error), n int, data string, err error) {
	t.Helper()
	returned(t, start(f), n, data, err)
}

// inBubble runs f with both ends of a pipe with room for ten bytes.
func inBubble(t *testing.T, f func(t *testing.T, a, b *Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := New(10)
		f(t, a, b)
	})
}

func TestReadAndWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		now(t, write(a, "hello"), 5, "", nil)
		now(t, write(b, "world"), 5, "", nil)
		now(t, read(b, 3), 3, "hel", nil)
		now(t, read(a, 9), 5, "world", nil)
		now(t, write(a, " you"), 4, "", nil)
		now(t, read(b, 9), 6, "lo you", nil) // the rest of two writes
		now(t, read(b, 0), 0, "", nil)
		now(t, write(a, ""), 0, "", nil)

		waits := start(read(b, 9))
		waiting(t, waits)
		now(t, write(a, "x"), 1, "", nil)
		returned(t, waits, 1, "x", nil)
	})
}

func TestRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		now(t, write(a, "0123456789"), 10, "", nil)
		now(t, write(a, ""), 0, "", nil)
		now(t, write(b, "the other way"[:10]), 10, "", nil) // has its own room
		waits := start(write(a, "abcdefghijklmnopqrstuvw"))
		waiting(t, waits)
		now(t, read(b, 4), 4, "0123", nil)
		waiting(t, waits)
		now(t, read(b, 99), 10, "456789abcd", nil)
		waiting(t, waits)
		now(t, read(b, 99), 10, "efghijklmn", nil)
		returned(t, waits, 23, "", nil)
		now(t, read(b, 99), 9, "opqrstuvw", nil)
	})
}

// However much goes through, the memory is in proportion to the room.
func TestMemory(t *testing.T) {
	a, b := New(1000)
	p := make([]byte, 300)
	for i := range 10_000 {
		if i%3 < 2 {
			a.Write(p)
		}
		b.Read(p[:200])
		if n := cap(a.out.buf); n > 4000 {
			t.Fatalf("%d bytes of memory for a room of 1000", n)
		}
	}
	for len(a.out.buf) > 0 {
		b.Read(p)
	}
	if a.out.buf != nil {
		t.Error("an empty pipe holds on to memory")
	}
}

func TestClose(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		now(t, write(a, "last words"), 10, "", nil)
		now(t, write(b, "unheard"), 7, "", nil)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		now(t, read(a, 9), 0, "", net.ErrClosed)
		now(t, write(a, "x"), 0, "", net.ErrClosed)
		now(t, write(b, "x"), 0, "", io.ErrClosedPipe)
		now(t, read(b, 4), 4, "last", nil)
		now(t, read(b, 99), 6, " words", nil)
		now(t, read(b, 99), 0, "", io.EOF)
		now(t, read(b, 99), 0, "", io.EOF)
		if err := a.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		b.Close()
		now(t, read(b, 9), 0, "", net.ErrClosed)
		now(t, write(b, "x"), 0, "", net.ErrClosed)
	})
}

func TestCloseWakes(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		r, w := start(read(a, 9)), start(write(a, "0123456789abc"))
		waiting(t, r)
		waiting(t, w)
		a.Close()
		returned(t, r, 0, "", net.ErrClosed)
		returned(t, w, 10, "", net.ErrClosed)
	})
	inBubble(t, func(t *testing.T, a, b *Conn) {
		r, w := start(read(b, 9)), start(write(b, "0123456789abc"))
		waiting(t, r)
		waiting(t, w)
		a.Close()
		returned(t, r, 0, "", io.EOF)
		returned(t, w, 10, "", io.ErrClosedPipe)
	})
}

// TestState: bytes that have arrived and that were read are counted without a read.
func TestState(t *testing.T) {
	a, b := New(10)
	want := func(of *Conn, s State) {
		t.Helper()
		if got := of.State(); got != s {
			t.Errorf("%+v, want %+v", got, s)
		}
	}
	want(a, State{})
	a.Write([]byte("xyz"))
	want(a, State{Waiting: 3})
	want(b, State{Received: 3, Unread: true})
	b.Read(make([]byte, 1))
	want(a, State{Taken: 1, Waiting: 2})
	want(b, State{Received: 3, Unread: true})
	a.Write([]byte("01234567"))
	want(b, State{Received: 11, Unread: true, Full: true})
	a.CloseWrite()
	want(b, State{Received: 11, Unread: true, Full: true, Ended: true})
	_, b = New(10)
	b.Close()
	want(b, State{Ended: true})
}

func TestCloseWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		waits := start(write(a, "0123456789abc"))
		waiting(t, waits)
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		returned(t, waits, 10, "", net.ErrClosed)
		now(t, write(a, "x"), 0, "", net.ErrClosed)
		now(t, read(b, 99), 10, "0123456789", nil)
		now(t, read(b, 99), 0, "", io.EOF)

		// The other direction goes on, until it is closed as well.
		reads := start(read(a, 99))
		waiting(t, reads)
		now(t, write(b, "still here"), 10, "", nil)
		returned(t, reads, 10, "still here", nil)
		reads = start(read(a, 99))
		waiting(t, reads)
		b.CloseWrite()
		returned(t, reads, 0, "", io.EOF)
	})
}

func TestAddr(t *testing.T) {
	a, _ := New(1)
	for _, addr := range []net.Addr{a.LocalAddr(), a.RemoteAddr()} {
		if addr.Network() != "pipe" || addr.String() != "pipe" {
			t.Errorf("address %q of network %q", addr, addr.Network())
		}
	}
}
