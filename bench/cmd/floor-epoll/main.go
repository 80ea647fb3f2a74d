//go:build linux

// Command floor-epoll shows the cost of an event loop without any WebSocket:
// one thread, one epoll instance and one buffer for all connections. After the
// handshake it writes back the bytes that it reads, on "/broadcast" to every
// connection.
//
// Readiness is level-triggered and each event is one read. That is one system call
// less than to read until nothing is left.
package main

import (
	"net"
	"runtime"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"golang.org/x/sys/unix"
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Loop, Compress: []contract.Compression{contract.Off}},
	}, serve)
}

func serve(l net.Listener, _ contract.Setting) error {
	runtime.LockOSThread()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	// The callback returns only when the loop has failed: as long as it runs,
	// the listener's descriptor is valid.
	err = raw.Control(func(fd uintptr) {
		lp := loop{ep: ep, listener: int(fd), buf: make([]byte, maxRead)}
		failure = lp.run()
	})
	runtime.KeepAlive(l)
	if err != nil {
		return err
	}
	return failure
}
