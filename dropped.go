package websocket

import (
	"errors"
	"runtime"
	"weak"
)

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
