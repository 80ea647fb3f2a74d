package websocket

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"
)

// netCalls gives the calls of a netConn their contexts: one for the reads, one for
// the writes, which end with the deadline of that direction and with base.
//
// It is registered with base only while a call is under way, or while a function is
// registered with one of its contexts, as one of the connection's is until its end.
// base and the timers hold it by weak pointers, so that they do not keep the
// connection alive.
type netCalls struct {
	base context.Context

	mu     sync.Mutex // guards what follows, and the contexts; of foreign code, only methods of base are called under it
	ways   [2]deadline
	users  int         // calls under way, and functions registered with the contexts
	stop   func() bool // removes the registration with base; nil if there is none
	undo   runtime.Cleanup
	closed bool
}

// direction is the direction of a call.
type direction uint8

const (
	forReads direction = iota
	forWrites
)

// deadline is the deadline of one direction, and the context that it ends.
type deadline struct {
	at    time.Time    // when; zero for never
	timer *time.Timer  // fires at that time or, if the deadline was moved, at another one; made on demand
	ctx   *callContext // for the calls from now on; made on demand
}

// passed reports whether the deadline has passed.
func (d *deadline) passed() bool { return !d.at.IsZero() && time.Until(d.at) <= 0 }

// errDeadline is the error of a context that a deadline has ended. It is not a
// timeout, because later calls return it as the cause if the connection has ended
// by it.
var errDeadline = errors.New("websocket: deadline exceeded")

// begin returns the context for a call in direction way. The caller calls end when
// the call is done. The context may have ended already. The error is net.ErrClosed.
func (s *netCalls) begin(way direction) (*callContext, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	d := &s.ways[way]
	if d.ctx == nil {
		d.ctx = &callContext{s: s, done: make(chan struct{})}
	}
	s.useLocked()
	if err := s.base.Err(); err != nil { // perhaps before the registration
		d.ctx.endLocked(err)
	} else if d.passed() {
		d.ctx.endLocked(errDeadline)
	}
	return d.ctx, nil
}

func (s *netCalls) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unuseLocked(1)
}

func (s *netCalls) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// close removes the registration and stops the timers, for good.
func (s *netCalls) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.unregisterLocked()
	for i := range s.ways {
		d := &s.ways[i]
		d.at = time.Time{}
		if d.timer != nil {
			d.timer.Stop()
		}
	}
}

// setDeadlines moves the deadline of each direction to t, for calls under way, too.
// A zero t is no deadline. The error is net.ErrClosed.
func (s *netCalls) setDeadlines(t time.Time, ways ...direction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	for _, way := range ways {
		s.moveLocked(way, t)
	}
	return nil
}

func (s *netCalls) moveLocked(way direction, t time.Time) {
	d := &s.ways[way]
	d.at = t
	if d.timer != nil {
		d.timer.Stop() // it may fire all the same; fire checks the deadline
	}
	if d.ctx != nil && d.ctx.err == errDeadline {
		d.ctx = nil // the new deadline holds for calls from now on
	}
	switch {
	case t.IsZero():
	case d.passed():
		if d.ctx != nil {
			d.ctx.endLocked(errDeadline)
		}
	case d.timer != nil:
		d.timer.Reset(time.Until(t))
	default:
		w := weak.Make(s)
		d.timer = time.AfterFunc(time.Until(t), func() {
			if s := w.Value(); s != nil {
				s.fire(way)
			}
		})
	}
}

// fire is called by the timer. The deadline may have been moved or cleared since
// the timer was set; only its present value counts.
func (s *netCalls) fire(way direction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch d := &s.ways[way]; {
	case d.at.IsZero():
	case !d.passed():
		d.timer.Reset(time.Until(d.at))
	case d.ctx != nil:
		d.ctx.endLocked(errDeadline)
	}
}

// baseEnded is called after the end of base.
func (s *netCalls) baseEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.ways {
		if ctx := s.ways[i].ctx; ctx != nil {
			ctx.endLocked(s.base.Err())
		}
	}
}

// useLocked adds a user, and registers with base for the first one, unless base has
// ended. The caller checks afterwards whether base has ended.
func (s *netCalls) useLocked() {
	if s.users++; s.stop != nil || s.closed || s.base.Done() == nil || s.base.Err() != nil {
		return
	}
	w := weak.Make(s)
	s.stop = context.AfterFunc(s.base, func() {
		if s := w.Value(); s != nil {
			s.baseEnded()
		}
	})
	s.undo = runtime.AddCleanup(s, func(stop func() bool) { stop() }, s.stop)
}

// unuseLocked removes n users.
func (s *netCalls) unuseLocked(n int) {
	if s.users -= n; s.users == 0 {
		s.unregisterLocked()
	}
}

func (s *netCalls) unregisterLocked() {
	if s.stop != nil {
		s.stop()
		s.undo.Stop()
		s.stop, s.undo = nil, runtime.Cleanup{}
	}
}

// callContext is the context of calls in one direction, until a deadline passes.
// Package context starts no goroutine for it, because it has a method AfterFunc.
type callContext struct {
	s     *netCalls
	done  chan struct{}
	err   error     // once it has ended
	funcs []*func() // to be called when it ends
}

// Deadline returns no deadline, since the deadline may be moved.
func (x *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (x *callContext) Done() <-chan struct{}       { return x.done }

// Value returns nil. With the values of base, [context.Cause] would ask base, which
// has not ended when a deadline passes.
func (x *callContext) Value(any) any { return nil }

func (x *callContext) Err() error {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	return x.err
}

// AfterFunc is called by [context.AfterFunc] and by derived contexts.
func (x *callContext) AfterFunc(f func()) (stop func() bool) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	if x.err != nil {
		go f()
		return func() bool { return false }
	}
	x.s.useLocked()
	x.funcs = append(x.funcs, &f)
	if err := x.s.base.Err(); err != nil {
		x.endLocked(err)
	}
	return func() bool { return x.remove(&f) }
}

// remove undoes AfterFunc, and reports whether f was still registered.
func (x *callContext) remove(f *func()) bool {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	i := slices.Index(x.funcs, f)
	if i < 0 {
		return false
	}
	x.funcs = slices.Delete(x.funcs, i, i+1)
	x.s.unuseLocked(1)
	return true
}

// endLocked ends x because of err, if it has not ended.
func (x *callContext) endLocked(err error) {
	if x.err != nil {
		return
	}
	x.err = err
	close(x.done)
	for _, f := range x.funcs {
		go (*f)()
	}
	x.s.unuseLocked(len(x.funcs))
	x.funcs = nil
}
