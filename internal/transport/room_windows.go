//go:build !ws_plain

package transport

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

const canPoll = true

// readable reports whether a read from the socket would not wait, because of
// input, the end of it, or an error.
func readable(rc syscall.RawConn) bool { return ready(rc, pollIn) }

// writable reports whether a write of a little to the socket would not wait.
func writable(rc syscall.RawConn) bool { return ready(rc, pollOut) }

func ready(rc syscall.RawConn, events int16) (ready bool) {
	err := rc.Control(func(fd uintptr) { ready = pollSocket(windows.Handle(fd), events) })
	return ready || err != nil
}

// Events of WSAPoll: POLLRDNORM and POLLWRNORM of winsock2.h.
const (
	pollIn  = 0x0100
	pollOut = 0x0010
)

// pollFd is WSAPOLLFD of winsock2.h.
type pollFd struct {
	fd      windows.Handle
	events  int16
	revents int16
}

var wsaPoll = windows.NewLazySystemDLL("ws2_32.dll").NewProc("WSAPoll")

// pollSocket reports, without waiting, whether one of events holds for s, or s has
// ended or failed.
func pollSocket(s windows.Handle, events int16) bool {
	p := pollFd{fd: s, events: events}
	n, _, _ := wsaPoll.Call(uintptr(unsafe.Pointer(&p)), 1, 0)
	return int32(n) != 0 // negative if it has failed
}
