package epoll

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The descriptors here are non-blocking sockets. A call that would have to wait
// returns [Again].

// Again is the error of a call that would have to wait.
const Again = unix.EAGAIN

// Duplicate returns another descriptor of a socket, which lives until both are
// closed.
func Duplicate(rc syscall.RawConn) (fd int, err error) {
	if cerr := rc.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); cerr != nil {
		return 0, cerr
	}
	return fd, os.NewSyscallError("fcntl", err)
}

// NoDelay turns off Nagle's algorithm, as package net does, for all connections
// that Accept takes from a listening socket. For a socket that is not TCP it does
// nothing.
func NoDelay(listener int) { unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// Accept takes a connection from a listening socket. peer is valid if the
// address is an IP address without a zone.
func Accept(listener int) (fd int, peer netip.AddrPort, err error) {
	for {
		var sa unix.RawSockaddrInet6 // an IPv4 address is shorter
		size := uint32(unix.SizeofSockaddrInet6)
		// The call does not block. unix.Accept4 would make another call, and allocate.
		r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(r), addrPort(&sa), nil
		case unix.EINTR, unix.ECONNABORTED:
		case unix.ENOSYS: // an old system where this is a part of socketcall
			fd, _, err = unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return fd, peer, err
		default:
			return 0, peer, errno
		}
	}
}

// addrPort decodes an IP address. It returns the zero value for any other address,
// and for one with a zone, since looking up the zone's name takes long.
func addrPort(sa *unix.RawSockaddrInet6) netip.AddrPort {
	switch {
	case sa.Family == unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(port(&sa.Port)))
	case sa.Family == unix.AF_INET6 && sa.Scope_id == 0:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(port(&sa.Port)))
	}
	return netip.AddrPort{}
}

// rawSize is the size of the largest read or write that is hidden from the scheduler.
// Such a call takes some microseconds, like copying the memory. The scheduler
// would need longer to take the processor away and give it back.
const rawSize = 64 << 10

// Read reads once.
func Read(fd int, p []byte) (int, error) {
	for {
		n, err := read(fd, p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func read(fd int, p []byte) (int, error) {
	if len(p) > rawSize {
		return unix.Read(fd, p)
	}
	return raw(unix.SYS_READ, fd, p)
}

// Write writes as much as the socket takes.
func Write(fd int, p []byte) (int, error) {
	for {
		n, err := write(fd, p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func write(fd int, p []byte) (int, error) {
	if len(p) > rawSize {
		return unix.Write(fd, p)
	}
	return raw(unix.SYS_WRITE, fd, p)
}

func raw(call uintptr, fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Writev is Write of several slices at a time.
func Writev(fd int, parts [][]byte) (int, error) {
	for {
		n, err := unix.Writev(fd, parts)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// CloseWrite ends the sending direction.
func CloseWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// Close closes fd.
func Close(fd int) error { return unix.Close(fd) }

// LocalAddr returns the address of the socket, nil if it has none.
func LocalAddr(fd int) net.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil
	}
	return address(sa)
}

// RemoteAddr returns the address of the peer, nil if there is none. The address is
// known also when the peer has reset the connection.
func RemoteAddr(fd int) net.Addr {
	if a := peerName(fd); a != nil {
		return a
	}
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return nil
	}
	return address(sa)
}

// peerName asks for the peer's address by an option that, unlike getpeername, works
// also when there is no connection any more. The option accepts no buffer larger than
// the address. peerName returns nil if the address is not an IP address.
func peerName(fd int) net.Addr {
	var sa unix.RawSockaddrInet4
	if getOption(fd, unix.SO_PEERNAME, unsafe.Pointer(&sa), unix.SizeofSockaddrInet4) != nil {
		return nil
	}
	switch sa.Family {
	case unix.AF_INET:
		return address(&unix.SockaddrInet4{Addr: sa.Addr, Port: port(&sa.Port)})
	case unix.AF_INET6:
		var sa unix.RawSockaddrInet6
		if getOption(fd, unix.SO_PEERNAME, unsafe.Pointer(&sa), unix.SizeofSockaddrInet6) == nil {
			return address(&unix.SockaddrInet6{Addr: sa.Addr, Port: port(&sa.Port), ZoneId: sa.Scope_id})
		}
	}
	return nil
}

func getOption(fd, name int, value unsafe.Pointer, size uint32) error {
	return getOptionAt(fd, unix.SOL_SOCKET, name, value, size)
}

func getOptionAt(fd, level, name int, value unsafe.Pointer, size uint32) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(value), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// port decodes a port as it is in an address.
func port(p *uint16) int { return int(binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])) }

func address(sa unix.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: bytes.Clone(sa.Addr[:]), Port: sa.Port}
	case *unix.SockaddrInet6:
		a := &net.TCPAddr{IP: bytes.Clone(sa.Addr[:]), Port: sa.Port}
		if sa.ZoneId != 0 {
			if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a.Zone = i.Name
			}
		}
		return a
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}
	}
	return nil
}

// LimitUnsent limits the bytes that a socket holds: unsent bytes for TCP, bytes
// that the peer has not read for a Unix socket.
func LimitUnsent(fd, n int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
	if err == unix.EOPNOTSUPP || err == unix.ENOPROTOOPT {
		// The system doubles it for its overhead, which long writes have little of.
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n/2)
	}
	return os.NewSyscallError("setsockopt", err)
}
