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
	nc := s.Conn
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if p, ok := nc.(*pollable); ok {
		nc = p.get()
	}
	switch nc := nc.(type) {
	case syscall.Conn:
		rc, err := nc.SyscallConn()
		return err == nil && readable(rc)
	case interface{ InputWaits() bool }:
		return nc.InputWaits()
	}
	return false
}
