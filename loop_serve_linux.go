//go:build !ws_unix && !ws_plain

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

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/request"
)

// accept accepts connections from ln until that fails, and leaves the handshakes to
// the workers. It returns errForeign if ln is not a socket.
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
	// Package net has no way to wait for a listener without accepting. So accept waits
	// on a duplicate, which does not notice that ln is closed.
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
	own.Control(func(fd uintptr) { epoll.NoDelay(int(fd)) }) // epoll.Accept returns the error
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
				e.startHandshake(a, fd, peer)
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
			// Check once a second whether ln is still open.
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

// pendingHandshake is a connection whose handshake a worker does. Its descriptor
// stays registered with the worker's poller throughout.
type pendingHandshake struct {
	acceptor *acceptor
	worker   *worker
	peer     netip.AddrPort // or the zero value

	mu       sync.Mutex // guards what follows; worker.mu may be locked under it; never held while the user's code runs
	fd       int        // -1 when a Conn owns it, or it is closed
	deadline int64      // by monotonic
	request  []byte     // the part that has arrived, if it arrives in pieces
	scanner  request.Scanner
	judging  bool // CheckOrigin runs: the descriptor is not watched, and the deadline does not count
	refused  bool // input is discarded until the client has closed
}

// reapPeriod is how often reap looks for handshakes that take too long.
const reapPeriod = time.Second

// startHandshake has a worker do the handshake on fd, with peer.
func (e *engine) startHandshake(a *acceptor, fd int, peer netip.AddrPort) {
	l := a.handler.loop
	if l.enter() != nil {
		epoll.Close(fd)
		return
	}
	w := e.nextWorker()
	s := &pendingHandshake{acceptor: a, worker: w, peer: peer, fd: fd, deadline: monotonic() + int64(handshakeTimeout)}
	w.mu.Lock()
	if w.handshakes == nil {
		w.handshakes = make(map[int]*pendingHandshake)
	}
	w.handshakes[fd] = s
	if w.reaper == nil {
		w.reaper = time.AfterFunc(reapPeriod, w.reap)
	}
	w.mu.Unlock()
	if err := w.poll.Add(fd, epoll.In); err != nil { // out of memory, or of watches
		l.logger.Error("websocket: a Loop cannot watch a connection", "error", err)
		s.sendRefusal(refusal(overloaded, false))
	}
	if l.currentPhase() != phaseServing {
		s.drop()
	}
}

// handshakeOn returns the handshake that is under way on fd, or nil.
func (w *worker) handshakeOn(fd int) *pendingHandshake {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handshakes[fd]
}

// allHandshakes returns the handshakes that are under way.
func (w *worker) allHandshakes() []*pendingHandshake {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.handshakes))
}

// reap ends handshakes whose time is over. It runs again as long as there are
// handshakes.
func (w *worker) reap() {
	now := monotonic()
	for _, s := range w.allHandshakes() {
		s.reap(now)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.handshakes) > 0 {
		w.reaper.Reset(reapPeriod)
	} else {
		w.reaper, w.handshakes = nil, nil // maps do not shrink
	}
}

func (s *pendingHandshake) reap(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fd < 0 || s.judging || now < s.deadline:
	case s.refused:
		s.dropLocked()
	default:
		s.refuseLocked(refusal(tooLate, isHead(s.request)))
	}
}

// dropHandshakes ends all handshakes.
func (e *engine) dropHandshakes() {
	for _, w := range e.workers {
		for _, s := range w.allHandshakes() {
			s.drop()
		}
	}
}

// drop ends the handshake, if it is under way. A CheckOrigin that still runs
// finds the connection gone.
func (s *pendingHandshake) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		s.dropLocked()
	}
}

func (s *pendingHandshake) dropLocked() {
	epoll.Close(s.releaseLocked())
	s.acceptor.handler.loop.leave()
}

// releaseLocked removes s from its worker's list and returns the descriptor, which
// the caller owns.
func (s *pendingHandshake) releaseLocked() (fd int) {
	w := s.worker
	w.mu.Lock()
	delete(w.handshakes, s.fd)
	w.mu.Unlock()
	fd, s.fd = s.fd, -1
	return fd
}

// ready reads the input, and goes on when the request is complete. The runner calls
// it, so CheckOrigin and Admit, which may block, get a goroutine.
func (s *pendingHandshake) ready() {
	b := buffer.Get(buffer.MinRead)
	defer buffer.Put(b)
	r, early := s.read(b.B[:cap(b.B)])
	switch {
	case r == nil:
	case s.acceptor.opts.mayBlock(): // and the runner must not block
		go s.judge(r, early)
	default:
		s.finish(r, early)
	}
}

// read reads once. When the request is complete it returns the request, and the
// bytes behind it.
func (s *pendingHandshake) read(b []byte) (r *http.Request, early []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 || s.judging {
		return nil, nil
	}
	n, err := epoll.Read(s.fd, b)
	switch {
	case err == epoll.Again:
		return nil, nil
	case err != nil, n == 0:
		s.dropLocked()
		return nil, nil
	case s.refused:
		return nil, nil
	}
	in := b[:n]
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
		return nil, nil
	case head == 0:
		if s.request == nil {
			s.request = bytes.Clone(in)
		}
		return nil, nil
	case s.acceptor.opts.mayBlock():
		if s.worker.poll.Modify(s.fd, epoll.Off) != nil {
			s.dropLocked()
			return nil, nil
		}
		s.judging = true
	}
	return r, bytes.Clone(in[head:])
}

// judge is finish where CheckOrigin or Admit is called, which may panic or end the
// goroutine.
func (s *pendingHandshake) judge(r *http.Request, early []byte) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil { // nil after runtime.Goexit
			s.acceptor.handler.loop.logPanic("AcceptOptions.CheckOrigin or Admit", v)
		}
		s.drop()
	}()
	s.finish(r, early)
	returned = true
}

// finish answers the request and makes a connection of it, unless s has been
// dropped meanwhile. early is the input behind the request.
func (s *pendingHandshake) finish(r *http.Request, early []byte) {
	r.RemoteAddr = s.remote()
	response, cfg, ok := s.acceptor.answer(r)
	cfg.early = early
	if c := s.conclude(response, cfg, ok); c != nil {
		s.acceptor.handler.loop.start(c, s.acceptor.handler)
	}
}

// conclude sends the response. If ok says that it is 101, conclude returns the
// connection, to be started, or nil if s has been dropped.
func (s *pendingHandshake) conclude(response []byte, cfg connConfig, ok bool) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	if s.judging {
		s.judging = false
		if s.worker.poll.Modify(s.fd, epoll.In) != nil {
			s.dropLocked()
			return nil
		}
	}
	if !ok {
		s.refuseLocked(response)
		return nil
	}
	if n, err := epoll.Write(s.fd, response); n < len(response) || err != nil {
		s.dropLocked() // a response fits any socket's buffer
		return nil
	}
	// Both are one object, of a size that no other object here has. So it lies beside
	// those of other connections, and not between objects that handshakes leave.
	both := new(struct {
		conn     Conn
		pollConn pollConn
	})
	c, p := &both.conn, &both.pollConn
	p.init(c, s.acceptor.handler, s.releaseLocked(), s.worker)
	p.state.set(pollIn | pollPrivate)
	if len(cfg.early) == 0 {
		p.state.set(pollFresh)
	}
	c.init(p, cfg)
	c.in.readLock.setOnLoop()
	return c
}

// remote returns the peer's address in the form of [http.Request.RemoteAddr].
func (s *pendingHandshake) remote() string {
	if s.peer.IsValid() {
		return s.peer.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		if a := epoll.RemoteAddr(s.fd); a != nil {
			return a.String()
		}
	}
	return ""
}

// refuseLocked answers with an error. The connection is closed when the client has
// read the answer, or has had the time to.
func (s *pendingHandshake) refuseLocked(response []byte) {
	if n, err := epoll.Write(s.fd, response); n < len(response) || err != nil {
		s.dropLocked()
		return
	}
	epoll.CloseWrite(s.fd)
	s.refused, s.request = true, nil
	s.deadline = monotonic() + int64(lingerTimeout)
}

// sendRefusal answers with an error where the descriptor cannot be watched. That
// may be before the request has come, and too early for the client to read the
// answer. The reaper closes the connection.
func (s *pendingHandshake) sendRefusal(response []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		s.refuseLocked(response)
	}
}
