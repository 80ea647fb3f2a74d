package websocket

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// past is a deadline that ends a blocked call on the transport at once.
var past = time.Unix(1, 0)

// cancelSlot is the place of one direction's canceler, which is made when a
// context that can end is used for the first time.
type cancelSlot struct{ k atomic.Pointer[canceler] }

// begin makes the end of ctx end the call on c's transport that follows, up
// to end. An error means that ctx has ended already; end must not be called
// then.
func (s *cancelSlot) begin(ctx context.Context, c *Conn, writing bool) error {
	if ctx.Done() == nil {
		return nil
	}
	k := s.k.Load()
	if k == nil {
		k = &canceler{c: c, writing: writing}
		s.k.Store(k)
	}
	return k.begin(ctx)
}

// end ends what begin began and restores the deadline. It reports whether the
// context has interrupted the call.
func (s *cancelSlot) end(ctx context.Context) (kicked bool) {
	return ctx.Done() != nil && s.k.Load().end()
}

// forget takes the registration back, so that the context no longer holds on
// to the connection.
func (s *cancelSlot) forget() {
	if k := s.k.Load(); k != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.forgetLocked()
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
		k.c.t.nc.SetWriteDeadline(t)
	} else {
		k.c.t.nc.SetReadDeadline(t)
	}
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
