// Package epoll has the system calls of an event loop on Linux: epoll, and calls
// on sockets that never block.
package epoll

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event says what a descriptor is ready for.
type Event = unix.EpollEvent

// Fail is always reported. The others are reported if they are watched for.
const (
	In   = unix.EPOLLIN
	Out  = unix.EPOLLOUT
	Fail = unix.EPOLLERR | unix.EPOLLHUP
)

// Off keeps a descriptor registered without watching it: a Fail is reported
// once at most. To watch it again takes no memory, unlike Add, so that cannot
// fail.
const Off = unix.EPOLLONESHOT

// Poller is an epoll instance. An epoll descriptor can be polled itself. So a
// goroutine that waits for it parks on the runtime's poller, as for a socket, and
// blocks no thread.
type Poller struct {
	fd     int
	wakefd int // an eventfd
	file   *os.File
	rc     syscall.RawConn
	try    func(fd uintptr) bool // the method tryWait, bound once

	// For the goroutine in Wait.
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
	if err := unix.SetNonblock(fd, true); err != nil { // required by the runtime's poller
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

// Close releases the Poller. No Wait may be under way.
func (p *Poller) Close() error {
	unix.Close(p.wakefd)
	return p.file.Close()
}

// Add registers fd and watches it for events, level-triggered. It fails if no
// memory is left, or the user has no watches left.
func (p *Poller) Add(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_ADD, fd, events) }

// Modify changes the events for which fd, which is registered, is watched.
func (p *Poller) Modify(fd int, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, events)
}

// Remove stops watching fd. Closing fd does that, too, but only if fd has no
// duplicates, for instance in a child process.
func (p *Poller) Remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *Poller) control(op, fd int, events uint32) error {
	ev := Event{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, op, fd, &ev))
}

// Wait fills events and returns how many there are. With park it waits until there
// are some or Wake is called; then there may be none. One goroutine waits at a
// time.
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
		// The call does not block, so it is hidden from the scheduler.
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

// withoutWake removes the event of a Wake, and returns how many are left.
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

// Wake ends the Wait that is under way, or else the next one. It may be called from
// any goroutine, but not after Close.
func (p *Poller) Wake() {
	one := [8]byte{1, 0, 0, 0, 1}
	unix.Write(p.wakefd, one[:]) // fails only if the counter is full, and then it wakes anyway
}
