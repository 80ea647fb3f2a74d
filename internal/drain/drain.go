// Package drain counts what is under way, so that a shutdown can let nothing more
// begin and wait until the rest has ended.
package drain

import (
	"context"
	"sync"
)

// Group counts what is under way. Unlike with a [sync.WaitGroup], more may begin
// while somebody waits, until the group is closed. The zero value is ready for use,
// by any number of goroutines.
type Group struct {
	mu     sync.Mutex
	n      int           // guarded by mu
	closed bool          // guarded by mu
	idle   chan struct{} // guarded by mu: closed when n is 0; nil if nobody waits
}

// Enter counts one more and returns true, unless the group is closed. Each Enter that
// has returned true is followed by one Leave.
func (g *Group) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

// Leave undoes Enter.
func (g *Group) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Count returns how many have entered and not left.
func (g *Group) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Close has each Enter from now on return false. It may be called repeatedly.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Wait waits until nothing is under way and returns nil, or until ctx ends and
// returns its error. If both have happened it returns nil.
func (g *Group) Wait(ctx context.Context) error {
	if idle := g.whenIdle(); idle != nil {
		return await(ctx, idle)
	}
	return nil
}

// await waits until idle is closed, or ctx ends.
func await(ctx context.Context, idle <-chan struct{}) error {
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-idle:
		return nil
	default:
		return ctx.Err()
	}
}

// whenIdle returns a channel that is closed when nothing is under way, nil if nothing
// is.
func (g *Group) whenIdle() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n > 0 && g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}
