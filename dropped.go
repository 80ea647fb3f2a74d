package websocket

import (
	"errors"
	"runtime"
	"weak"
)

// A connection that the program has dropped, as a handler does that panics
// after Accept, is collected, and the descriptor is closed by package net. So
// nothing that lives on by itself may refer to a Conn: a timer and the
// registration with a context hold it weakly. A goroutine of the library that
// works for a caller refers to it until its work is done, and so do a Loop and a
// Server until the connection has ended.

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

// endWhenDropped ends ctx when c is collected, for those who wait for that and
// do not refer to c. The pointer to ctx is weak because what users have hung on
// a context may refer to c.
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
