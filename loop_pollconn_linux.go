//go:build !ws_unix && !ws_plain

package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// pollConn is the transport of a connection that an engine watches: a descriptor,
// and a queue of the bytes that the socket did not take yet. Its calls never wait,
// except for a Write while too much is queued.
type pollConn struct {
	conn    *Conn
	handler *loopHandler
	worker  *worker

	mu    sync.Mutex         // held during system calls on fd; nothing else is locked under it but the table
	queue *transport.Backlog // bytes that leave before any others, or nil
	fd    int32              // -1 when closed
	state pollState
}

// pollState is a set of flags. They change only under the lock.
type pollState struct{ flags atomic.Uint32 }

const (
	pollIn      = 1 << iota // watched for input
	pollOut                 // watched for room to write the queue
	pollCorked              // a batch of input is being handled: writes are added to the queue
	pollDrained             // the last read has emptied the socket; until uncork
	pollPaused              // too much is queued: until the queue has left, only control frames are read
	pollCut                 // the write deadline is in the past
	pollOpened              // OnOpen was called, or is about to be; no other method is before
	pollTold                // OnClose was called, or is about to be
	pollDropped             // the queue was dropped before all of it had left
	pollAwaited             // tellDrained is to be called when the queue is empty
	pollPrivate             // fd has no duplicate
	pollFresh               // when it opens, an event will report all input
	pollMissed              // while it was busy there was a reason to check it that no event will report again

	// Above the flags is the number of goroutines other than the runner that are busy
	// with the connection: one in a handler, others that read control frames. They are
	// runners that were replaced, and goroutines of handleApart.
	pollOneBusy = 1 << 16
	pollBusy    = ^uint32(pollOneBusy - 1)
)

const (
	// maxCork is the size of the largest write that is corked, and so copied.
	maxCork = maxCoalesce + maxHeaderSize
	// highWater is the queue's size above which a Write waits. A message that was begun
	// below it is queued whole.
	highWater = 256 << 10
)

func (s *pollState) has(f uint32) bool { return s.flags.Load()&f != 0 }

// The caller of set and clear holds the lock.
func (s *pollState) set(f uint32)   { s.flags.Store(s.flags.Load() | f) }
func (s *pollState) clear(f uint32) { s.flags.Store(s.flags.Load() &^ f) }

// init makes p, which is zero, the transport of c on fd.
func (p *pollConn) init(c *Conn, h *loopHandler, fd int, w *worker) {
	p.conn, p.handler, p.fd, p.worker = c, h, int32(fd), w
}

// watchLocked sets what fd is watched for: input, and room to write. fd stays
// registered until the end, so that this cannot fail for lack of memory.
func (p *pollConn) watchLocked(in, out bool) {
	var want, events uint32
	if in {
		want, events = pollIn, epoll.In
	}
	if out {
		want, events = want|pollOut, events|epoll.Out
	}
	if p.fd < 0 || p.state.flags.Load()&(pollIn|pollOut) == want {
		return
	}
	if events == 0 {
		events = epoll.Off // without Off, an error of fd would be reported over and over
	}
	if err := p.worker.poll.Modify(int(p.fd), events); err != nil {
		go p.conn.fault(err)
		return
	}
	p.state.clear(pollIn | pollOut)
	p.state.set(want)
}

// listenLocked reports whether fd is to be watched for input. Where only a control
// reader may read, the method input decides that, and while p is busy, readControl
// does.
func (p *pollConn) listenLocked() bool {
	return !p.controlOnlyLocked() && !p.state.has(pollBusy) || p.state.has(pollIn)
}

// controlOnlyLocked reports whether only a control reader may read from p: because
// too much is queued, or no message matters any more.
func (p *pollConn) controlOnlyLocked() bool { return p.state.has(pollPaused) || p.conn.closing() }

// do does a task.
func (p *pollConn) do(what task) {
	switch what {
	case taskOpen:
		p.mu.Lock()
		p.state.set(pollOpened)
		p.mu.Unlock()
		p.handler.open(p.conn)
		if !p.state.has(pollFresh) || p.conn.closing() {
			p.input()
		}
		p.close() // if taskClose came before OnOpen had returned
	case taskInput:
		switch {
		case !p.state.has(pollOpened): // taskOpen checks
		case p.state.has(pollBusy):
			p.readControl(true)
		default:
			p.input()
		}
	case taskClose:
		p.close()
	}
}

// ready is called when there may be input, or room to write.
func (p *pollConn) ready(events uint32) {
	if !p.state.has(pollOpened) {
		return // taskOpen checks
	}
	p.flushIf(events)
	if p.state.has(pollBusy) {
		p.readControl(false)
	} else {
		p.input()
	}
}

// flushIf writes the queue if events say that there is room.
func (p *pollConn) flushIf(events uint32) {
	if events&^epoll.In != 0 && p.state.has(pollOut) {
		p.flush()
	}
}

// input handles the input that has arrived: messages go to the handler; on a
// closing connection, or while too much is queued, it reads control frames only.
func (p *pollConn) input() {
	c := p.conn
	var loan *buffer.Buffer
	for !p.pausedInput() {
		m, next, err := c.nextOnLoop(loan)
		if loan = next; err != nil {
			break
		}
		if p.state.has(pollBusy) && c.needsControlReader() {
			p.checkInput() // no event will report control frames behind the message
		}
		p.handler.message(c, m)
	}
	if loan != nil {
		c.endLoan(loan)
	}
	if c.closing() {
		p.resume() // waiting writers return
	}
	if p.state.has(pollPaused) || c.closing() {
		c.readControl(true)
		needed := c.needsControlReader()
		p.mu.Lock()
		if !p.state.has(pollBusy) && p.controlOnlyLocked() {
			p.watchLocked(needed, p.state.has(pollOut)) // unread input would be reported over and over
		}
		p.mu.Unlock()
	}
	p.uncork()
}

// pausedInput reports whether input is to stop because p is paused. The rest of the
// input may have been read from the socket. If p is busy and the pause is over before
// p goes back to its worker, no event reports that rest.
func (p *pollConn) pausedInput() bool {
	if !p.state.has(pollPaused) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.has(pollBusy) {
		p.state.set(pollMissed)
	}
	return true
}

// close calls OnClose, once, if p has ended. If OnOpen was not called yet, or
// another goroutine is in a handler, close is called again after that.
func (p *pollConn) close() {
	if p.claimClose() {
		p.tellClose()
	}
}

// claimClose reports whether the caller is to call tellClose.
func (p *pollConn) claimClose() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ours := p.fd < 0 && p.state.has(pollOpened) && !p.state.has(pollBusy|pollTold)
	if ours {
		p.state.set(pollTold)
	}
	return ours
}

// tellClose calls OnClose, the last call for p.
func (p *pollConn) tellClose() {
	defer p.handler.loop.leave()
	p.handler.close(p.conn)
}

func (p *pollConn) checkInput() { p.worker.post(p, taskInput) }
func (p *pollConn) now() int64  { return p.worker.clock.Load() }

// Wait reads once, without waiting.
func (p *pollConn) Wait(b *buffer.Buffer, _ bool) (*buffer.Buffer, error) {
	if p.state.has(pollDrained) {
		buffer.Put(b)
		return nil, transport.ErrAgain
	}
	b = b.OrLarger(buffer.MaxRead)
	n, err := p.Read(b.B[:cap(b.B)])
	if err != nil {
		buffer.Put(b)
		return nil, err
	}
	b.B = b.B[:n]
	return b, nil
}

func (p *pollConn) ReadNow(b *buffer.Buffer) (*buffer.Buffer, error) { return p.Wait(b, false) }

// Read reads without waiting. Frames that are written from here on are corked until
// the reader calls uncork.
func (p *pollConn) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fd < 0:
		return 0, net.ErrClosed
	case p.state.has(pollDrained):
		return 0, transport.ErrAgain
	}
	n, err := epoll.Read(int(p.fd), b)
	set := uint32(pollCorked)
	if n < len(b) {
		set |= pollDrained
	}
	if !p.state.has(pollBusy) {
		p.state.set(set)
	}
	switch {
	case err == epoll.Again:
		return 0, transport.ErrAgain
	case err != nil:
		return 0, p.opError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (p *pollConn) opError(op string, err error) error {
	peer := known(epoll.RemoteAddr(int(p.fd)))
	return &net.OpError{Op: op, Net: peer.Network(), Addr: peer, Err: os.NewSyscallError(op, err)}
}

// resume ends a pause, so that p is read again.
func (p *pollConn) resume() {
	if p.state.has(pollPaused) {
		p.mu.Lock()
		p.resumeLocked()
		p.watchLocked(p.listenLocked(), p.state.has(pollOut))
		p.mu.Unlock()
		p.worker.writeWaiters.wake(p)
	}
}

// resumeLocked ends a pause. The caller then checks for input: a control reader may
// have read bytes that no event will report.
func (p *pollConn) resumeLocked() { p.state.clear(pollPaused) }

func (p *pollConn) Terminate(bool) {
	p.conn.keepRemoteAddr(p.peerAtEnd())
	p.mu.Lock()
	if p.fd < 0 {
		p.mu.Unlock()
		return
	}
	p.worker.engine.table.set(int(p.fd), nil)
	if !p.state.has(pollPrivate) {
		p.worker.poll.Remove(int(p.fd)) // closing it is not enough: it may have duplicates
	}
	p.flushAtEndLocked()
	epoll.Close(int(p.fd))
	p.fd = -1
	if p.queue != nil {
		p.dropQueueLocked()
	}
	p.mu.Unlock()
	p.worker.writeWaiters.wake(p)
	p.worker.post(p, taskClose)
}

func (p *pollConn) Close() error {
	p.Terminate(true)
	return nil
}

func (p *pollConn) CloseWrite() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd >= 0 {
		epoll.CloseWrite(int(p.fd))
	}
}

func (p *pollConn) Writer() net.Conn { return p }
func (p *pollConn) Vectored() bool   { return true }
func (p *pollConn) Resumable() bool  { return true }
func (p *pollConn) HoldsInput() bool { return false }
func (p *pollConn) Exact() bool      { return true }

func (p *pollConn) SetDeadline(t time.Time) error   { return p.SetWriteDeadline(t) }
func (p *pollConn) SetReadDeadline(time.Time) error { return nil } // reads never wait

// SetWriteDeadline supports two values: a time in the past, and none.
func (p *pollConn) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	if !t.IsZero() && !t.After(time.Now()) {
		p.state.set(pollCut)
	} else {
		p.state.clear(pollCut)
	}
	p.mu.Unlock()
	p.worker.writeWaiters.wake(p)
	return nil
}

// Addresses are asked of the system: to store them would take more memory than the
// rest of a pollConn.

func (p *pollConn) LocalAddr() net.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return known(epoll.LocalAddr(int(p.fd)))
}

func (p *pollConn) RemoteAddr() net.Addr {
	p.mu.Lock()
	fd := p.fd
	var a net.Addr
	if fd >= 0 {
		a = epoll.RemoteAddr(int(fd))
	}
	p.mu.Unlock()
	if fd < 0 {
		a = p.conn.keptRemoteAddr()
	}
	return known(a)
}

// peerAtEnd is RemoteAddr. It saves the system call if an error holds the address
// already.
func (p *pollConn) peerAtEnd() net.Addr {
	if cause := p.conn.life.cause.Load(); cause != nil {
		var e *net.OpError
		if errors.As(cause.Err, &e) && e.Addr != nil {
			return e.Addr
		}
	}
	return p.RemoteAddr()
}

// known returns a, or unknownAddr for none.
func known(a net.Addr) net.Addr {
	if a == nil {
		return unknownAddr{}
	}
	return a
}

// unknownAddr is the local address of a connection that has ended, and the peer's
// address where the system did not report it.
type unknownAddr struct{}

func (unknownAddr) Network() string { return "tcp" }
func (unknownAddr) String() string  { return "unknown" }
