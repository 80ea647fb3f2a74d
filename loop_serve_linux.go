package websocket

import (
	"bytes"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/request"
)

// accept takes connections from ln until that fails; it returns errForeign if
// ln is not a socket. The workers do the handshakes.
func (e *engine) accept(a *acceptor, ln net.Listener) error {
	switch ln.(type) {
	case *net.TCPListener, *net.UnixListener:
	default:
		return errForeign
	}
	own, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	// A listener of package net can be accepted from, but not waited for. So a
	// duplicate is waited for, which does not notice that ln is closed.
	fd, err := epoll.Duplicate(own)
	if err != nil {
		return err
	}
	dup := os.NewFile(uintptr(fd), "listener")
	defer dup.Close()
	rc, err := dup.SyscallConn()
	if err != nil {
		return err
	}
	own.Control(func(fd uintptr) { epoll.NoDelay(int(fd)) }) // an error shows below
	var failure error
	take := func(uintptr) bool {
		failure = nil
		for {
			var fd int
			var peer netip.AddrPort
			var aerr error
			if err := own.Control(func(old uintptr) { fd, peer, aerr = epoll.Accept(int(old)) }); err != nil {
				failure = err
				return true
			}
			switch aerr {
			case nil:
				e.shake(a, fd, peer)
			case epoll.Again:
				return false
			default:
				failure = &net.OpError{Op: "accept", Net: ln.Addr().Network(), Addr: ln.Addr(), Err: os.NewSyscallError("accept4", aerr)}
				return true
			}
		}
	}
	for delay := time.Duration(0); ; {
		dup.SetReadDeadline(time.Now().Add(time.Second))
		err := rc.Read(take)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			// The loop comes to see whether ln is still open.
			if own.Control(func(uintptr) {}) != nil {
				return net.ErrClosed
			}
		case err != nil:
			return err
		case failure != nil:
			if delay = e.loop.pause(failure, delay); delay == 0 {
				return failure
			}
			continue
		}
		delay = 0
	}
}

// shaking is a connection whose handshake is not over. Its descriptor is
// watched for input from the beginning to the end.
type shaking struct {
	acceptor *acceptor
	worker   *worker
	peer     netip.AddrPort // or the zero value

	mu       sync.Mutex // guards what follows; worker.mu may be locked under it
	fd       int        // -1 when it is another's, or closed
	deadline int64      // by monotonic
	request  []byte     // what has come of it, if it comes in pieces
	scanner  request.Scanner
	refused  bool // what comes is discarded until the client has closed
}

// reapPeriod is how often handshakes are looked at that take too long.
const reapPeriod = time.Second

// shake has a worker do the handshake on fd, with peer.
func (e *engine) shake(a *acceptor, fd int, peer netip.AddrPort) {
	l := a.sink.loop
	if l.enter() != nil {
		epoll.Close(fd)
		return
	}
	w := e.nextWorker()
	s := &shaking{acceptor: a, worker: w, peer: peer, fd: fd, deadline: monotonic() + int64(handshakeTimeout)}
	w.mu.Lock()
	if w.shaking == nil {
		w.shaking = make(map[int]*shaking)
	}
	w.shaking[fd] = s
	if w.reaper == nil {
		w.reaper = time.AfterFunc(reapPeriod, w.reap)
	}
	w.mu.Unlock()
	if w.poll.Add(fd, epoll.In) != nil || l.currentPhase() != phaseServing {
		s.drop()
	}
}

// shakingOn returns the handshake that is under way on fd, or nil.
func (w *worker) shakingOn(fd int) *shaking {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shaking[fd]
}

// allShaking returns the handshakes that are under way.
func (w *worker) allShaking() []*shaking {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.shaking))
}

// reap ends handshakes whose time is over, and comes back as long as there are
// any.
func (w *worker) reap() {
	now := monotonic()
	for _, s := range w.allShaking() {
		s.reap(now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.shaking) > 0 {
		w.reaper.Reset(reapPeriod)
	} else {
		w.reaper, w.shaking = nil, nil // maps do not shrink
	}
}

func (s *shaking) reap(now int64) {
	if !s.mu.TryLock() { // something has come just now
		return
	}
	defer s.mu.Unlock()
	switch {
	case s.fd < 0 || now < s.deadline:
	case s.refused:
		s.dropLocked()
	default:
		s.refuseLocked(refusal(tooLate, isHead(s.request)))
	}
}

// dropShaking ends all handshakes.
func (e *engine) dropShaking() {
	for _, w := range e.workers {
		for _, s := range w.allShaking() {
			s.drop()
		}
	}
}

func (s *shaking) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		s.dropLocked()
	}
}

func (s *shaking) dropLocked() {
	epoll.Close(s.releaseLocked())
	s.acceptor.sink.loop.leave()
}

// releaseLocked takes s out of its worker's list and returns the descriptor,
// which belongs to the caller.
func (s *shaking) releaseLocked() (fd int) {
	w := s.worker
	w.mu.Lock()
	delete(w.shaking, s.fd)
	w.mu.Unlock()
	fd, s.fd = s.fd, -1
	return fd
}

// ready reads what has come. The runner calls it.
func (s *shaking) ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return
	}
	b := getBuffer(minReadSize)
	defer putBuffer(b)
	n, err := epoll.Read(s.fd, b.b[:cap(b.b)])
	switch {
	case err == epoll.Again:
		return
	case err != nil, n == 0:
		s.dropLocked()
		return
	case s.refused:
		return
	}
	in := b.b[:n]
	var r *http.Request
	var head int
	if s.request == nil {
		r, head, err = request.Parse(in)
	} else {
		s.request = append(s.request, in...)
		in = s.request
		if head, err = s.scanner.Scan(in); head > 0 {
			r, head, err = request.Parse(in[:head])
		}
	}
	switch {
	case err != nil:
		s.refuseLocked(unparsed(in, err))
		return
	case head == 0:
		if s.request == nil {
			s.request = bytes.Clone(in)
		}
		return
	}
	r.RemoteAddr = s.remote()
	early := bytes.Clone(in[head:])
	if s.acceptor.opts.CheckOrigin == nil {
		s.finishLocked(r, early, true)
		return
	}
	// CheckOrigin may block, and the runner must not.
	if s.worker.poll.Remove(s.fd) != nil {
		s.dropLocked()
		return
	}
	go func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.fd >= 0 {
			defer s.containLocked()
			s.finishLocked(r, early, false)
		}
	}()
}

// finishLocked answers the request r, behind which early has come, and makes a
// connection of it. watched tells whether the descriptor still is.
func (s *shaking) finishLocked(r *http.Request, early []byte, watched bool) {
	response, cfg, ok := s.acceptor.answer(r)
	if !watched && s.worker.poll.Add(s.fd, epoll.In) != nil {
		s.dropLocked()
		return
	}
	if !ok {
		s.refuseLocked(response)
		return
	}
	if n, err := epoll.Write(s.fd, response); n < len(response) || err != nil {
		s.dropLocked() // it fits any socket's buffer
		return
	}
	cfg.early = early
	l := s.acceptor.sink.loop
	// In one piece, of a size that nothing else here has, they lie side by side
	// with those of other connections, and not between what handshakes leave.
	both := new(struct {
		conn   Conn
		polled polled
	})
	c, p := &both.conn, &both.polled
	p.init(c, s.acceptor.sink, s.releaseLocked(), s.worker)
	p.state.set(polledIn | polledPrivate)
	if len(cfg.early) == 0 {
		p.state.set(polledFresh)
	}
	c.init(p, cfg)
	c.in.gate.setLooped()
	l.start(c, s.acceptor.sink)
}

// remote is the peer's address as [http.Request.RemoteAddr] has it.
func (s *shaking) remote() string {
	if s.peer.IsValid() {
		return s.peer.String()
	}
	if a := epoll.RemoteAddr(s.fd); a != nil {
		return a.String()
	}
	return ""
}

// containLocked keeps a panic of CheckOrigin to its request.
func (s *shaking) containLocked() {
	if v := recover(); v != nil {
		s.acceptor.sink.loop.logPanic("AcceptOptions.CheckOrigin", v)
		s.dropLocked()
	}
}

// refuseLocked answers with an error. The connection is closed when the client
// has read that, or has had the time to.
func (s *shaking) refuseLocked(response []byte) {
	if n, err := epoll.Write(s.fd, response); n < len(response) || err != nil {
		s.dropLocked()
		return
	}
	epoll.CloseWrite(s.fd)
	s.refused, s.request = true, nil
	s.deadline = monotonic() + int64(lingerTimeout)
}
