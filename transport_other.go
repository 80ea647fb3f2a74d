//go:build !unix

package websocket

import (
	"net"
	"syscall"
)

func newIdleReader(nc interface {
	net.Conn
	syscall.Conn
}) idleReader {
	return &byteReader{nc: nc}
}
