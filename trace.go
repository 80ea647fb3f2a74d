package websocket

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

// Hooks of a Trace run on a goroutine of their own, one after the other, in the
// order of what they report. So none is called under a lock or in the middle of an
// operation, and each may call any method of the connection. The goroutine ends when
// no call is due.

// hooks are the calls that are due, the oldest first. life.mu guards them.
type hooks struct{ due []hookCall }

type hookCall struct {
	name string
	call func()
}

// hooksBehind is how many calls may be due before the reader slows down.
const hooksBehind = 1000

func (c *Conn) traceIn(h *Header) {
	if tr := c.opts.Trace; tr != nil {
		c.traceInput(tr, h)
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
		frame := *h
		c.addHook(name, func() { hook(c, frame) })
	}
}

// traceCloseLocked is called just before over is set.
func (l *life) traceCloseLocked(c *Conn) {
	if tr := c.opts.Trace; tr != nil && tr.Close != nil {
		l.addHookLocked(c, "Close", func() { tr.Close(c, l.cause.Load()) })
	}
}

// addHook makes a call due, unless Close was the last.
func (c *Conn) addHook(name string, call func()) {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.addHookLocked(c, name, call)
	}
}

func (l *life) addHookLocked(c *Conn, name string, call func()) {
	x := l.extraLocked()
	if x.hooks == nil {
		x.hooks = new(hooks)
		go c.runHooks()
	}
	x.hooks.due = append(x.hooks.due, hookCall{name, call})
}

// traceInput keeps the reader from getting far ahead of the hooks, since the peer
// decides how many frames come: it waits a microsecond for each call that is too
// many. It does not wait until a hook returns, because the hook may wait for a frame.
func (c *Conn) traceInput(tr *Trace, h *Header) {
	c.traceFrame("FrameIn", tr.FrameIn, h)
	due := 0
	c.life.mu.Lock()
	if x := c.life.extra; x != nil && x.hooks != nil {
		due = len(x.hooks.due)
	}
	c.life.mu.Unlock()
	if due > hooksBehind {
		time.Sleep(time.Duration(due-hooksBehind) * time.Microsecond)
	}
}

// runHooks makes the calls that are due. A hook may end the goroutine by
// runtime.Goexit; then another one goes on.
func (c *Conn) runHooks() {
	returned := false
	defer func() {
		if !returned {
			go c.runHooks()
			c.startClose(StatusInternalError, "")
		}
	}()
	for {
		h, ok := c.life.nextHook()
		if !ok {
			break
		}
		c.runHook(h)
	}
	returned = true
}

func (c *Conn) runHook(h hookCall) {
	defer c.containPanic("Trace." + h.name)
	h.call()
}

// nextHook removes and returns the oldest call. If there is none, the goroutine of
// runHooks ends.
func (l *life) nextHook() (next hookCall, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.extra.hooks
	if len(h.due) == 0 {
		l.extra.hooks = nil
		l.trimExtraLocked()
		return next, false
	}
	next, h.due[0] = h.due[0], hookCall{}
	h.due = h.due[1:]
	return next, true
}

// containPanic is deferred. It confines a panic of the user's code to its connection.
func (c *Conn) containPanic(where string) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		c.CloseNow()
	default:
		c.opts.Logger.Error("websocket: panic in "+where, "panic", fmt.Sprint(v),
			"remote", c.RemoteAddr().String(), "stack", string(debug.Stack()))
		c.startClose(StatusInternalError, "")
	}
}
