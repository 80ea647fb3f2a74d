package pump

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// bare is a transport without deadlines. It counts calls, and can close one
// direction.
type bare struct {
	*bufpipe.Conn

	mu      sync.Mutex
	largest int // room that a Read was given
	closes  int
}

func (*bare) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (*bare) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (*bare) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func (b *bare) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.largest = max(b.largest, len(p))
	b.mu.Unlock()
	return b.Conn.Read(p)
}

func (b *bare) Close() error {
	b.mu.Lock()
	b.closes++
	b.mu.Unlock()
	return b.Conn.Close()
}

func pair(size int) (*Conn, *bare, *bufpipe.Conn) {
	a, b := bufpipe.New(size)
	t := &bare{Conn: a}
	return New(t), t, b
}

// in runs f in a bubble, which fails if f leaves a goroutine behind.
func in(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func took(t *testing.T, begin time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(begin); d != want {
		t.Errorf("it took %v, want %v", d, want)
	}
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("error is %v, want %v", got, want)
	}
}

// pattern is n bytes that are not alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31 >> 3)
	}
	return b
}

func TestReadDeadline(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(1 << 10)
		defer c.Close()
		buf := make([]byte, 100)
		begin := time.Now()
		c.SetReadDeadline(begin.Add(300 * time.Millisecond))
		_, err := c.Read(buf)
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 300*time.Millisecond)
		_, err = c.Read(buf)
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 300*time.Millisecond)

		// The bytes of a read that was left behind are not lost.
		io.WriteString(peer, "hello")
		synctest.Wait()
		_, err = c.Read(buf)
		wantError(t, err, os.ErrDeadlineExceeded)
		c.SetReadDeadline(time.Time{})
		for _, want := range []string{"he", "llo"} {
			if n, err := c.Read(buf[:len(want)]); string(buf[:n]) != want || err != nil {
				t.Errorf("read %q, %v, want %q", buf[:n], err, want)
			}
		}

		// A deadline that moves holds for a read that waits already.
		begin = time.Now()
		c.SetReadDeadline(begin.Add(time.Hour))
		time.AfterFunc(time.Second, func() { c.SetReadDeadline(begin.Add(2 * time.Second)) })
		_, err = c.Read(buf)
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 2*time.Second)
		c.SetReadDeadline(time.Now().Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { c.SetReadDeadline(time.Time{}) })
		time.AfterFunc(time.Minute, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		_, err = c.Read(buf)
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 2*time.Second+time.Minute)
	})
}

func TestReadEnd(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(1 << 10)
		defer c.Close()
		io.WriteString(peer, "end")
		peer.CloseWrite()
		buf := make([]byte, 100)
		if n, err := c.Read(buf); string(buf[:n]) != "end" || err != nil {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		for range 3 {
			if n, err := c.Read(buf); n != 0 || err != io.EOF {
				t.Errorf("read %d bytes, %v, want io.EOF", n, err)
			}
		}
	})
}

// TestReadAnswers: bytes and an error in one call, and neither, reach the reader in
// this order.
func TestReadAnswers(t *testing.T) {
	failure := errors.New("of the transport")
	in(t, func(t *testing.T) {
		a, _ := bufpipe.New(1)
		c := New(&scripted{a, []answer{{"", nil}, {"a", nil}, {"last", failure}, {"", io.EOF}}})
		defer c.Close()
		buf := make([]byte, 4)
		for i, want := range []answer{{"", nil}, {"a", nil}, {"last", nil}, {"", failure}, {"", io.EOF}} {
			n, err := c.Read(buf)
			if string(buf[:n]) != want.text || err != want.err {
				t.Errorf("read %d: %q, %v, want %q, %v", i, buf[:n], err, want.text, want.err)
			}
		}
	})
}

type answer struct {
	text string
	err  error
}

// scripted is a transport that answers reads as it is told.
type scripted struct {
	net.Conn
	answers []answer
}

func (s *scripted) Read(p []byte) (int, error) {
	a := s.answers[0]
	s.answers = s.answers[1:]
	return copy(p, a.text), a.err
}

// TestIdleMemory: a read that waits with little room takes no memory, and nothing
// runs when no call is under way.
func TestIdleMemory(t *testing.T) {
	c, transport, peer := pair(1 << 10)
	defer c.Close()
	var buf [16]byte
	for range 100 {
		io.WriteString(peer, "0123456789abcdef")
		if n, err := c.Read(buf[:]); n != 16 || err != nil {
			t.Fatalf("read %d bytes, %v", n, err)
		}
	}
	if transport.largest != 16 {
		t.Errorf("a read of 16 bytes waited with %d", transport.largest)
	}
	io.WriteString(c, "written")
	none(t, "Conn).read", "Conn).write")
	owns := func() bool {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		return c.in.buf != nil || c.in.data != nil
	}
	if owns() {
		t.Error("an idle connection owns a buffer")
	}
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.Read(buf[:])
	wantError(t, err, os.ErrDeadlineExceeded)
	if owns() {
		t.Error("a read that waits owns a buffer")
	}
}

// none waits until no goroutine is left with one of these in its stack.
func none(t *testing.T, parts ...string) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stacks := string(buf[:runtime.Stack(buf, true)])
		found := ""
		for _, p := range parts {
			if strings.Contains(stacks, "pump.(*"+p+"(") {
				found = p
			}
		}
		if found == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a goroutine is left in %s:\n%s", found, stacks)
		}
	}
}

func TestWriteDeadline(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(40 << 10)
		defer c.Close()
		data := pattern(200 << 10)
		begin := time.Now()
		c.SetWriteDeadline(begin.Add(300 * time.Millisecond))
		n, err := c.Write(data)
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 300*time.Millisecond)
		if n != 64<<10 { // 32 KiB that have left, and 32 that will
			t.Fatalf("%d bytes are written", n)
		}
		if !c.Blocked() {
			t.Error("a piece was left behind, and the connection is not blocked")
		}
		// Nothing can be written while that piece waits.
		c.SetWriteDeadline(time.Now().Add(time.Second))
		m, err := c.Write(data[n:])
		wantError(t, err, os.ErrDeadlineExceeded)
		took(t, begin, 1300*time.Millisecond)
		if m != 0 {
			t.Errorf("%d bytes are written behind a piece that waits", m)
		}
		c.SetWriteDeadline(time.Time{})
		go func() {
			c.Write(data[n:])
			c.CloseWrite()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("the peer got %d bytes, %v, want %d", len(got), err, len(data))
		}
		if c.Blocked() {
			t.Error("all is written, and the connection is blocked")
		}
	})
}

// TestWriteTaken: a write of which the transport has all counts as written when its
// deadline passes.
func TestWriteTaken(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(10)
		defer c.Close()
		begin := time.Now()
		c.SetWriteDeadline(begin.Add(time.Second))
		data := []byte("more than ten bytes")
		if n, err := c.Write(data); n != len(data) || err != nil {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		took(t, begin, time.Second)
		clear(data) // it is the caller's again
		got := make([]byte, len(data))
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "more than ten bytes" {
			t.Errorf("the peer got %q, %v", got, err)
		}
	})
}

// TestWriteError: each failure is returned by a call, with the exact number.
func TestWriteError(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(40 << 10)
		time.AfterFunc(time.Second, func() { peer.Close() })
		n, err := c.Write(pattern(100 << 10))
		wantError(t, err, io.ErrClosedPipe)
		if n != 40<<10 {
			t.Errorf("%d bytes are written, want 40 KiB", n)
		}
		c.Close()

		a, _ := bufpipe.New(100)
		c = New(&failsLate{Conn: a})
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := c.Write(pattern(20)); n != 20 || err != nil {
			t.Errorf("wrote %d bytes, %v", n, err)
		}
		c.SetWriteDeadline(time.Time{})
		for range 2 { // for good: bytes are missing
			n, err = c.Write(pattern(20))
			wantError(t, err, io.ErrClosedPipe)
			if n != 0 {
				t.Errorf("%d bytes are written behind a piece that has failed", n)
			}
		}
		c.Close()

		a, _ = bufpipe.New(1)
		c = New(&shortWriter{a})
		n, err = c.Write([]byte("four"))
		wantError(t, err, io.ErrShortWrite)
		if n != 3 {
			t.Errorf("%d bytes are written, want 3", n)
		}
		c.Close()
	})
}

// failsLate is a transport whose first Write fails after a while. Later ones do not.
type failsLate struct {
	net.Conn
	failed bool
}

func (f *failsLate) Write(p []byte) (int, error) {
	if f.failed {
		return f.Conn.Write(p)
	}
	f.failed = true
	time.Sleep(2 * time.Second)
	return 0, io.ErrClosedPipe
}

type shortWriter struct{ net.Conn }

func (*shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

// TestWritersTakeTurns: writes of several pieces do not mix.
func TestWritersTakeTurns(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, peer := pair(1 << 10)
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if n, err := c.Write(bytes.Repeat([]byte{byte('a' + i)}, 100<<10)); n != 100<<10 || err != nil {
					t.Errorf("wrote %d bytes, %v", n, err)
				}
			})
		}
		go func() {
			all.Wait()
			c.Close()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || len(got) != 400<<10 {
			t.Fatalf("the peer got %d bytes, %v", len(got), err)
		}
		for ; len(got) > 0; got = got[100<<10:] {
			if n := len(bytes.TrimLeft(got[:100<<10], string(got[:1]))); n > 0 {
				t.Fatalf("%d bytes of another write are in the middle", n)
			}
		}
	})
}
