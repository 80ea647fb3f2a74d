//go:build unix && !ws_plain

package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const canPoll = true

// readable reports whether a read from the socket would not wait, because of
// input, the end of it, or an error.
func readable(rc syscall.RawConn) bool { return ready(rc, unix.PollFd{Events: unix.POLLIN}) }

// writable reports whether a write of a little to the socket would not wait.
func writable(rc syscall.RawConn) bool { return ready(rc, unix.PollFd{Events: unix.POLLOUT}) }

func ready(rc syscall.RawConn, what unix.PollFd) (ready bool) {
	err := rc.Control(func(fd uintptr) {
		what.Fd = int32(fd)
		for {
			n, err := unix.Poll([]unix.PollFd{what}, 0)
			if err != unix.EINTR {
				ready = n > 0 || err != nil
				return
			}
		}
	})
	return ready || err != nil
}
