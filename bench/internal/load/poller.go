//go:build linux

package load

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is an epoll descriptor with indices of connections as user data. It is
// edge-triggered: after an event the caller reads until nothing is left.
type poller struct {
	fd     int
	spin   bool
	events [256]unix.EpollEvent
}

func newPoller(spin bool) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &poller{fd: fd, spin: spin}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

func (p *poller) add(fd, index int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(index)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev))
}

// wait returns the events there are. A spinning poller does not wait at all;
// another one waits for up to limit.
//
// The system calls of the hot path are raw, here and below: Go's scheduler does not need
// to know of them, since no other goroutine is waiting to run.
func (p *poller) wait(limit time.Duration) ([]unix.EpollEvent, error) {
	if !p.spin {
		n, err := unix.EpollWait(p.fd, p.events[:], int(max(limit.Milliseconds(), 1)))
		if err == unix.EINTR {
			n, err = 0, nil
		}
		return p.events[:max(n, 0)], os.NewSyscallError("epoll_wait", err)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	if errno == unix.EINTR {
		n, errno = 0, 0
	}
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_wait", errno)
	}
	return p.events[:n], nil
}

// again means that a transfer has to wait for an event.
const again = -1

// send writes what the socket takes of b at once: a count, or again.
func send(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return again, nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("send", errno)
		}
	}
}

// recv reads up to len(b) bytes: a count, or again. With the flag MSG_TRUNC
// the kernel drops them instead of copying them to b.
func recv(fd int, b []byte, flags int) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
			uintptr(len(b)), uintptr(unix.MSG_DONTWAIT|flags), 0, 0)
		switch {
		case errno == 0 && n == 0:
			return 0, errClosed
		case errno == 0:
			return int(n), nil
		case errno == unix.EAGAIN:
			return again, nil
		case errno != unix.EINTR:
			return 0, os.NewSyscallError("recv", errno)
		}
	}
}

var errClosed = fmt.Errorf("the server has closed the connection")

// await blocks until fd is ready for one of the events.
func await(fd int, events int16, limit time.Duration) error {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	end := time.Now().Add(limit)
	for {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("nothing happens for %v: %w", limit, os.ErrDeadlineExceeded)
		}
		n, err := unix.Poll(p, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
}
