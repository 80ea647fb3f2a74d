package websocket

import (
	"errors"
	"fmt"
	"net"
)

// LimitUnsent has the system take no more than about n bytes that it cannot send
// yet, where it would otherwise take megabytes. What does not fit waits in the
// connection: [Conn.Buffered] counts it, [Conn.Drained] and [ErrBackpressure]
// tell of it. It is for producers that have something better to send later than
// a backlog now, since what the system has taken must leave, however old it is.
//
// On Linux the limit is TCP_NOTSENT_LOWAT, for TCP and for TLS over it, on a
// [Loop] or not. Bytes that are on their way do not count, so a peer that reads
// is served as fast as before; 16 KiB is a good value. The system fills the
// segment that it has begun, and may so take up to 64 KiB more. On other systems,
// and for Unix sockets, the limit is the size of the send buffer. There bytes on
// their way count, so that no more than n bytes leave per round trip.
//
// The limit does not concern what the peer's system has received and the peer
// has not read.
//
// LimitUnsent may be called at any time; the last call is the one that counts.
// The error wraps [errors.ErrUnsupported] if the connection is not over a socket
// that can be reached, as a [Pipe]; it is the [*CloseError] if the connection has
// ended.
func (c *Conn) LimitUnsent(n int) error {
	if n <= 0 {
		return fmt.Errorf("websocket: cannot limit unsent bytes to %d", n)
	}
	t, ok := c.carrier().(interface{ limitUnsent(n int) error })
	if !ok {
		return fmt.Errorf("websocket: limiting unsent bytes: %w", errors.ErrUnsupported)
	}
	err := t.limitUnsent(n)
	if err == nil {
		return nil
	}
	if cause := c.life.cause.Load(); cause != nil {
		return cause
	}
	return fmt.Errorf("websocket: limiting unsent bytes: %w", err)
}

// limitUnsent is about what TLS is made of, if it is TLS.
func (s *stream) limitUnsent(n int) error {
	nc := s.Conn
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if p, ok := nc.(*pollable); ok {
		nc = p.get()
	}
	return limitUnsent(nc, n)
}
