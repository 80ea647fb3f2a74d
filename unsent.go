package websocket

import "net"

// limitUnsent limits the connection under TLS, if there is one.
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
