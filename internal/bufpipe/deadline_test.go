package bufpipe

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

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

// Close leaves no timer behind that would keep the pipe in memory.
func TestCloseStopsTimers(t *testing.T) {
	a, _ := New(10)
	a.SetDeadline(time.Now().Add(time.Hour))
	if a.in.readDeadline.timer == nil || a.out.writeDeadline.timer == nil {
		t.Fatal("no timers for deadlines to come")
	}
	a.Close()
	if a.in.readDeadline.timer != nil || a.out.writeDeadline.timer != nil {
		t.Error("a closed end keeps its timers")
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
	if a.in.readDeadline.timer != nil || a.out.writeDeadline.timer != nil {
		t.Error("a timer is left")
	}
	if err := b.SetDeadline(time.Time{}); err != nil {
		t.Error("the other end:", err)
	}
}
