//go:build !ws_unix && !ws_plain

package transport

import (
	"errors"
	"net"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// limitUnsent limits the bytes that the socket nc holds.
func limitUnsent(nc net.Conn, n int) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := rc.Control(func(fd uintptr) { err = epoll.LimitUnsent(int(fd), n) }); cerr != nil {
		return cerr
	}
	return err
}
