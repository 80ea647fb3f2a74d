package websocket

import (
	"net"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// observe observes the connection under TLS, if there is one: for keepalive an
// incomplete record is a sign of life too. Of any other net.Conn only the progress
// of a long write is known.
func (s *stream) observe(to *activity) {
	nc := s.Conn
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn()
	}
	if p, ok := nc.(*pollable); ok {
		nc = p.get()
	}
	to.acked = s.progress.Load()
	switch nc := nc.(type) {
	case *bufpipe.Conn:
		st := nc.State()
		*to = activity{lastInput: to.lastInput, input: int64(st.Received), unread: st.Unread, visible: true, full: st.Full,
			ended: st.Ended, acked: int64(st.Taken), counted: true, unacked: int64(st.Waiting), system: true}
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil {
			observeSocket(rc, to)
		}
	}
}
