//go:build !ws_unix && !ws_plain

package transport

import "net"

// tellsTaken reports whether the system counts what the peer of nc has taken.
func tellsTaken(nc net.Conn) bool {
	_, ok := nc.(*net.TCPConn)
	return ok
}
