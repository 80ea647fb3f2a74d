//go:build unix && (!linux || ws_unix) && !ws_plain

package transport

import (
	"syscall"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// observeSocket peeks at unread input, at most a buffer of it. That consumes an
// error of the socket, which counts as its end.
func observeSocket(rc syscall.RawConn) (st State) {
	b := buffer.Get(buffer.MaxRead)
	defer buffer.Put(b)
	rc.Control(func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), b.B[:cap(b.B)], syscall.MSG_PEEK)
		switch err {
		case nil:
			st.Input, st.Unread, st.Full, st.Ended = int64(n), n > 0, n == cap(b.B), n == 0
		case syscall.EAGAIN, syscall.EINTR:
		default:
			st.Ended = true
		}
		st.Visible = true
	})
	return st
}
