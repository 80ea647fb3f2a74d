//go:build !ws_unix && !ws_plain

package websocket

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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
	if cerr := rc.Control(func(fd uintptr) { err = limitDescriptor(int(fd), n) }); cerr != nil {
		return cerr
	}
	return err
}

// limitDescriptor limits the bytes that a socket holds: unsent bytes for TCP, bytes
// that the peer has not read for a Unix socket.
func limitDescriptor(fd, n int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
	if err == unix.EOPNOTSUPP || err == unix.ENOPROTOOPT {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n)
	}
	return os.NewSyscallError("setsockopt", err)
}
