//go:build !unix || ws_plain

package websocket

import (
	"net"
	"syscall"
)

func newSocket(nc net.Conn, _ syscall.Conn) transport { return nil }
