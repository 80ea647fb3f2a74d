//go:build linux

package main

import (
	"slices"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"golang.org/x/sys/unix"
)

const (
	maxRead    = 256 << 10
	maxPending = 64 << 20 // a connection with more bytes pending is closed
)

// loop owns everything; only the signals run beside it.
type loop struct {
	ep       int
	listener int
	conns    []*conn // by descriptor
	everyone []*conn // those on "/broadcast"
	buf      []byte  // for any read
}

// conn is one connection. While it has bytes pending it is not read, so that
// a peer that does not read its replies is not served.
type conn struct {
	fd        int
	open      bool // the handshake is done
	broadcast bool
	request   []byte // the handshake, until it is complete
	pending   []byte // bytes that the socket did not take
}

func (lp *loop) run() error {
	if err := lp.watch(unix.EPOLL_CTL_ADD, lp.listener, unix.EPOLLIN); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(lp.ep, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for i := range max(n, 0) {
			fd := int(events[i].Fd)
			if fd == lp.listener {
				if err := lp.accept(); err != nil {
					return err
				}
				continue
			}
			c := lp.conns[fd]
			if c == nil {
				continue // closed by a broadcast, earlier in this round
			}
			if len(c.pending) > 0 {
				lp.flush(c)
			} else {
				lp.read(c)
			}
		}
	}
}

func (lp *loop) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(lp.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (lp *loop) accept() error {
	for {
		fd, _, err := unix.Accept4(lp.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default:
			return err
		}
		// Nagle's algorithm off, as Go does for all others.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		if err := lp.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return err
		}
		lp.conns = append(lp.conns, make([]*conn, max(0, fd+1-len(lp.conns)))...)
		lp.conns[fd] = &conn{fd: fd}
	}
}

func (lp *loop) close(c *conn) {
	lp.conns[c.fd] = nil
	if c.broadcast {
		i := slices.Index(lp.everyone, c)
		lp.everyone = slices.Delete(lp.everyone, i, i+1)
	}
	unix.Close(c.fd) // also removes it from epoll
}

func (lp *loop) read(c *conn) {
	n, err := unix.Read(c.fd, lp.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil || n == 0:
		lp.close(c)
	case !c.open:
		lp.handshake(c, lp.buf[:n])
	case !c.broadcast:
		lp.write(c, lp.buf[:n])
	default:
		for _, to := range slices.Clone(lp.everyone) { // a write may close one
			lp.write(to, lp.buf[:n])
		}
	}
}

func (lp *loop) handshake(c *conn, p []byte) {
	c.request = append(c.request, p...)
	path, response, err := contract.Answer(c.request)
	switch {
	case err != nil:
		lp.close(c)
		return
	case response == nil:
		return
	}
	c.open = true
	c.request = nil
	if path == "/broadcast" {
		c.broadcast = true
		lp.everyone = append(lp.everyone, c)
	}
	lp.write(c, response)
}

// write sends p after the pending bytes. Bytes that the socket does not take become
// pending.
func (lp *loop) write(c *conn, p []byte) {
	if len(c.pending) > 0 {
		if len(c.pending)+len(p) > maxPending {
			lp.close(c)
			return
		}
		c.pending = append(c.pending, p...)
		return
	}
	n, err := unix.Write(c.fd, p)
	switch {
	case n == len(p):
		return
	case err == unix.EAGAIN || err == unix.EINTR:
		n = 0
	case err != nil:
		lp.close(c)
		return
	}
	c.pending = append(c.pending, p[n:]...)
	if lp.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLOUT) != nil {
		lp.close(c)
	}
}

// flush sends the pending bytes, and resumes reading when all are sent.
func (lp *loop) flush(c *conn) {
	n, err := unix.Write(c.fd, c.pending)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		lp.close(c)
		return
	case n < len(c.pending):
		c.pending = c.pending[n:]
		return
	}
	c.pending = nil
	if lp.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN) != nil {
		lp.close(c)
	}
}
