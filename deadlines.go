package websocket

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// withDeadlines returns nc if it has deadlines, as sockets and TLS over them do.
// Any other connection is asked to clear its deadline, which costs one call, and if
// it cannot, is put under a pump, which owns it from there on.
func withDeadlines(nc net.Conn) net.Conn {
	if hasDeadlines(nc) || nc.SetDeadline(time.Time{}) == nil {
		return nc
	}
	return pump.New(nc)
}

// hasDeadlines reports whether the type of nc tells that it has deadlines.
func hasDeadlines(nc net.Conn) bool {
	switch nc := nc.(type) {
	case *net.TCPConn, *net.UnixConn, *pollable, *pump.Conn, *bufpipe.Conn:
		return true
	case *tls.Conn: // it hands them to what is under it
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
// connections: without it, its Hijack and so [Accept] and [Server] wait for ever
// there, because net/http interrupts a read of its own by a deadline. Connections
// that have deadlines pass as they are. Under TLS, put it below
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
