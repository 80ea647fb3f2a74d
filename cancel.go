package websocket

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// past is a deadline that ends a blocked call on the transport at once.
var past = time.Unix(1, 0)

// cancelers are those of both directions, made when a context that can end is
// used for the first time.
type cancelers struct{ read, write canceler }

// armRead makes the end of ctx end the reads of the transport that follow, up
// to disarmRead. An error means that ctx has ended already; disarmRead must not
// be called then.
func (c *Conn) armRead(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil
	}
	return c.cancelers().read.begin(ctx)
}

// disarmRead ends what armRead began and restores the deadline. It reports
// whether the context has interrupted the call.
func (c *Conn) disarmRead(ctx context.Context) (kicked bool) {
	return ctx.Done() != nil && c.cancel.Load().read.end()
}

// armWrite is armRead for the owner of the writing side.
func (c *Conn) armWrite(ctx context.Context) error {
	if ctx.Done() == nil {
		return nil
	}
	return c.cancelers().write.begin(ctx)
}

func (c *Conn) disarmWrite(ctx context.Context) (kicked bool) {
	return ctx.Done() != nil && c.cancel.Load().write.end()
}

func (c *Conn) cancelers() *cancelers {
	if k := c.cancel.Load(); k != nil {
		return k
	}
	k := new(cancelers)
	k.read.c, k.write.c, k.write.writing = c, c, true
	c.cancel.CompareAndSwap(nil, k) // a call of the other direction may have been faster
	return c.cancel.Load()
}

// forgetContexts takes the registrations back, so that no context holds on to
// the connection any longer.
func (c *Conn) forgetContexts() {
	if k := c.cancel.Load(); k != nil {
		k.read.forget()
		k.write.forget()
	}
}

// canceler makes contexts end the calls of one direction. It registers with
// a context once, however often that is used, and leaves the registration in
// place between calls.
type canceler struct {
	c       *Conn
	writing bool

	mu     sync.Mutex
	done   <-chan struct{} // of the registered context; contexts cannot be compared safely, channels can
	stop   func() bool     // takes the registration back
	armed  bool            // a call under that context is under way
	kicked bool            // the deadline is in the past, because the context ended
}

func (k *canceler) begin(ctx context.Context) error {
	done := ctx.Done()
	k.mu.Lock()
	if done != k.done {
		k.forgetLocked()
		k.done = done
		k.stop = context.AfterFunc(ctx, func() { k.kick(done) })
	}
	k.armed = true
	k.mu.Unlock()
	// Only now: had ctx ended between a check and arming, the kick would
	// have come to nothing.
	if ctx.Err() != nil {
		k.end()
		return contextError(ctx)
	}
	return nil
}

func (k *canceler) end() (kicked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = false
	if kicked = k.kicked; kicked {
		k.kicked = false
		k.setDeadline(time.Time{})
	}
	return kicked
}

// kick ends the call under way. A frame that is being written on a closing
// connection is finished, so that the close frame can follow, even if the
// writer's context is c.Context, which has just ended; the close timer bounds
// it.
func (k *canceler) kick(done <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed && k.done == done && !(k.writing && k.c.closing()) {
		k.kicked = true
		k.setDeadline(past)
	}
}

func (k *canceler) setDeadline(t time.Time) {
	if k.writing {
		k.c.t.SetWriteDeadline(t)
	} else {
		k.c.t.SetReadDeadline(t)
	}
}

func (k *canceler) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgetLocked()
}

func (k *canceler) forgetLocked() {
	if k.stop != nil {
		k.stop()
		k.stop, k.done = nil, nil
	}
}

// contextError is the error of a call whose context has ended.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause != err {
		return fmt.Errorf("websocket: %w: %w", err, cause)
	}
	return fmt.Errorf("websocket: %w", err)
}
