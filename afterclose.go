package websocket

import (
	"errors"
	"runtime"
	"weak"
)

// AfterClose has f called in a goroutine of its own when the connection closes, from
// either side: when the context of [Conn.Context] is done. It is for tables of very
// many connections, since it takes less than a hundred bytes, where
// [context.AfterFunc] takes some five hundred. f may call any method of c.
//
// stop takes that back. It reports whether it has kept f from being called, and does
// not wait for a call under way. The error is that with which c is closing already:
// then f is not called, and stop is nil.
//
// A connection that the program drops without closing it does not close, and f goes
// with it.
func (c *Conn) AfterClose(f func()) (stop func() bool, err error) {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if cause := l.cause.Load(); cause != nil {
		return nil, cause
	}
	r := l.extraLocked()
	if r.bound.ctxOver {
		return nil, r.writeErr
	}
	a := &afterClose{conn: c, call: f, next: r.after}
	if a.next != nil {
		a.next.prev = a
	}
	r.after = a
	return a.stop, nil
}

// afterClose is a call that is due when the connection closes, one of a list.
// life.mu guards it, but for conn, which does not change.
type afterClose struct {
	conn       *Conn
	call       func() // nil once it was called or taken back
	next, prev *afterClose
}

func (a *afterClose) stop() bool {
	l := &a.conn.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.call == nil {
		return false
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		l.extra.after = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.call, a.next, a.prev = nil, nil, nil
	return true
}

// watchers are those that learn that the connection closes.
type watchers struct {
	ctx   *lifeContext // nil if there is none
	calls []func()
}

// takeWatchersLocked returns the watchers, each call once. l may be without extra.
func (l *life) takeWatchersLocked() (w watchers) {
	if l.extra == nil {
		return w
	}
	w.ctx = l.extra.ctx
	for a := l.extra.after; a != nil; {
		next := a.next
		w.calls = append(w.calls, a.call)
		a.call, a.next, a.prev = nil, nil, nil
		a = next
	}
	l.extra.after = nil
	return w
}

// tell tells the watchers. The caller holds no lock.
func (w *watchers) tell(cause error) {
	if w.ctx != nil {
		w.ctx.cancel(cause)
	}
	for _, f := range w.calls {
		go f()
	}
}

// A connection that the program has dropped, for example by a panic after Accept,
// is collected, and package net closes the descriptor. So timers and registrations
// with contexts refer to a Conn weakly. A goroutine of the library that works for a
// caller refers to the Conn until its work is done, and a Loop or a Server refers
// to it until the connection has ended.

var errDropped = errors.New("the program has dropped the connection without closing it")

// weakCallback returns a function that calls f for c, unless c has been collected by
// then.
func (c *Conn) weakCallback(f func(*Conn)) func() {
	conn := weak.Make(c)
	return func() {
		if c := conn.Value(); c != nil {
			f(c)
		}
	}
}

// tracked reports whether a table of the library holds c until it has ended.
func (c *Conn) tracked() bool { return c.in.flags.has(serverTracked) || c.in.readLock.onLoop() }

// endWhenDropped ends ctx when c is collected, for goroutines that wait for ctx and
// do not refer to c. The pointer to ctx is weak because functions and contexts that
// users have attached to ctx may refer to c.
func (c *Conn) endWhenDropped(ctx *lifeContext) {
	if c.tracked() {
		return
	}
	runtime.AddCleanup(c, func(w weak.Pointer[lifeContext]) {
		if ctx := w.Value(); ctx != nil {
			ctx.cancel(&CloseError{Code: StatusAbnormalClosure, Err: errDropped})
		}
	}, weak.Make(ctx))
}
