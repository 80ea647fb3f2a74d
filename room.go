package websocket

import (
	"net"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// beneath returns what TLS is made of, and nc itself if it is not TLS.
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

// inputIn reports whether something has arrived on nc, or what it is made of, that
// nobody has taken yet; known tells whether that can be told.
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
// known tells whether that can be told.
func roomIn(nc net.Conn) (room, known bool) {
	switch nc := beneath(nc).(type) {
	case *bufpipe.Conn:
		return nc.HasRoom(), true
	case *pump.Conn: // else it is not known
		return false, nc.Blocked()
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil && canPoll {
			return writable(rc), true
		}
	}
	return false, false
}
