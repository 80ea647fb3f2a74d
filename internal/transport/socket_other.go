//go:build !unix || ws_plain

package transport

import (
	"net"
	"syscall"
)

func newSocket(nc net.Conn, _ syscall.Conn) Conn { return nil }
