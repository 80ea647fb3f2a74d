//go:build !ws_unix && !ws_plain

package websocket

import (
	"net"
	"os"
	"sync"

	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// uncork ends the cork that Read began, and writes the queue.
func (p *pollConn) uncork() {
	if !p.state.has(pollCorked | pollDrained) {
		return
	}
	var err error
	if t, ok := p.conn.loopTransport().(*pollTLS); ok {
		t.mu.Lock()
		err = t.uncorkLocked()
		t.mu.Unlock()
	} else {
		err = p.uncorkNow()
	}
	if err != nil {
		p.conn.breakWrite(err)
	}
}

// uncorkNow is uncork without TLS, or where TLS has written what it has.
func (p *pollConn) uncorkNow() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.clear(pollCorked | pollDrained)
	if p.queue != nil && !p.state.has(pollOut) {
		return p.flushLocked(nil, nil, false)
	}
	return nil
}

// flush writes the queue. The socket has room.
func (p *pollConn) flush() {
	p.mu.Lock()
	var err error
	if p.queue != nil && p.fd >= 0 {
		err = p.flushLocked(nil, nil, false)
	}
	p.mu.Unlock()
	if err != nil {
		p.conn.breakWrite(err)
	}
}

func (p *pollConn) dropQueue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropQueueLocked()
}

// dropQueueLocked drops the queue, which can no longer be written.
func (p *pollConn) dropQueueLocked() {
	p.state.set(pollDropped)
	transport.PutBacklog(p.queue)
	p.queue = nil
	p.resumeLocked()
	p.watchLocked(p.listenLocked(), false)
	p.worker.writeWaiters.wake(p)
}

// flushAtEndLocked writes as much of the queue as there is room for.
func (p *pollConn) flushAtEndLocked() {
	for p.queue != nil {
		n, more, err := p.writeLocked(nil, nil)
		p.consumeLocked(n)
		if !more || err != nil {
			return
		}
	}
}

// consumeLocked removes the first n bytes from the queue, or all if it has fewer,
// and returns how many of the n bytes were not in the queue.
func (p *pollConn) consumeLocked(n int) int {
	if p.queue == nil {
		return n
	}
	queued := min(n, p.queue.Len())
	p.queue.Consume(queued)
	if p.queue.Len() == 0 {
		transport.PutBacklog(p.queue)
		p.queue = nil
	}
	return n - queued
}

// WriteNow takes all of b, and writes it as far as there is room, even if a batch
// of input is being handled.
func (p *pollConn) WriteNow(b *transport.Backlog, _ bool) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.clear(pollCorked)
	return p.acceptAllLocked(b)
}

// WriteAll takes all of b, or nothing.
func (p *pollConn) WriteAll(b *transport.Backlog) (int, error) {
	if p.state.has(pollPaused | pollCut) {
		if err := p.waitForRoom(); err != nil {
			return 0, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acceptAllLocked(b)
}

func (p *pollConn) acceptAllLocked(b *transport.Backlog) (int, error) {
	parts := b.All()
	if last := len(parts) - 1; last > 0 {
		if p.fd < 0 || p.state.has(pollDropped) {
			return 0, net.ErrClosed
		}
		for _, part := range parts[:last] {
			p.queueLocked(nil, part, false)
		}
		parts = parts[last:]
	}
	if err := p.acceptLocked(nil, parts[0], false); err != nil {
		return 0, err
	}
	return b.Len(), nil
}

// Write sends b and queues the bytes that the socket does not take. It waits while
// too much is queued.
func (p *pollConn) Write(b []byte) (int, error) {
	n, err := p.Writev(nil, b)
	return int(n), err
}

func (p *pollConn) Writev(head, body []byte) (int64, error) {
	if p.state.has(pollPaused | pollCut) {
		if err := p.waitForRoom(); err != nil {
			return 0, err
		}
	}
	return p.accept(head, body)
}

// accept is writev without waiting: it takes everything, or returns an error.
func (p *pollConn) accept(head, body []byte) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(head) + len(body)), p.acceptLocked(head, body, false)
}

// acceptLocked sends head and body, or queues them. With shared it queues body
// itself instead of a copy.
func (p *pollConn) acceptLocked(head, body []byte, shared bool) error {
	size := len(head) + len(body)
	switch {
	case p.fd < 0, p.state.has(pollDropped):
		return net.ErrClosed
	case p.state.has(pollOut):
		p.queueLocked(head, body, shared)
	case p.state.has(pollCorked) && size <= maxCork && p.queue.Len()+size <= maxPending:
		p.queueLocked(head, body, false)
	default:
		return p.flushLocked(head, body, shared)
	}
	return nil
}

// writeCorked appends a frame to the queue while writes are corked, without another
// buffer.
func (p *pollConn) writeCorked(h Header, body []byte) int {
	if !p.state.has(pollCorked) {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	size := maxHeaderSize + len(body)
	if p.state.flags.Load()&(pollCorked|pollOut|pollCut) != pollCorked || p.fd < 0 ||
		size > maxCork || p.queue.Len()+size > maxPending {
		return 0
	}
	if p.queue == nil {
		p.queue = transport.GetBacklog()
	}
	return h.queueFrame(p.queue, body)
}

// Offer takes all of b, unless more than limit bytes might be queued then.
func (p *pollConn) Offer(b []byte, shared bool, limit int) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.roomLocked(len(b), limit)
	if err == nil {
		err = p.acceptLocked(nil, b, shared)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// roomLocked returns ErrBackpressure if n more bytes would make the queue larger
// than limit.
func (p *pollConn) roomLocked(n, limit int) error {
	if p.queue.Len()+n > limit && p.fd >= 0 && !p.state.has(pollOut) { // corked
		if err := p.flushLocked(nil, nil, false); err != nil {
			return err
		}
	}
	if p.queue.Len()+n > limit {
		return ErrBackpressure
	}
	return nil
}

// queueLocked puts head and body into the queue.
func (p *pollConn) queueLocked(head, body []byte, shared bool) {
	if p.queue == nil {
		p.queue = transport.GetBacklog()
	}
	p.queue.Copy(head)
	if shared {
		p.queue.Share(body)
	} else {
		p.queue.Copy(body)
	}
	if p.queue.Len() > highWater && p.state.has(pollOut) && !p.state.has(pollPaused) {
		p.state.set(pollPaused)
		p.watchLocked(p.state.has(pollBusy) && p.state.has(pollIn), true)
	}
}

// flushLocked writes the queue and then head and body, and queues the bytes that
// the socket does not take. shared is as for queueLocked.
func (p *pollConn) flushLocked(head, body []byte, shared bool) error {
	for {
		n, more, err := p.writeLocked(head, body)
		if err != nil && err != epoll.Again {
			err = p.opError("write", err)
			p.dropQueueLocked()
			return err
		}
		n = p.consumeLocked(n)
		skip := min(n, len(head))
		head, body = head[skip:], body[n-skip:]
		if !more || err != nil {
			break
		}
	}
	if p.queue != nil || len(head)+len(body) > 0 {
		p.watchLocked(p.listenLocked(), true)
		p.queueLocked(head, body, shared)
		return nil
	}
	if p.state.has(pollOut) {
		p.resumeLocked()
		p.watchLocked(p.listenLocked(), false)
		p.worker.writeWaiters.wake(p)
	}
	if p.state.has(pollAwaited) {
		p.state.clear(pollAwaited)
		go p.conn.tellDrained() // it takes locks that come before p.mu
	}
	return nil
}

// writeLocked writes once. more reports that the socket has taken all that it was
// offered, and that the queue has more.
func (p *pollConn) writeLocked(head, body []byte) (n int, more bool, err error) {
	switch {
	case p.queue != nil && len(head)+len(body) == 0 && p.queue.Only() != nil:
		n, err = epoll.Write(int(p.fd), p.queue.Only())
	case p.queue != nil:
		return p.gatherLocked(head, body)
	case len(head) == 0:
		n, err = epoll.Write(int(p.fd), body)
	default:
		n, err = epoll.Writev(int(p.fd), [][]byte{head, body})
	}
	return n, false, err
}

// gatherLocked is writeLocked where something is queued.
func (p *pollConn) gatherLocked(head, body []byte) (n int, more bool, err error) {
	var parts [transport.MaxVector + 2][]byte
	v := p.queue.Vector(parts[:0:transport.MaxVector])
	size := 0
	for _, part := range v {
		size += len(part)
	}
	all := size == p.queue.Len()
	if all && len(head)+len(body) > 0 {
		v = append(parts[:len(v)], head, body)
		size += len(head) + len(body)
	}
	n, err = epoll.Writev(int(p.fd), v)
	return n, n == size && !all, err
}

// waitForRoom waits until no longer too much is queued, or p is closed or the write
// deadline passes.
func (p *pollConn) waitForRoom() error {
	defer p.worker.writeWaiters.wake(p) // no other call may remove the channel
	for {
		changed := p.worker.writeWaiters.of(p)
		switch {
		case p.state.has(pollCut):
			return os.ErrDeadlineExceeded
		case !p.state.has(pollPaused): // or closed
			return nil
		}
		<-changed
	}
}

// Drain waits until all that was written has left, or until the end.
func (p *pollConn) Drain() error {
	for {
		changed := p.worker.writeWaiters.of(p)
		p.mu.Lock()
		var err error
		if p.queue != nil && !p.state.has(pollOut) { // corked
			err = p.flushLocked(nil, nil, false)
		}
		if p.state.has(pollDropped) {
			err = net.ErrClosed
		}
		done := p.queue == nil
		p.mu.Unlock()
		if done || err != nil {
			p.worker.writeWaiters.wake(p) // no other call may remove the channel
			return err
		}
		<-changed
	}
}

func (p *pollConn) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.Len()
}

// awaitDrained makes flushLocked call tellDrained when the queue is empty.
func (p *pollConn) awaitDrained() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.set(pollAwaited)
}

func (p *pollConn) LimitUnsent(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return net.ErrClosed
	}
	return epoll.LimitUnsent(int(p.fd), n)
}

// writeWaiters holds a channel for each connection on which writers wait for room
// in the queue.
type writeWaiters struct {
	mu      sync.Mutex // nothing else is locked under it
	waiting map[*pollConn]chan struct{}
}

// of returns a channel that is closed when p's waiting writers are to check again.
func (w *writeWaiters) of(p *pollConn) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.waiting[p]
	if ch == nil {
		if w.waiting == nil {
			w.waiting = make(map[*pollConn]chan struct{})
		}
		ch = make(chan struct{})
		w.waiting[p] = ch
	}
	return ch
}

func (w *writeWaiters) wake(p *pollConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.waiting[p]; ch != nil {
		close(ch)
		delete(w.waiting, p)
	}
}
