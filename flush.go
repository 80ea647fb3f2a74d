package websocket

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// flush writes what is queued, waiting as long as it takes.
func (c *Conn) flush() {
	// A batch of pending answers is complete, or its reader does something else. An
	// answer that comes before the next read leaves directly.
	c.in.flags.clear(inputBuffered)
	ahead, closing, owns := c.takeQueued()
	if !owns {
		return
	}
	var n int
	var err error
	if ahead != nil {
		n, err = c.t.WriteAll(ahead)
	}
	if c.endFlush(ahead, n, closing, err) {
		c.tellFlushed(closing)
	}
}

// flushNow writes what is queued as far as there is room, so that nothing depends
// on a goroutine that may come too late. The rest is left to flush.
func (c *Conn) flushNow() {
	ahead, closing, owns := c.takeQueued()
	if !owns {
		return // the owner of the write lock sees to it, or there is nothing to do
	}
	var n int
	var err error
	if ahead != nil {
		n, err = c.t.WriteNow(ahead, false)
	}
	switch {
	case !c.endFlush(ahead, n, closing, err):
	case c.queued() > 0:
		go c.tellFlushed(closing)
	default:
		c.tellFlushed(closing)
	}
}

// takeQueued makes the caller the owner of the write lock and returns the queued
// bytes, the close frame included. owns is false if there is nothing to do, or the
// lock has an owner, which sees to it.
func (c *Conn) takeQueued() (ahead *transport.Backlog, closing, owns bool) {
	o := &c.out
	o.lock()
	defer o.unlock()
	o.flushing = false
	if o.write.held() {
		return nil, false, false
	}
	c.endUnbegunLocked()
	if !c.hasWorkLocked() {
		return nil, false, false
	}
	o.tell = false
	ahead, closing = c.takeClosing()
	o.write.set(true)
	return ahead, closing, true
}

// endFlush releases the write lock, after the first n bytes of ahead were
// written. It reports whether that was all there is, on a connection that is
// closing.
func (c *Conn) endFlush(ahead *transport.Backlog, n int, closing bool, err error) bool {
	o := &c.out
	o.bytes.Add(uint64(n))
	if err != nil && c.closing() && c.t.Resumable() && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // end interrupts it, to write what there is room for
	}
	if ahead != nil {
		ahead.Consume(n)
	}
	if err != nil {
		transport.PutBacklog(ahead)
		err = c.breakWrite(err)
	}
	o.lock()
	defer o.unlock()
	flushed := false
	switch {
	case err != nil:
	case ahead.Len() > 0:
		c.giveBackLocked(ahead, n)
		if q := o.queue; q != nil {
			q.closing = closing
		}
	default:
		transport.PutBacklog(ahead)
		flushed = closing || c.life.closeState() == stateFlushing && (o.queue == nil || !o.queue.hasFrames())
	}
	c.releaseLocked(n, err)
	return flushed
}

// tellFlushed waits until all that was written has left for the kernel, and moves
// the connection on. closing tells that the close frame was a part of it.
func (c *Conn) tellFlushed(closing bool) {
	switch err := c.currentTransport().Drain(); {
	case err != nil:
		c.breakWrite(err)
	case closing:
		c.advance(eventCloseSent, nil)
	default:
		c.advance(eventFlushed, nil)
	}
}

// breakWrite ends the writing half because of err, and returns the error for the
// caller, which may own the write lock. Reading goes on.
func (c *Conn) breakWrite(err error) error {
	c.advance(eventWriteError, &CloseError{Code: StatusAbnormalClosure, Err: err})
	return c.writeError()
}

// tellDrained closes the channel of Drained if nothing is buffered any more.
func (c *Conn) tellDrained() {
	c.out.lock()
	defer c.out.unlock()
	c.tellDrainedLocked()
}

func (c *Conn) tellDrainedLocked() {
	q := c.out.queue
	if q == nil || q.drained == nil {
		return
	}
	if l := c.loopTransport(); l != nil {
		l.awaitDrained() // before bufferedLocked, so that no change between the two is missed
	}
	if c.bufferedLocked() > 0 && !c.closing() && !c.out.broken {
		return
	}
	close(q.drained)
	q.drained = nil
}

// flushAtEnd writes what is queued, as far as there is room, before the transport
// is closed. Nothing is written after it.
func (c *Conn) flushAtEnd() {
	o := &c.out
	ahead, closing, owns := c.takeAtEnd()
	if owns && ahead.Len() > 0 {
		n, err := c.t.WriteNow(ahead, true)
		o.bytes.Add(uint64(n))
		if closing && err == nil && n == ahead.Len() && c.queued() == 0 {
			c.life.mu.Lock()
			c.life.sent = true
			c.life.mu.Unlock()
		}
		transport.PutBacklog(ahead)
	}
	o.lock()
	defer o.unlock()
	o.breakLocked()
	if owns {
		c.releaseLocked(0, nil)
	}
}

// takeAtEnd is takeQueued for the end of the connection. It waits for a write under
// way, but interrupts a write that waits for the peer.
func (c *Conn) takeAtEnd() (ahead *transport.Backlog, closing, owns bool) {
	o := &c.out
	w, owns := c.queueAtEnd()
	if w == nil && !owns {
		return nil, false, false
	}
	if w != nil && !c.awaitAtEnd(w) {
		return nil, false, false
	}
	o.lock()
	defer o.unlock()
	if o.broken { // by the write that was under way
		return nil, false, true
	}
	c.endUnbegunLocked()
	ahead, closing = c.takeClosing()
	return ahead, closing, true
}

// queueAtEnd makes the caller the owner of the write lock, or returns a writer that
// waits for it; neither if there is nothing to write.
func (c *Conn) queueAtEnd() (w *writer, owns bool) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if !o.write.held() {
		c.endUnbegunLocked()
	}
	switch {
	case o.broken:
	case o.write.held():
		w = &writer{last: true, ready: make(chan struct{})}
		q := o.queueLocked()
		q.waiting = slices.Insert(q.waiting, 0, w)
	case o.queue != nil && o.queue.hasFrames():
		o.write.set(true)
		owns = true
	}
	return w, owns
}

// awaitAtEnd waits until w owns the write lock. The write under way goes on while
// there is room for it, and is interrupted where it waits for the peer. It reports
// false if the write does not end even so.
func (c *Conn) awaitAtEnd(w *writer) bool {
	t := c.currentTransport()
	interrupted := transport.Blocked(t)
	if interrupted {
		t.SetWriteDeadline(transport.Past)
	}
	ticker := time.NewTicker(transport.EndWait)
	defer ticker.Stop()
	for left := transport.EndBound(t); left > 0; left -= transport.EndWait {
		select {
		case <-w.ready:
			return true
		case <-ticker.C:
		}
		if !interrupted && transport.MayWait(t) {
			interrupted = true
			t.SetWriteDeadline(transport.Past)
		}
	}
	c.out.lock()
	defer c.out.unlock()
	if w.state == owning {
		return true
	}
	c.out.queue.remove(w) // there is a queue, since w waits in it
	return false
}
