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
	c.in.changed.L, c.out.changed.L = &c.in.mu, &c.out.mu
	return c
}

// half is the state that each direction has.
type half struct {
	mu        sync.Mutex // guards all of the direction's state; never held during a call of the transport
	changed   sync.Cond  // signalled on every change
	busy      bool       // the transport's call is under way
	closed    bool       // Close was called: no call of the transport begins
	abandoned bool       // the transport is closed, or no call waits for it any more
	deadline  time.Time  // the deadline; zero if there is none
	timer     *time.Timer
}

// expiredLocked reports whether the deadline has passed.
func (h *half) expiredLocked() bool { return !h.deadline.IsZero() && !time.Now().Before(h.deadline) }

func (h *half) setDeadline(at time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return net.ErrClosed
	}
	h.stopLocked()
	h.deadline = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		h.timer = time.AfterFunc(wait, h.notify)
	}
	h.changed.Broadcast()
	return nil
}

// notify wakes all waiting calls. It takes the lock, so that no call is between its
// look at the clock and Wait.
func (h *half) notify() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed.Broadcast()
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
	h.changed.Broadcast()
	return first
}

// abandon ends all waits for the transport. It reports whether this was the first
// call.
func (h *half) abandon() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.abandoned
	h.abandoned = true
	h.changed.Broadcast()
	return first
}

func (h *half) isAbandoned() bool { return h.abandoned }

// awaitLocked waits until no call is under way or stop returns true, for closeWait at
// most.
func (h *half) awaitLocked(stop func() bool) {
	until := time.Now().Add(closeWait)
	timer := time.AfterFunc(closeWait, h.notify)
	defer timer.Stop()
	for h.busy && !stop() && time.Now().Before(until) {
		h.changed.Wait()
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
	return c.out.busy && c.out.leftBehind
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
	if first := c.closeHalves(); !first {
		return net.ErrClosed
	}
	c.out.mu.Lock()
	c.out.awaitLocked(c.out.isAbandoned)
	c.out.mu.Unlock()
	defer c.abandon()
	err, ok := withCloseWait(c.Conn.Close)
	if !ok {
		c.closeTransport() // TLS waits to send its close_notify
		return os.ErrDeadlineExceeded
	}
	return err
}

// Abort is Close without waiting. It also ends the wait of a Close that is under
// way. A piece that was left behind counts as written. So the transport stays open
// for it for up to a second, as a closed socket still sends its buffer.
func (c *Conn) Abort() {
	c.closeHalves()
	if first := c.abandon(); !first {
		return
	}
	if c.Blocked() {
		go c.linger()
		return
	}
	c.closeTransport()
}

// linger closes the transport when the piece under way is written, or after
// closeWait.
func (c *Conn) linger() {
	w := &c.out
	w.mu.Lock()
	w.awaitLocked(func() bool { return false })
	w.mu.Unlock()
	c.closeTransport()
}

// closeHalves closes both directions, and reports whether this was the first
// call.
func (c *Conn) closeHalves() bool {
	c.in.close()
	return c.out.close()
}

// abandon ends all waits for the transport, and reports whether this was the first
// call.
func (c *Conn) abandon() bool {
	c.in.abandon()
	return c.out.abandon()
}

// closeTransport closes the transport without waiting. Of a TLS connection it closes the
// one under it.
func (c *Conn) closeTransport() {
	if over, ok := c.Conn.(interface{ NetConn() net.Conn }); ok {
		over.NetConn().Close()
		return
	}
	c.Conn.Close()
}

// withCloseWait calls f and waits up to closeWait; ok reports whether f has returned.
func withCloseWait(f func() error) (err error, ok bool) {
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
