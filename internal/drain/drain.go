// Package drain counts operations under way, so that a shutdown can refuse new ones
// and wait until the others have ended.
package drain

import (
	"context"
	"sync"
)

// Group counts operations under way. Unlike with a [sync.WaitGroup], operations may
// begin during a Wait, until the group is closed. The zero value is ready for use,
// by any number of goroutines.
type Group struct {
	mu     sync.Mutex
	n      int           // guarded by mu
	closed bool          // guarded by mu
	idle   chan struct{} // guarded by mu: closed when n is 0; nil if no Wait is under way
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

// Count returns how many operations are under way.
func (g *Group) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Close makes each later Enter return false. It may be called repeatedly.
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

// whenIdle returns a channel that is closed when nothing is under way any more, or
// nil if nothing is now.
func (g *Group) whenIdle() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n > 0 && g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}
