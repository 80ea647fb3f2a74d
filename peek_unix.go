//go:build unix && !linux

package websocket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// readable reports whether a read from the socket would not wait, because of
// input, the end of it, or an error. The error is lost.
func readable(rc syscall.RawConn) (ready bool) {
	err := rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		ready = err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err == nil && ready
}

const canPoll = true

// writable reports whether a write to the socket would not wait for the peer.
func writable(rc syscall.RawConn) (ready bool) {
	err := rc.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		ready = n > 0 || err != nil
	})
	return err != nil || ready
}
