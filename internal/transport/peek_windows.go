//go:build !ws_plain

package transport

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// observeSocket asks how many bytes have arrived and were not read yet. None of its
// calls waits, even if another goroutine reads meanwhile. A socket that is readable
// and has no bytes has ended or has failed.
func observeSocket(rc syscall.RawConn) (st State) {
	rc.Control(func(fd uintptr) {
		s := windows.Handle(fd)
		unread, err := unreadBytes(s)
		if unread == 0 && err == nil && pollSocket(s, pollIn) {
			unread, err = unreadBytes(s) // they may have arrived just now
			st.Ended = unread == 0
		}
		st.Ended = st.Ended || err != nil
		st.Visible, st.Input, st.Unread = true, int64(unread), unread > 0
		// The system announces about as much room as the buffer's size, and the room
		// may be too small for the next segment some segments before the buffer is
		// full.
		size, err := windows.GetsockoptInt(s, windows.SOL_SOCKET, windows.SO_RCVBUF)
		st.Full = unread > 0 && (err != nil || int(unread) >= size/2)
	})
	return st
}

// fionread is FIONREAD of winsock2.h.
const fionread = 0x4004667f

// unreadBytes returns how many bytes could be read from a socket at once.
func unreadBytes(s windows.Handle) (uint32, error) {
	var unread, n uint32
	err := windows.WSAIoctl(s, fionread, nil, 0, (*byte)(unsafe.Pointer(&unread)), uint32(unsafe.Sizeof(unread)), &n, nil, 0)
	return unread, err
}
