package websocket

import (
	"net"
	"syscall"
)

// inputWaits reports whether something has arrived on t that nobody has taken
// yet. Where that cannot be told it returns false.
func inputWaits(t transport) bool {
	p, ok := t.(interface{ inputWaits() bool })
	return ok && p.inputWaits()
}

// inputWaits is about what TLS is made of, if it is TLS: as keepalive sees it,
// a record that is not complete is a sign of life too.
func (s *stream) inputWaits() bool {
	waits, _ := inputIn(s.Conn)
	return waits
}

// inputIn reports whether something has arrived on nc, or what it is made of, that
// nobody has taken yet; known tells whether that can be told.
func inputIn(nc net.Conn) (waits, known bool) {
	switch nc := beneath(nc).(type) {
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil && canPoll {
			return readable(rc), true
		}
	case interface{ InputWaits() bool }:
		return nc.InputWaits(), true
	}
	return false, false
}

// beneath returns what TLS is made of, and nc itself if it is not TLS.
func beneath(nc net.Conn) net.Conn {
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if p, ok := nc.(*pollable); ok {
		nc = p.get()
	}
	return nc
}

// roomIn reports whether a write of a few kilobytes to nc would not have to wait;
// known tells whether that can be told.
func roomIn(nc net.Conn) (room, known bool) {
	switch nc := beneath(nc).(type) {
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil && canPoll {
			return writable(rc), true
		}
	case interface{ HasRoom() bool }:
		return nc.HasRoom(), true
	}
	return false, false
}
