// Package pump gives deadlines to a [net.Conn] that has none, such as a channel
// of SSH or a pair of pipes.
package pump

import (
	"net"
	"os"
	"sync"
	"time"
)

// closeWait is how long Close and CloseWrite wait for a write that is under way,
// and for the transport itself.
const closeWait = time.Second

// Conn is a connection with deadlines over one that has none, the transport. A
// call of the transport cannot be interrupted. So each runs on a goroutine of its
// own. When the deadline of a Read or Write passes, the Read or Write returns and
// leaves the transport's call behind. There is no goroutine between calls, unless
// one was left behind in this way.
//
// Nothing is lost by that. The next Read returns the bytes of a read that was left
// behind. A piece of a Write that the transport was given counts as written,
// because it completes. The next call waits for it, and returns its error.
//
// Conn may be used by several goroutines, as any net.Conn.
type Conn struct {
	net.Conn // the transport

	in  reader
	out writer
}

// New returns a connection over nc, which it owns.
func New(nc net.Conn) *Conn {
	c := &Conn{Conn: nc}
	c.in.wake.L, c.out.wake.L = &c.in.mu, &c.out.mu
	return c
}

// half is the state that each direction has.
type half struct {
	mu     sync.Mutex // guards all of the direction's state; never held during a call of the transport
	wake   sync.Cond  // signalled on every change
	busy   bool       // the transport's call is under way
	closed bool       // Close was called: no call of the transport begins
	gone   bool       // the transport is closed, or no call waits for it any more
	at     time.Time  // the deadline; zero if there is none
	timer  *time.Timer
}

// overLocked reports whether the deadline has passed.
func (h *half) overLocked() bool { return !h.at.IsZero() && !time.Now().Before(h.at) }

func (h *half) setDeadline(at time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return net.ErrClosed
	}
	h.stopLocked()
	h.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		h.timer = time.AfterFunc(wait, h.notify)
	}
	h.wake.Broadcast()
	return nil
}

// notify wakes all waiting calls. It takes the lock, so that no call is between its
// look at the clock and Wait.
func (h *half) notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake.Broadcast()
}

func (h *half) stopLocked() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}

// close lets no further call begin. It reports whether this was the first close.
func (h *half) close() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.closed
	h.closed = true
	h.stopLocked()
	h.wake.Broadcast()
	return first
}

// leave ends all waits for the transport. It reports whether this was the first
// leave.
func (h *half) leave() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.gone
	h.gone = true
	h.wake.Broadcast()
	return first
}

func (h *half) isGone() bool { return h.gone }

// awaitLocked waits until no call is under way or over returns true, for closeWait
// at most.
func (h *half) awaitLocked(over func() bool) {
	until := time.Now().Add(closeWait)
	timer := time.AfterFunc(closeWait, h.notify)
	defer timer.Stop()
	for h.busy && !over() && time.Now().Before(until) {
		h.wake.Wait()
	}
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline bounds reads, including those that wait already.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(t) }

// SetWriteDeadline bounds writes, including those that wait already.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(t) }

// Blocked reports whether a Write would have to wait for a piece that was left
// behind. The wait will probably be long, since that piece's deadline has passed.
func (c *Conn) Blocked() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.busy && c.out.left
}

// Writing reports whether the transport is being given a piece.
func (c *Conn) Writing() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.busy
}

// Close closes the transport. It waits up to a second for a write that is under
// way, and up to another one for the transport to close. A write that would go on
// after that fails.
func (c *Conn) Close() error {
	if first := c.shut(); !first {
		return net.ErrClosed
	}
	c.out.mu.Lock()
	c.out.awaitLocked(c.out.isGone)
	c.out.mu.Unlock()
	defer c.leave()
	err, ok := bounded(c.Conn.Close)
	if !ok {
		c.cut() // TLS waits to send its close_notify
		return os.ErrDeadlineExceeded
	}
	return err
}

// Abort is Close without waiting. It also ends the wait of a Close that is under
// way. A piece that was left behind counts as written. So the transport stays open
// for it for up to a second, as a closed socket still sends its buffer.
func (c *Conn) Abort() {
	c.shut()
	if first := c.leave(); !first {
		return
	}
	if c.Blocked() {
		go c.linger()
		return
	}
	c.cut()
}

// linger closes the transport when the piece under way is written, or after
// closeWait.
func (c *Conn) linger() {
	w := &c.out
	w.mu.Lock()
	w.awaitLocked(func() bool { return false })
	w.mu.Unlock()
	c.cut()
}

// shut closes both directions, and reports whether this was the first shut.
func (c *Conn) shut() bool {
	c.in.close()
	return c.out.close()
}

// leave ends all waits for the transport, and reports whether this was the first
// leave.
func (c *Conn) leave() bool {
	c.in.leave()
	return c.out.leave()
}

// cut closes the transport without waiting: of a TLS connection it closes the one
// under it.
func (c *Conn) cut() {
	if over, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		over.NetConn().Close()
		return
	}
	c.Conn.Close()
}

// bounded calls f and waits up to closeWait; ok reports whether f has returned.
func bounded(f func() error) (err error, ok bool) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case err = <-done:
		return err, true
	case <-timer.C:
		return nil, false
	}
}
