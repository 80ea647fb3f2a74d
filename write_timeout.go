package websocket

import (
	"fmt"
	"os"
	"sync"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// writeClock interrupts the write under way when its time, Options.WriteTimeout, is
// over. One timer serves all writes of a connection: a write sets the timer if it
// is idle, and when it fires it is set again if a later write is under way. So most
// writes do not set it. The timer does not keep the connection alive.
type writeClock struct {
	mu          sync.Mutex // guards what follows; the transport's deadline is set under it
	timer       *time.Timer
	set         bool  // the timer runs
	until       int64 // when the write under way is to be over, by monotonic; 0 if there is none
	interrupted bool  // the write was not over by then
}

// writeUntil returns when a write that begins now has to be over, by monotonic; 0
// without Options.WriteTimeout.
func (c *Conn) writeUntil() int64 {
	if d := c.opts.WriteTimeout; d > 0 {
		return monotonic() + int64(d)
	}
	return 0
}

// armWriteClock makes the timer interrupt the write under way at until, unless
// disarmWriteClock is called before. The caller owns the write lock.
//
//go:noinline
func (c *Conn) armWriteClock(until int64) {
	k := &c.cancelers().clock
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = until
	if k.set {
		return
	}
	k.set = true
	d := time.Duration(until - monotonic()) // the timer fires at once if until has passed
	if k.timer == nil {
		conn := weak.Make(c)
		k.timer = time.AfterFunc(d, func() {
			if c := conn.Value(); c != nil {
				c.writeTime()
			}
		})
	} else {
		k.timer.Reset(d)
	}
}

// writeTime is called when the timer fires. A frame under way on a connection that
// is closing already is finished, as after the end of a context; the close timer
// bounds that write.
func (c *Conn) writeTime() {
	k := &c.cancelers().clock
	k.mu.Lock()
	defer k.mu.Unlock()
	left := k.until - monotonic()
	switch k.set = false; {
	case k.until == 0 || c.closing():
	case left > 0:
		k.set = true
		k.timer.Reset(time.Duration(left))
	default:
		k.interrupted = true
		c.t.SetWriteDeadline(transport.Past)
	}
}

// disarmWriteClock ends what armWriteClock began and restores the deadline. It
// reports whether the write was interrupted.
//
//go:noinline
func (c *Conn) disarmWriteClock() (interrupted bool) {
	k := &c.cancel.Load().clock
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = 0
	if interrupted = k.interrupted; interrupted {
		k.interrupted = false
		c.t.SetWriteDeadline(time.Time{})
	}
	return interrupted
}

// forget stops the timer.
func (k *writeClock) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.timer != nil {
		k.timer.Stop()
	}
}

// turnTimer returns a channel that receives when the time of a write that waits for
// the write lock is over, and a function that stops the timer. If until is 0, the
// channel never receives.
func turnTimer(until int64) (late <-chan time.Time, stop func() bool) {
	if until == 0 {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Duration(until - monotonic()))
	return t.C, t.Stop
}

// writeTimeoutError returns the error of a write that took too long.
func (c *Conn) writeTimeoutError() error {
	return fmt.Errorf("websocket: a write took longer than Options.WriteTimeout, %v: %w", c.opts.WriteTimeout, os.ErrDeadlineExceeded)
}
