package epoll

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inspected is a socket whose peer is package net's.
func inspected(t *testing.T, network string) (fd int, peer net.Conn) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = t.TempDir() + "/socket"
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if fd, err = Duplicate(rc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Close()
		Close(fd)
	})
	return fd, peer
}

func waitFor(t *testing.T, what string, fd int, ok func(State) bool) State {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := Inspect(fd)
		if err != nil {
			t.Fatal(err)
		}
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not %s: %+v", what, s)
		}
	}
}

// TestInspect: what arrives is counted, also what was read; what leaves is
// counted when it is taken; a full buffer and the end can be seen behind what
// nobody reads.
func TestInspect(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			fd, peer := inspected(t, network)
			tcp := network == "tcp"
			start := waitFor(t, "quiet", fd, func(s State) bool { return s.Unacked == 0 })
			if start.TCP != tcp || start.Unread != 0 || start.Full || start.Ended {
				t.Errorf("%+v", start)
			}
			peer.Write(make([]byte, 100))
			s := waitFor(t, "arrived", fd, func(s State) bool { return s.Unread == 100 })
			if tcp && s.Received != start.Received+100 || s.Full {
				t.Errorf("%+v", s)
			}
			Read(fd, make([]byte, 100))
			s = waitFor(t, "read", fd, func(s State) bool { return s.Unread == 0 })
			if tcp && s.Received != start.Received+100 {
				t.Errorf("%+v", s)
			}

			sent := 0
			for {
				n, err := Write(fd, make([]byte, 64<<10))
				if err == Again {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				sent += n
			}
			var before State
			waitFor(t, "at rest", fd, func(s State) bool {
				rests := s == before
				before = s
				return rests
			})
			if before.Unacked == 0 || tcp && before.Acked == start.Acked {
				t.Errorf("%+v", before)
			}
			for n := 0; n < sent; {
				m, err := peer.Read(make([]byte, 64<<10))
				if err != nil {
					t.Fatal(err)
				}
				n += m
			}
			s = waitFor(t, "all is taken", fd, func(s State) bool { return s.Unacked == 0 })
			if tcp && (s.Acked != start.Acked+uint64(sent) || s.Window <= before.Window) {
				t.Errorf("%+v after %+v, %d bytes sent", s, before, sent)
			}

			peer.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			for {
				if _, err := peer.Write(make([]byte, 64<<10)); err != nil {
					break
				}
			}
			waitFor(t, "full", fd, func(s State) bool { return s.Full && !s.Ended })
			peer.(interface{ CloseWrite() error }).CloseWrite()
			if !tcp { // where the end does not wait for room
				waitFor(t, "ended", fd, func(s State) bool { return s.Ended && s.Unread > 0 })
			}
		})
	}
	fd, peer := inspected(t, "tcp")
	peer.Write(make([]byte, 10))
	peer.Close()
	waitFor(t, "ended", fd, func(s State) bool { return s.Ended && s.Unread == 10 })
	fd, peer = inspected(t, "tcp")
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	waitFor(t, "reset", fd, func(s State) bool { return s.Ended })
	if _, err := Inspect(-1); err != unix.EBADF {
		t.Error(err)
	}
}
