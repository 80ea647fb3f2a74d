package websocket

import (
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// sendQueue is all that waits to be written, in the order in which it leaves:
// pending, pongs and ping, the writers that wait, and the close frame. out.mu
// guards it.
//
// Only unlock drops a queue, and only if the queue is empty. So no writer that
// waits in it can be forgotten.
type sendQueue struct {
	pending *transport.Backlog // whole frames, or the rest of one that was begun
	closing bool               // the last one of them is the close frame
	behind  *transport.Backlog // messages of Send, which may not begin before that of out.stream has ended
	control controlFrames

	waiting   []*writer // for the write lock, first come first served
	coalesced []*writer // whose messages the owner of the write lock is writing with its own

	inFlight   int           // bytes of pending that the owner is writing
	anew       bool          // the connection's encoder is to begin anew after pending
	behindAnew bool          // and after behind
	drained    chan struct{} // closed when nothing is buffered any more; nil if no caller of Drained waits
}

// writer waits for the write lock, or for its message to leave with another's.
type writer struct {
	stream      *messageWriter // the message that it writes a part of, or nil
	frame       outFrame       // its message, if that may be coalesced with another's
	mayCoalesce bool           // whether it may
	last        bool           // it writes at the end of the connection: wake leaves it in the queue
	end         int            // once coalesced: where its message ends in the owner's bytes
	ready       chan struct{}  // closed when state is owning or done, or the connection is closing
	state       writerState    // guarded by out.mu, like err
	err         error          // once done
}

type writerState uint8

const (
	waiting   writerState = iota
	owning                // owns the write lock
	coalesced             // its message is in another owner's write; frame is not used any more
	done                  // that write has ended, with err
)

const (
	// maxPending bounds pending where a Write adds a message to it.
	maxPending = 64 << 10
	// maxCoalesce is the largest message that is copied to leave together with
	// others. The copy takes less time than the system call that it saves.
	maxCoalesce = 16 << 10
)

// empty reports whether no frame and no goroutine waits in q.
func (q *sendQueue) empty() bool {
	return !q.hasFrames() && q.behind.Len() == 0 && len(q.waiting) == 0 && len(q.coalesced) == 0 &&
		q.inFlight == 0 && !q.anew && !q.behindAnew && q.drained == nil
}

// hasFrames reports whether something can be written at once.
func (q *sendQueue) hasFrames() bool { return q.pending.Len() > 0 || q.control.size() > 0 }

// size is the number of bytes that wait.
func (q *sendQueue) size() int { return q.pending.Len() + q.behind.Len() + q.control.size() }

// backlogIn returns *l, and makes it if it is nil.
func backlogIn(l **transport.Backlog) *transport.Backlog {
	if *l == nil {
		*l = transport.GetBacklog()
	}
	return *l
}

// remove removes w from the waiting writers.
func (q *sendQueue) remove(w *writer) {
	if i := slices.Index(q.waiting, w); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// nextWriter removes and returns the first writer that may begin while stream is
// the message under way, or nil.
func (q *sendQueue) nextWriter(stream *messageWriter) *writer {
	for i, w := range q.waiting {
		if w.last || w.stream == stream || w.stream == anyStream {
			q.waiting = slices.Delete(q.waiting, i, i+1)
			return w
		}
	}
	return nil
}

// wake wakes every waiting writer but those marked last, because the connection is
// closing.
func (q *sendQueue) wake() {
	kept := q.waiting[:0]
	for _, w := range q.waiting {
		if w.last {
			kept = append(kept, w)
		} else {
			close(w.ready)
		}
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
}

// drop frees all bytes. wake wakes the writers that wait.
func (q *sendQueue) drop() {
	transport.PutBacklog(q.pending)
	transport.PutBacklog(q.behind)
	q.pending, q.behind, q.closing = nil, nil, false
	q.control = controlFrames{}
	q.anew, q.behindAnew = false, false
}

// take removes and returns pending, which may be nil.
func (q *sendQueue) take() *transport.Backlog {
	ahead := q.pending
	q.pending = nil
	q.inFlight = ahead.Len()
	return ahead
}

// giveBack puts ahead, the rest of what take has returned, before everything else.
func (q *sendQueue) giveBack(ahead *transport.Backlog) {
	if ahead.Len() == 0 {
		transport.PutBacklog(ahead)
		return
	}
	ahead.Append(q.pending)
	q.pending = ahead
}

// endCoalesced tells the writers of coalesced messages their result: sent bytes of
// what the owner wrote have left, and the rest did not, because of err.
func (q *sendQueue) endCoalesced(sent int, err error) {
	q.inFlight = 0
	for _, w := range q.coalesced {
		w.state = done
		if w.end > sent {
			w.err = err
		}
		close(w.ready)
	}
	clear(q.coalesced)
	q.coalesced = q.coalesced[:0]
}

// sendQueues is a pool of empty queues. Each batch of answers needs one.
var sendQueues = sync.Pool{New: func() any { return new(sendQueue) }}

// queueLocked returns the queue, and takes one from the pool if there is none.
func (o *outHalf) queueLocked() *sendQueue {
	if o.queue == nil {
		o.queue = sendQueues.Get().(*sendQueue)
	}
	return o.queue
}

// freeLocked reports whether a writer for stream need not wait.
func (o *outHalf) freeLocked(stream *messageWriter) bool {
	return !o.write.held() && (stream == anyStream ||
		o.stream == stream && (stream != nil || o.queue == nil || len(o.queue.waiting) == 0))
}

// canCoalesceLocked reports whether a message of n bytes may be added to pending.
func (o *outHalf) canCoalesceLocked(n int) bool {
	return o.stream == nil && (o.queue == nil || o.queue.pending.Len()+maxHeaderSize+n <= maxPending)
}

// coalesceLocked adds a message to pending. If it is to be compressed by the
// connection's own encoder, no other goroutine owns the write lock.
func (c *Conn) coalesceLocked(f outFrame) {
	q := c.out.queueLocked()
	if f.pack != packNone {
		c.encoderLocked()
	}
	z := c.encodeLate(&f)
	var h Header
	c.header(&h, &f)
	f.queue(backlogIn(&q.pending), &h)
	c.out.write.add()
	c.countWire(&f)
	buffer.Put(z)
}

// encoderLocked resets the encoder if the messages in pending require it. The
// caller owns the write lock, or it has no owner.
func (c *Conn) encoderLocked() {
	if q := c.out.queue; q != nil && q.anew {
		c.extensions().enc.Reset()
		q.anew = false
	}
}

// takeLocked returns the bytes that leave ahead of the frame of the write lock's
// owner, nil if there are none: pending, control frames but for the close frame,
// and messages of waiting writers that may be coalesced. size is the size of the
// owner's frame.
func (c *Conn) takeLocked(size int) *transport.Backlog {
	o := &c.out
	q := o.queue
	if q == nil {
		o.setWriting(size)
		return nil
	}
	q.addControl()
	c.encoderLocked()
	for len(q.waiting) > 0 {
		w := q.waiting[0]
		if !w.mayCoalesce || !o.canCoalesceLocked(len(w.frame.p)) {
			break
		}
		q.waiting = slices.Delete(q.waiting, 0, 1)
		c.coalesceLocked(w.frame)
		w.state, w.frame.p, w.end = coalesced, nil, q.pending.Len()
		q.coalesced = append(q.coalesced, w)
	}
	ahead := q.take()
	o.setWriting(ahead.Len() + size)
	return ahead
}

// takeClosing is takeLocked for an owner that writes no frame of its own. The close
// frame comes last; closing tells that ahead ends with it.
func (c *Conn) takeClosing() (ahead *transport.Backlog, closing bool) {
	o := &c.out
	if q := o.queue; q != nil {
		q.addControl()
		q.addClose()
	}
	ahead = c.takeLocked(0)
	if q := o.queue; q != nil {
		closing, q.closing = q.closing, false
	}
	return ahead, closing
}

// dropWritersLocked wakes the writers that wait for the write lock: the connection
// is closing, or its writing half has failed. Messages that Send has queued still
// leave, ahead of the close frame, unless the writing half has failed.
func (c *Conn) dropWritersLocked() {
	if q := c.out.queue; q != nil {
		q.wake()
		c.tellDrainedLocked()
	}
}

// endStreamLocked ends stream, if it is the message under way, so that others may
// begin. torn says that a part of it has left and the rest will not: then no
// message can follow.
func (o *outHalf) endStreamLocked(stream *messageWriter, torn bool) {
	if stream == nil || o.stream != stream {
		return
	}
	o.stream = nil
	o.sender.open = false // a frame that was refused before its first byte may have set it
	q := o.queue
	if q == nil || q.behind == nil {
		return
	}
	if torn || o.closed && q.control.close == nil { // nothing may follow a close frame on its way
		transport.PutBacklog(q.behind)
	} else {
		backlogIn(&q.pending).Append(q.behind)
		q.anew = q.anew || q.behindAnew
	}
	q.behind, q.behindAnew = nil, false
}

// endUnbegunLocked ends the message under way if nothing of it has left and nothing
// can any more, so that the messages behind it leave. The write lock has no owner,
// or the caller owns it.
func (c *Conn) endUnbegunLocked() {
	if o := &c.out; o.stream != nil && !o.sender.open && c.life.closeState() != stateOpen {
		o.endStreamLocked(o.stream, false)
	}
}
