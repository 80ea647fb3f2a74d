package transport

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// WithDeadlines returns nc if it has deadlines, as sockets and TLS over them do.
// For any other connection it tries to clear the deadline, which costs one call. If
// that fails it returns a pump on nc, which owns nc from there on.
func WithDeadlines(nc net.Conn) net.Conn {
	if hasDeadlines(nc) || nc.SetDeadline(time.Time{}) == nil {
		return nc
	}
	return pump.New(nc)
}

// hasDeadlines reports whether nc has deadlines, as far as its type shows that.
func hasDeadlines(nc net.Conn) bool {
	switch nc := nc.(type) {
	case *net.TCPConn, *net.UnixConn, *Pollable, *pump.Conn, *bufpipe.Conn:
		return true
	case *tls.Conn: // it passes them to the connection under it
		return hasDeadlines(nc.NetConn())
	}
	return false
}

// Unpumped returns the connection under a pump, or nc itself.
func Unpumped(nc net.Conn) net.Conn {
	if p, ok := nc.(*pump.Conn); ok {
		return p.Conn
	}
	return nc
}
