package websocket

import (
	"context"
	"errors"
)

// errReadClosed is returned by reading methods after CloseRead.
var errReadClosed = errors.New("websocket: CloseRead was called: nobody reads messages from this connection any more")

// CloseRead is for handlers that only write. From now on no message is expected: a
// goroutine of the connection reads, so that pings are answered and the end of the
// connection is seen when it comes. A data message, even one that has arrived
// already and was not read, ends the connection with [StatusPolicyViolation].
//
// The returned context is derived from ctx and is done as soon as the connection
// closes, from either side; its [context.Cause] is then the [*CloseError]. When
// ctx ends before that, the connection is closed with [StatusGoingAway], without
// waiting for the peer. A nil ctx stands for [context.Background].
//
// In an HTTP handler that has called [Accept], r.Context() is a good choice: it
// ends when the handler returns or panics, so that the connection does not outlive
// it. With a context that does not end, the connection lives until the peer or a
// call closes it, since the goroutine refers to it.
//
// Reading methods, and [Loop.Attach], return an error from now on. A call that is
// under way gets its message first. CloseRead may be called again, and from any
// goroutine. On a connection of a [Loop], which reads in any case, messages still
// go to the handler, and CloseRead does no more than to return the context.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	life := c.Context()
	context.AfterFunc(life, func() { cancel(context.Cause(life)) })
	context.AfterFunc(ctx, func() { c.startClose(StatusGoingAway, "") }) // nothing happens if it is closing
	if !c.in.readLock.onLoop() {
		c.in.flags.set(readClosed)
		c.startControlReader()
	}
	return ctx
}
