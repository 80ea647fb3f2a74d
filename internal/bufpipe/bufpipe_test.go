package bufpipe

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
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

func TestReadDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		begin := time.Now()
		a.SetReadDeadline(begin.Add(time.Second))
		r := returned(t, sleepOver(start(read(a, 9)), 2*time.Second), 0, "", os.ErrDeadlineExceeded)
		if r.at != begin.Add(time.Second) {
			t.Errorf("returned after %v, want 1s", r.at.Sub(begin))
		}
		var ne net.Error
		if !errors.As(r.err, &ne) || !ne.Timeout() {
			t.Errorf("%v is not a timeout", r.err)
		}

		// It stays over, even if there is something to read, until it is
		// moved; nothing is lost meanwhile.
		now(t, write(b, "kept"), 4, "", nil)
		now(t, read(a, 9), 0, "", os.ErrDeadlineExceeded)
		now(t, write(a, "x"), 1, "", nil) // reading only, this end only
		now(t, read(b, 9), 1, "x", nil)
		a.SetReadDeadline(time.Time{})
		now(t, read(a, 9), 4, "kept", nil)
	})
}

func TestReadDeadlineMoves(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		begin := time.Now()
		a.SetReadDeadline(begin.Add(1 * time.Second))
		waits := start(read(a, 9))
		waiting(t, waits)
		a.SetReadDeadline(begin.Add(time.Minute)) // later
		time.Sleep(2 * time.Second)
		waiting(t, waits)
		a.SetReadDeadline(begin.Add(5 * time.Second)) // earlier
		r := returned(t, sleepOver(waits, 10*time.Second), 0, "", os.ErrDeadlineExceeded)
		if r.at != begin.Add(5*time.Second) {
			t.Errorf("returned after %v, want 5s", r.at.Sub(begin))
		}

		a.SetReadDeadline(time.Time{}) // none
		waits = start(read(a, 9))
		time.Sleep(time.Hour)
		waiting(t, waits)
		a.SetReadDeadline(time.Now()) // at once
		returned(t, waits, 0, "", os.ErrDeadlineExceeded)

		a.SetReadDeadline(time.Time{})
		waits = start(read(a, 9))
		waiting(t, waits)
		a.SetReadDeadline(begin.Add(-time.Hour)) // long ago
		returned(t, waits, 0, "", os.ErrDeadlineExceeded)

		// One that is not over yet does not keep anyone.
		a.SetReadDeadline(time.Now().Add(time.Minute))
		waits = start(read(a, 9))
		waiting(t, waits)
		now(t, write(b, "early"), 5, "", nil)
		returned(t, waits, 5, "early", nil)
	})
}

func TestWriteDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		begin := time.Now()
		a.SetWriteDeadline(begin.Add(time.Second))
		r := returned(t, sleepOver(start(write(a, "0123456789abc")), 2*time.Second), 10, "", os.ErrDeadlineExceeded)
		if r.at != begin.Add(time.Second) {
			t.Errorf("returned after %v, want 1s", r.at.Sub(begin))
		}
		now(t, write(a, "x"), 0, "", os.ErrDeadlineExceeded)
		now(t, read(b, 99), 10, "0123456789", nil)
		now(t, write(a, "x"), 0, "", os.ErrDeadlineExceeded) // with room as well
		now(t, write(b, "y"), 1, "", nil)                    // writing only, this end only
		now(t, read(a, 9), 1, "y", nil)
		a.SetWriteDeadline(time.Now().Add(time.Second))
		now(t, write(a, "abc"), 3, "", nil)
		now(t, read(b, 99), 3, "abc", nil)
	})
}

func TestSetDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, a, b *Conn) {
		a.SetDeadline(time.Now().Add(time.Second))
		r, w := start(read(a, 9)), start(write(a, "0123456789abc"))
		waiting(t, r)
		waiting(t, w)
		time.Sleep(time.Second)
		returned(t, r, 0, "", os.ErrDeadlineExceeded)
		returned(t, w, 10, "", os.ErrDeadlineExceeded)
		now(t, read(b, 99), 10, "0123456789", nil)
		a.SetDeadline(time.Time{})
		now(t, write(b, "x"), 1, "", nil)
		now(t, read(a, 9), 1, "x", nil)
		now(t, write(a, "y"), 1, "", nil)
	})
}

// sleepOver lets time go by for a call in the background.
func sleepOver(done <-chan result, d time.Duration) <-chan result {
	synctest.Wait()
	time.Sleep(d)
	return done
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

// TestState: what has arrived and what was taken is counted without a read.
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

// TestFair has two ends wake each other in turn on one processor, on which a
// third goroutine waits for its turn.
func TestFair(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	a, b := New(10)
	var wg sync.WaitGroup
	wg.Go(func() {
		p := make([]byte, 1)
		for {
			if _, err := b.Read(p); err != nil {
				return
			}
			b.Write(p)
		}
	})
	echo := func(times int) {
		p := make([]byte, 1)
		for range times {
			a.Write(p)
			a.Read(p)
		}
	}
	echo(1) // the other end waits
	var third atomic.Bool
	wg.Go(func() { third.Store(true) })
	echo(2 * fair)
	if !third.Load() {
		t.Error("the third goroutine has not run")
	}
	a.Close()
	wg.Wait()
}

// Close leaves no timer behind that would keep the pipe in memory.
func TestCloseStopsTimers(t *testing.T) {
	a, _ := New(10)
	a.SetDeadline(time.Now().Add(time.Hour))
	if a.in.rd.timer == nil || a.out.wr.timer == nil {
		t.Fatal("no timers for deadlines to come")
	}
	a.Close()
	if a.in.rd.timer != nil || a.out.wr.timer != nil {
		t.Error("a closed end keeps its timers")
	}
}

func TestAddr(t *testing.T) {
	a, _ := New(1)
	for _, addr := range []net.Addr{a.LocalAddr(), a.RemoteAddr()} {
		if addr.Network() != "pipe" || addr.String() != "pipe" {
			t.Errorf("address %q of network %q", addr, addr.Network())
		}
	}
}

// copyThrough sends want from one end to the other in uneven pieces.
func copyThrough(t *testing.T, from, to *Conn, want []byte) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for p, i := want, 0; len(p) > 0; i++ {
			n, err := from.Write(p[:min(len(p), 1+i*37%2000)])
			if err != nil {
				t.Error(err)
				break
			}
			p = p[n:]
		}
		from.CloseWrite()
	})
	got, err := io.ReadAll(to)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came through, or others: %v", len(got), len(want), err)
	}
	wg.Wait()
}

// Both directions at once, while deadlines come and go.
func TestBothDirections(t *testing.T) {
	a, b := New(1000)
	defer a.Close()
	defer b.Close()
	there, back := make([]byte, 300_000), make([]byte, 200_000)
	for i := range there {
		there[i] = byte(i * i >> 3)
	}
	for i := range back {
		back[i] = byte(i * 7 >> 2)
	}
	stop := make(chan struct{})
	var wg, deadlines sync.WaitGroup
	deadlines.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.SetDeadline(time.Now().Add(time.Hour))
				b.SetReadDeadline(time.Now().Add(time.Minute))
				b.SetWriteDeadline(time.Time{})
			}
		}
	})
	wg.Go(func() { copyThrough(t, a, b, there) })
	wg.Go(func() { copyThrough(t, b, a, back) })
	wg.Wait()
	close(stop)
	deadlines.Wait()
}

// Several readers and writers share an end: every byte arrives once.
func TestConcurrentUse(t *testing.T) {
	const writers, readers, each = 4, 3, 2000
	a, b := New(64)
	var wrote, counted sync.WaitGroup
	for i := range writers {
		wrote.Go(func() {
			for range each {
				if n, err := a.Write([]byte{byte(i), byte(i)}); n != 2 || err != nil {
					t.Errorf("Write = %d, %v", n, err)
					return
				}
			}
		})
	}
	var mu sync.Mutex
	var total [writers]int
	for range readers {
		counted.Go(func() {
			var p [100]byte
			for {
				n, err := b.Read(p[:])
				mu.Lock()
				for _, c := range p[:n] {
					total[c]++
				}
				mu.Unlock()
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wrote.Wait()
	a.Close()
	counted.Wait()
	for i, n := range total {
		if n != 2*each {
			t.Errorf("%d bytes of writer %d came through, want %d", n, i, 2*each)
		}
	}
}

// Close ends all calls on both ends.
func TestCloseInUse(t *testing.T) {
	for range 50 {
		a, b := New(16)
		var wg sync.WaitGroup
		for _, c := range []*Conn{a, b} {
			wg.Go(func() {
				p := make([]byte, 5)
				for {
					if _, err := c.Read(p); err != nil {
						return
					}
				}
			})
			wg.Go(func() {
				for {
					if _, err := c.Write([]byte("0123456")); err != nil {
						return
					}
				}
			})
		}
		a.SetDeadline(time.Now().Add(time.Hour))
		a.Close()
		wg.Wait()
		b.Close()
	}
}

func TestDeadlinesOfAClosedEnd(t *testing.T) {
	a, b := New(10)
	a.SetDeadline(time.Now().Add(time.Hour))
	a.Close()
	for _, set := range []func(time.Time) error{a.SetDeadline, a.SetReadDeadline, a.SetWriteDeadline} {
		if err := set(time.Now().Add(time.Hour)); err != net.ErrClosed {
			t.Error(err)
		}
	}
	if a.in.rd.timer != nil || a.out.wr.timer != nil {
		t.Error("a timer is left")
	}
	if err := b.SetDeadline(time.Time{}); err != nil {
		t.Error("the other end:", err)
	}
}
