//go:build !ws_unix && !ws_plain

package transport

import (
	"syscall"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

func observeSocket(rc syscall.RawConn) (st State) {
	rc.Control(func(fd uintptr) { st = ProbeDescriptor(int(fd)) })
	return st
}

// ProbeDescriptor is Probe(AskPeer) for a socket. It asks the system, which for TCP
// counts the bytes of both directions.
func ProbeDescriptor(fd int) (st State) {
	seen, err := epoll.Inspect(fd)
	if err != nil {
		return st // nothing can be seen
	}
	st.Visible, st.System = true, true
	st.Unread, st.Full, st.Ended = seen.Unread > 0, seen.Full, seen.Ended
	st.Unacked = int64(seen.Unacked)
	if st.Counted = seen.TCP; seen.TCP {
		st.Input, st.Acked, st.Window = int64(seen.Received), int64(seen.Acked), int64(seen.Window)
	} else {
		st.Input = int64(seen.Unread)
	}
	return st
}
