package websocket

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// past is a deadline that ends a blocked call on the transport at once.
var past = time.Unix(1, 0)

// canceler makes contexts end the calls of one direction. It registers with
// a context once, however often that is used, and leaves the registration in
// place between calls.
type canceler struct {
	mu       sync.Mutex
	done     <-chan struct{} // of the registered context; contexts cannot be compared safely, channels can
	stop     func() bool     // takes the registration back
	armed    bool            // a call under that context is under way
	kicked   bool            // the deadline is in the past, because the context ended
	deadline func(time.Time) error
	spare    func() bool // whether to leave the call alone, asked when the context has ended
}

// begin makes the end of ctx end the call that follows, up to end. An error
// means that ctx has ended already; end must not be called then.
func (k *canceler) begin(ctx context.Context) error {
	done := ctx.Done()
	if done == nil {
		return nil
	}
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
		k.end(ctx)
		return contextError(ctx)
	}
	return nil
}

// end ends what begin began and restores the deadline. It reports whether the
// context has interrupted the call.
func (k *canceler) end(ctx context.Context) (kicked bool) {
	if ctx.Done() == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed = false
	if kicked = k.kicked; kicked {
		k.kicked = false
		k.deadline(time.Time{})
	}
	return kicked
}

func (k *canceler) kick(done <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.armed && k.done == done && !k.spare() {
		k.kicked = true
		k.deadline(past)
	}
}

// forget takes the registration back, so that the context no longer holds on
// to the connection.
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
