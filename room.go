package websocket

import (
	"net"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// beneath returns the connection under TLS, or nc itself if it is not TLS.
func beneath(nc net.Conn) net.Conn {
	for {
		if p, ok := nc.(*pollable); ok {
			nc = p.get()
		}
		over, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = over.NetConn()
	}
}

// inputIn reports whether there is unread input on nc or, for TLS, on the
// connection under it. known says whether that can be seen.
func inputIn(nc net.Conn) (waits, known bool) {
	switch nc := beneath(nc).(type) {
	case *bufpipe.Conn:
		st := nc.State()
		return st.Unread || st.Ended, true
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil && canPoll {
			return readable(rc), true
		}
	}
	return false, false
}

// roomIn reports whether a write of a few kilobytes to nc would not have to wait;
// known says whether that can be seen.
func roomIn(nc net.Conn) (room, known bool) {
	switch nc := beneath(nc).(type) {
	case *bufpipe.Conn:
		return nc.HasRoom(), true
	case *pump.Conn: // not blocked: room is not known
		return false, nc.Blocked()
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil && canPoll {
			return writable(rc), true
		}
	}
	return false, false
}
