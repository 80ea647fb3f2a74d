package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
)

// The calls of the user's hooks. On a connection of a loop they run on goroutines
// that many connections share, so there a hook's panic is contained as an
// EventHandler's is. Elsewhere a panic passes to the caller.

func (c *Conn) traceIn(h *Header) {
	if tr := c.opts.Trace; tr != nil {
		c.traceFrame("FrameIn", tr.FrameIn, h)
	}
}

// traceOut may be called with out.mu held.
func (c *Conn) traceOut(h *Header) {
	if tr := c.opts.Trace; tr != nil {
		c.traceFrame("FrameOut", tr.FrameOut, h)
	}
}

// traceFrame is not inlined, so that its callers are.
//
//go:noinline
func (c *Conn) traceFrame(name string, hook func(*Conn, Header), h *Header) {
	if hook != nil {
		c.runHook(name, func() { hook(c, *h) })
	}
}

func (c *Conn) traceClose() {
	if tr := c.opts.Trace; tr != nil && tr.Close != nil {
		c.runHook("Close", func() { tr.Close(c, c.life.cause.Load()) })
	}
}

func (c *Conn) runHook(name string, hook func()) {
	if !c.in.readLock.onLoop() {
		hook()
		return
	}
	returned := false
	defer c.containHook(name, &returned)
	hook()
	returned = true
}

// errHookExit ends a connection whose hook has ended the goroutine, which may have
// been at any point of its work.
var errHookExit = errors.New("websocket: a hook of Options.Trace called runtime.Goexit")

// containHook confines a hook's panic to its connection. The caller may hold locks,
// so another goroutine ends the connection.
func (c *Conn) containHook(name string, returned *bool) {
	switch v := recover(); {
	case v == http.ErrAbortHandler:
		go c.CloseNow()
	case v != nil:
		c.logPanic("Trace."+name, v)
		go c.startClose(StatusInternalError, "")
	case !*returned:
		go c.fault(errHookExit)
	}
}

// logPanic reports a panic in the user's code.
func (c *Conn) logPanic(where string, v any) {
	c.opts.Logger.Error("websocket: panic in "+where, "panic", fmt.Sprint(v),
		"remote", c.RemoteAddr().String(), "stack", string(debug.Stack()))
}
