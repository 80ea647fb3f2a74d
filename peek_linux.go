//go:build !ws_unix && !ws_plain

package websocket

import (
	"syscall"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

func observeSocket(rc syscall.RawConn, to *activity) {
	rc.Control(func(fd uintptr) { observeDescriptor(int(fd), to) })
}

// observeDescriptor asks the system, which for TCP counts the bytes of both
// directions.
func observeDescriptor(fd int, to *activity) {
	st, err := epoll.Inspect(fd)
	if err != nil {
		return // nothing can be seen
	}
	to.visible, to.system = true, true
	to.unread, to.full, to.ended = st.Unread > 0, st.Full, st.Ended
	to.unacked = int64(st.Unacked)
	if to.counted = st.TCP; st.TCP {
		to.input, to.acked, to.window = int64(st.Received), int64(st.Acked), int64(st.Window)
	} else {
		to.input = int64(st.Unread)
	}
}
