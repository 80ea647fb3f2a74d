//go:build !ws_unix && !ws_plain

package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// minSendBuffer is the least size of a send buffer, as the system counts, of which
	// the third that is free when the socket is writable holds MaxRoom bytes in TLS. The
	// system counts its own overhead, which for small packets is twice their bytes.
	minSendBuffer = 64 << 10
	// minNotSent is the least TCP_NOTSENT_LOWAT, of which half is free then.
	minNotSent = 16 << 10
)

// roomy reports whether the socket takes n bytes in TLS, at most MaxRoom, when it is
// writable: not if its send buffer is very small, or the bytes that it may hold.
func roomy(rc syscall.RawConn, _ int) bool {
	fits := false
	err := rc.Control(func(fd uintptr) {
		size, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
		if err != nil || size < minSendBuffer {
			return
		}
		// A limit that was never set is 0. Another socket than TCP has none.
		low, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
		fits = err != nil || uint32(low) == 0 || uint32(low) >= minNotSent
	})
	return err == nil && fits
}
