package epoll

import (
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newPoller(t *testing.T) *Poller {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// socketPair returns two connected sockets that do not block.
func socketPair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// descriptors counts those that are open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// A Wake is never lost, whether it comes before a Wait or during it.
func TestWake(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	var events [4]Event
	p.Wake()
	p.Wake()
	if n, err := p.Wait(events[:], true); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := p.Wait(events[:], false); n != 0 || err != nil {
		t.Error(n, err)
	}
	for range 2000 {
		done := make(chan error)
		go func() {
			_, err := p.Wait(events[:], true)
			done <- err
		}()
		p.Wake()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a Wake was lost")
		}
	}
}

// Input that comes at any moment ends a Wait, beside Wakes from everywhere.
func TestWaitLosesNothing(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	a, b := socketPair(t)
	defer Close(a)
	defer Close(b)
	if err := p.Add(a, In); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.Wake()
			}
		}
	})
	var events [1]Event // the Wake may take its place
	var buf [16]byte
	for i := range 5000 {
		if _, err := Write(b, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := p.Wait(events[:], true)
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 && events[0].Fd == int32(a) {
				break
			}
			if n > 0 {
				t.Fatalf("event %+v", events[0])
			}
		}
		if n, err := Read(a, buf[:]); n != 1 || err != nil || buf[0] != byte(i) {
			t.Fatal(n, err, buf[0])
		}
	}
}

// Only watched events are reported; an event lasts until it is handled.
func TestLevelTriggered(t *testing.T) {
	p := newPoller(t)
	defer p.Close()
	a, b := socketPair(t)
	defer Close(a)
	want := func(bits uint32) {
		t.Helper()
		var events [4]Event
		n, err := p.Wait(events[:], false)
		switch {
		case err != nil:
			t.Fatal(err)
		case bits == 0 && n != 0, bits != 0 && (n != 1 || events[0].Fd != int32(a) || events[0].Events&bits != bits):
			t.Fatalf("%d events, %+v, want %#x", n, events[0], bits)
		}
	}
	if err := p.Add(a, In); err != nil {
		t.Fatal(err)
	}
	want(0)
	Write(b, []byte("x"))
	want(In)
	want(In)
	p.Modify(a, Out)
	want(Out)
	p.Remove(a)
	want(0)
	p.Add(a, In)
	want(In)
	var buf [4]byte
	Read(a, buf[:])
	want(0)
	if n, err := Read(a, buf[:]); n != 0 || err != Again {
		t.Error(n, err)
	}
	CloseWrite(b)
	want(In)
	if n, err := Read(a, buf[:]); n != 0 || err != nil {
		t.Error(n, err)
	}
	p.Modify(a, Out)
	Close(b)
	want(Fail & unix.EPOLLHUP)
	if err := p.Add(1<<20, In); err == nil {
		t.Error("a descriptor that is not open can be watched")
	}
}

// Close releases all descriptors.
func TestClose(t *testing.T) {
	newPoller(t).Close() // the runtime's own are there from here on
	before := descriptors(t)
	for range 10 {
		p := newPoller(t)
		if n := descriptors(t); n != before+2 {
			t.Errorf("%d descriptors are open, %d before", n, before)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d before", n, before)
	}
}

// A duplicate is a descriptor of its own of the same socket.
func TestDuplicate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	rc, _ := server.(*net.TCPConn).SyscallConn()
	fd, err := Duplicate(rc)
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, err := Duplicate(rc); err == nil {
		t.Error("a closed socket has a duplicate")
	}
	for _, addr := range []struct{ got, want net.Addr }{{LocalAddr(fd), server.LocalAddr()}, {RemoteAddr(fd), server.RemoteAddr()}} {
		if addr.got == nil || addr.got.String() != addr.want.String() || addr.got.Network() != "tcp" {
			t.Errorf("address %v, want %v", addr.got, addr.want)
		}
	}
	if n, err := Writev(fd, [][]byte{[]byte("one"), nil, []byte("two")}); n != 6 || err != nil {
		t.Error(n, err)
	}
	client.SetDeadline(time.Now().Add(10 * time.Second))
	var buf [8]byte
	if n, err := client.Read(buf[:]); string(buf[:n]) != "onetwo" {
		t.Errorf("%q, %v", buf[:n], err)
	}
	Close(fd)
	if n, err := client.Read(buf[:]); n != 0 || err == nil {
		t.Error(n, err)
	}
}

// The address of the peer is known as long as the socket is there.
func TestRemoteAddr(t *testing.T) {
	for _, on := range []struct{ network, address string }{{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"}, {"unix", t.TempDir() + "/socket"}} {
		t.Run(on.network, func(t *testing.T) {
			ln, err := net.Listen(on.network, on.address)
			if err != nil {
				t.Skip(err)
			}
			defer ln.Close()
			client, err := net.Dial(on.network, ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			rc, _ := server.(syscall.Conn).SyscallConn()
			fd, err := Duplicate(rc)
			if err != nil {
				t.Fatal(err)
			}
			defer Close(fd)
			server.Close()
			want := func(when string) {
				t.Helper()
				if a := RemoteAddr(fd); a == nil || a.String() != server.RemoteAddr().String() || a.Network() != server.RemoteAddr().Network() {
					t.Errorf("%s: %v, want %v", when, a, server.RemoteAddr())
				}
			}
			want("connected")
			tcp, ok := client.(*net.TCPConn)
			if !ok {
				return
			}
			tcp.SetLinger(0)
			tcp.Close()
			for deadline := time.Now().Add(10 * time.Second); ; {
				_, err := Read(fd, make([]byte, 1))
				if err == unix.ECONNRESET {
					break
				}
				if err != Again || time.Now().After(deadline) {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			want("reset")
		})
	}
	fds, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fds)
	for _, fd := range []int{fds, -1} {
		if a := RemoteAddr(fd); a != nil {
			t.Errorf("descriptor %d, which is not connected, has the peer %v", fd, a)
		}
	}
}

// Accept returns the peer's address, in the form of package net, and Nagle's algorithm
// is off after NoDelay.
func TestAccept(t *testing.T) {
	for _, on := range []struct{ network, address, dial string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"}, {"tcp6", "[::1]:0", "::1"}, {"tcp", ":0", "127.0.0.1"},
		{"unix", t.TempDir() + "/socket", ""},
	} {
		t.Run(on.network, func(t *testing.T) {
			ln, err := net.Listen(on.network, on.address)
			if err != nil {
				t.Skip(err)
			}
			defer ln.Close()
			rc, err := ln.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			listener, err := Duplicate(rc)
			if err != nil {
				t.Fatal(err)
			}
			defer Close(listener)
			NoDelay(listener)
			if _, _, err := Accept(listener); err != Again {
				t.Fatal(err)
			}
			address := ln.Addr().String()
			if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
				address = net.JoinHostPort(on.dial, strconv.Itoa(tcp.Port))
			}
			client, err := net.Dial(ln.Addr().Network(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			fd, peer, err := Accept(listener)
			for deadline := time.Now().Add(10 * time.Second); err == Again && time.Now().Before(deadline); {
				fd, peer, err = Accept(listener)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer Close(fd)
			if on.network == "unix" {
				if peer.IsValid() {
					t.Errorf("the peer is %v", peer)
				}
				return
			}
			if peer.String() != client.LocalAddr().String() {
				t.Errorf("the peer is %v, want %v", peer, client.LocalAddr())
			}
			if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); on == 0 || err != nil {
				t.Errorf("TCP_NODELAY is %d, %v", on, err)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 || err != nil {
				t.Errorf("flags are %#x, %v", flags, err)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 || err != nil {
				t.Errorf("descriptor flags are %#x, %v", flags, err)
			}
		})
	}
	if _, _, err := Accept(-1); err != unix.EBADF {
		t.Error(err)
	}
}
