package websocket

import (
	"fmt"
	"os"
	"sync"
	"time"
	"weak"
)

// writeClock ends the write under way when its time, Options.WriteTimeout, is over.
// One timer serves all writes of a connection: it is set by a write that finds it
// idle, and when it fires it is set again if a later write is under way then. So a
// write that is not the first costs no timer. It does not keep the connection alive.
type writeClock struct {
	mu          sync.Mutex // guards what follows; the transport's deadline is set under it
	timer       *time.Timer
	set         bool  // the timer runs
	until       int64 // when the write under way is to be over, by monotonic; 0 if there is none
	interrupted bool  // it was not
}

// writeUntil is when a write that begins now has to be over, by monotonic. It is 0
// without Options.WriteTimeout.
func (c *Conn) writeUntil() int64 {
	if d := c.opts.WriteTimeout; d > 0 {
		return monotonic() + int64(d)
	}
	return 0
}

// armWriteClock has the write under way, whose caller has the write lock, end at
// until, up to disarmWriteClock.
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
	d := time.Duration(until - monotonic()) // it fires at once if that is over
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
// is closing already is finished, as with a context that ends; the close timer
// bounds it.
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
		c.t.SetWriteDeadline(past)
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

// turnTimer returns a channel that tells when the time of a write that waits for
// its turn is over, and what releases it. Without until it never tells.
func turnTimer(until int64) (late <-chan time.Time, stop func() bool) {
	if until == 0 {
		return nil, func() bool { return false }
	}
	t := time.NewTimer(time.Duration(until - monotonic()))
	return t.C, t.Stop
}

// writeTimeoutError is the error of a write that took too long.
func (c *Conn) writeTimeoutError() error {
	return fmt.Errorf("websocket: a write took longer than Options.WriteTimeout, %v: %w", c.opts.WriteTimeout, os.ErrDeadlineExceeded)
}
