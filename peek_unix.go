//go:build unix && (!linux || ws_unix) && !ws_plain

package websocket

import "syscall"

// observeSocket peeks at unread input, at most a buffer of it. That consumes an
// error of the socket, which counts as its end.
func observeSocket(rc syscall.RawConn, to *activity) {
	b := getBuffer(maxReadSize)
	defer putBuffer(b)
	rc.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), b.b[:cap(b.b)], syscall.MSG_PEEK)
		switch err {
		case nil:
			to.input, to.unread, to.full, to.ended = int64(n), n > 0, n == cap(b.b), n == 0
		case syscall.EAGAIN, syscall.EINTR:
		default:
			to.ended = true
		}
		to.visible = true
	})
}
