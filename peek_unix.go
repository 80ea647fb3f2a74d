//go:build unix && !linux

package websocket

import "syscall"

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
