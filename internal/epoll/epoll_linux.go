// Package epoll is what an event loop needs of Linux: readiness of many
// descriptors at a time, and system calls on sockets that never wait.
package epoll

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event is what a descriptor is ready for.
type Event = unix.EpollEvent

// What a descriptor can be ready for. Fail is reported unasked.
const (
	In   = unix.EPOLLIN
	Out  = unix.EPOLLOUT
	Fail = unix.EPOLLERR | unix.EPOLLHUP
)

// Off keeps a descriptor registered without watching it: a Fail is reported
// once at most. To watch it again takes no memory, as Add does, so it cannot
// fail.
const Off = unix.EPOLLONESHOT

// Poller is an epoll instance. An epoll descriptor can be polled itself, so
// that who waits for it parks on the runtime's poller, as for a socket, and
// blocks no thread.
type Poller struct {
	fd     int
	wakefd int // an eventfd
	file   *os.File
	rc     syscall.RawConn
	try    func(fd uintptr) bool // the method tryWait, bound once

	// For the one that waits.
	events []Event
	park   bool
	n      int
	err    error
}

// New returns a Poller that watches nothing.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the runtime's poller does not take it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	p.try = p.tryWait
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		p.file.Close()
		return nil, err
	}
	if p.rc, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	if p.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		p.file.Close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := p.Add(p.wakefd, In); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close releases the Poller. Nobody may be waiting.
func (p *Poller) Close() error {
	unix.Close(p.wakefd)
	return p.file.Close()
}

// Add registers fd and watches it for events, level-triggered. It fails if the
// system has no memory, or the user no watches, left.
func (p *Poller) Add(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_ADD, fd, events) }

// Modify changes what fd, which is registered, is watched for.
func (p *Poller) Modify(fd int, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, events)
}

// Remove stops watching fd. Closing it does as well, but only when it has no
// duplicates, in a child process for instance.
func (p *Poller) Remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *Poller) control(op, fd int, events uint32) error {
	ev := Event{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, op, fd, &ev))
}

// Wait fills events with what is ready and returns how many there are. With
// park it waits until there are some, or Wake is called; then there may be
// none. One goroutine waits at a time.
func (p *Poller) Wait(events []Event, park bool) (int, error) {
	p.events, p.park, p.n, p.err = events, park, 0, nil
	if err := p.rc.Read(p.try); err != nil {
		return 0, err
	}
	p.events = nil
	return p.n, p.err
}

func (p *Poller) tryWait(fd uintptr) bool {
	for {
		// It does not wait, so the scheduler need not be told.
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.events))),
			uintptr(len(p.events)), 0, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			p.err = os.NewSyscallError("epoll_pwait", errno)
			return true
		case n == 0:
			return !p.park
		}
		p.n = p.withoutWake(p.events[:n])
		return true
	}
}

// withoutWake removes the event that Wake has caused, and returns how many are
// left.
func (p *Poller) withoutWake(events []Event) int {
	for i := range events {
		if events[i].Fd == int32(p.wakefd) {
			var count [8]byte
			unix.Read(p.wakefd, count[:])
			events[i] = events[len(events)-1]
			return len(events) - 1
		}
	}
	return len(events)
}

// Wake ends a Wait, the next one if none is under way. It may be called from
// anywhere, but not after Close.
func (p *Poller) Wake() {
	one := [8]byte{1, 0, 0, 0, 1}
	unix.Write(p.wakefd, one[:]) // fails only if it is so full that it wakes anyway
}
