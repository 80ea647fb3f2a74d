package websocket

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// withDeadlines returns nc if it has deadlines, as sockets and TLS over them do.
// For any other connection it tries to clear the deadline, which costs one call. If
// that fails it returns a pump on nc, which owns nc from there on.
func withDeadlines(nc net.Conn) net.Conn {
	if hasDeadlines(nc) || nc.SetDeadline(time.Time{}) == nil {
		return nc
	}
	return pump.New(nc)
}

// hasDeadlines reports whether nc has deadlines, as far as its type shows that.
func hasDeadlines(nc net.Conn) bool {
	switch nc := nc.(type) {
	case *net.TCPConn, *net.UnixConn, *pollable, *pump.Conn, *bufpipe.Conn:
		return true
	case *tls.Conn: // it passes them to the connection under it
		return hasDeadlines(nc.NetConn())
	}
	return false
}

// unpumped returns the connection under a pump, or nc itself.
func unpumped(nc net.Conn) net.Conn {
	if p, ok := nc.(*pump.Conn); ok {
		return p.Conn
	}
	return nc
}

// DeadlineListener returns ln with deadlines for connections that have none, such
// as channels of SSH. A [net/http.Server] needs it for a listener of such
// connections: without it, Hijack, and so [Accept] and [Server], would wait for
// ever, because net/http interrupts its own read by a deadline. Connections that
// have deadlines are returned as they are. Under TLS, put it below
// [crypto/tls.NewListener].
//
// [NewConn], [Loop.Serve], and [Dial] with a dialer of the user's need no such
// help.
func DeadlineListener(ln net.Listener) net.Listener { return deadlineListener{ln} }

type deadlineListener struct{ net.Listener }

func (l deadlineListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return withDeadlines(nc), nil
}
