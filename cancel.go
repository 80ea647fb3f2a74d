package websocket

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket/internal/dial"
	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// cancelers holds the cancelers of both directions and the write clock. It is made
// when a context that can end, or Options.WriteTimeout, is used for the first time.
type cancelers struct {
	read, write *canceler
	clock       writeClock // of Options.WriteTimeout
}

// armRead makes the end of ctx interrupt the transport's reads, from now until
// disarmRead. An error means that ctx has ended already; disarmRead must not be
// called then.
func (c *Conn) armRead(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil
	}
	return c.cancelers().read.begin(c, ctx)
}

// disarmRead ends what armRead began and restores the deadline. It reports
// whether the context has interrupted the call.
func (c *Conn) disarmRead(ctx context.Context) (interrupted bool) {
	return ctx.Done() != nil && c.cancel.Load().read.disarm(c)
}

// armWrite is armRead for the owner of the writing side.
func (c *Conn) armWrite(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil
	}
	return c.cancelers().write.begin(c, ctx)
}

func (c *Conn) disarmWrite(ctx context.Context) (interrupted bool) {
	return ctx.Done() != nil && c.cancel.Load().write.disarm(c)
}

func (c *Conn) cancelers() *cancelers {
	if k := c.cancel.Load(); k != nil {
		return k
	}
	k := &cancelers{read: new(canceler), write: &canceler{writing: true}}
	if !c.cancel.CompareAndSwap(nil, k) { // a call of the other direction was faster
		return c.cancel.Load()
	}
	if c.life.closeState() == stateEnded { // end may have found no cancelers to forget
		k.forget()
	}
	if !c.tracked() {
		// The contexts refer to the cancelers, so a weak pointer finds them as long as
		// there is a registration to remove. A strong pointer would keep alive a
		// context that refers to c, and with it c.
		runtime.AddCleanup(c, func(w [2]weak.Pointer[canceler]) {
			for _, w := range w {
				if k := w.Value(); k != nil {
					k.forget()
				}
			}
		}, [2]weak.Pointer[canceler]{weak.Make(k.read), weak.Make(k.write)})
	}
	return k
}

// forgetContexts removes the registrations for good, because the connection has
// ended.
func (c *Conn) forgetContexts() {
	if k := c.cancel.Load(); k != nil {
		k.forget()
	}
}

func (k *cancelers) forget() {
	k.read.forget()
	k.write.forget()
	k.clock.forget()
}

// canceler makes contexts interrupt the calls of one direction. It registers with a
// context once, however many calls use the context, and keeps the registration
// between calls.
//
// A context may live much longer than the connection. So neither the canceler nor
// its registration refers to the connection, other than by a weak pointer, and the
// registration is removed when the connection has ended, or when the program has
// dropped the connection and it is collected.
type canceler struct {
	writing bool

	mu          sync.Mutex      // guards what follows; held while the transport's deadline is set
	done        <-chan struct{} // of the registered context; contexts cannot be compared safely, channels can
	stop        func() bool     // removes the registration
	armed       bool            // a call under that context is under way
	interrupted bool            // the deadline is in the past, because the context ended
	over        bool            // the connection has ended: nothing is registered any more
}

// begin arms the canceler of c for a call under ctx.
func (k *canceler) begin(c *Conn, ctx context.Context) error {
	done := ctx.Done()
	k.mu.Lock()
	if done != k.done && !k.over {
		k.forgetLocked()
		k.done = done
		k.stop = k.register(c, ctx)
	}
	k.armed = true
	k.mu.Unlock()
	// Check after arming: if ctx ended between a check and arming, the interrupt would
	// be lost.
	if ctx.Err() != nil {
		k.disarm(c)
		return contextError(ctx)
	}
	return nil
}

// register makes the end of ctx interrupt the call of c that is under way then.
func (k *canceler) register(c *Conn, ctx context.Context) (stop func() bool) {
	done, conn := ctx.Done(), weak.Make(c)
	return context.AfterFunc(ctx, func() {
		if c := conn.Value(); c != nil {
			k.interrupt(c, done)
		}
	})
}

func (k *canceler) disarm(c *Conn) (interrupted bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = false
	if interrupted = k.interrupted; interrupted {
		k.interrupted = false
		k.setDeadline(c, time.Time{})
	}
	return interrupted
}

// interrupt interrupts the call under way. A frame that is being written on a
// closing connection is finished, so that the close frame can follow, even if the
// writer's context is c.Context, which has just ended. The close timer bounds that
// write.
func (k *canceler) interrupt(c *Conn, done <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed && k.done == done && !(k.writing && c.closing()) {
		k.interrupted = true
		k.setDeadline(c, transport.Past)
	}
}

func (k *canceler) setDeadline(c *Conn, t time.Time) {
	if k.writing {
		c.t.SetWriteDeadline(t)
	} else {
		c.t.SetReadDeadline(t)
	}
}

// forget removes the registration, and prevents any other.
func (k *canceler) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	k.forgetLocked()
}

func (k *canceler) forgetLocked() {
	if k.stop != nil {
		k.stop()
		k.stop, k.done = nil, nil
	}
}

// interruption returns the error of a write that its context or
// Options.WriteTimeout has interrupted.
func (c *Conn) interruption(ctx context.Context) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	return c.writeTimeoutError()
}

// contextError returns the error of a call whose context has ended.
func contextError(ctx context.Context) error {
	return fmt.Errorf("websocket: %w", prefix.Trim(dial.EndOfContext(ctx)))
}

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
