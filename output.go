package websocket

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

var (
	errNilContext  = errors.New("websocket: nil context")
	errInvalidText = errors.New("websocket: text message is not UTF-8")
)

// vectorSize is the payload size from which an unmasked message is not copied
// behind its header.
const vectorSize = 4 << 10

// outFrame is a data frame on its way out.
type outFrame struct {
	op    Opcode
	fin   bool
	rsv   uint8   // reserved bits, if it is the first of its message
	plain bool    // it is not to be compressed
	pack  packing // what encodeLate is to do with it
	wire  bool    // p is whole frames, with their headers, and does not change
	cut   bool    // its write was interrupted by its context
	sent  uint16  // once writeFrame has failed: how many bytes of it have left, at most 65535
	p     []byte

	until int64 // when its write has to be over, by monotonic; 0 for no bound but the context
}

// header sets h to the header of f.
func (c *Conn) header(h *Header, f *outFrame) {
	if f.wire {
		*h, _, _ = ParseHeader(f.p)
	} else {
		c.out.sender.header(h, f.op, f.fin, f.rsv, len(f.p))
	}
	c.traceOut(h)
	c.traceWire(f)
}

// wireFrames yields the frames in wire, which are whole.
func wireFrames(wire []byte) iter.Seq2[Header, []byte] {
	return func(yield func(Header, []byte) bool) {
		for len(wire) > 0 {
			h, n, _ := ParseHeader(wire)
			end := n + int(h.Length)
			if !yield(h, wire[n:end]) {
				return
			}
			wire = wire[end:]
		}
	}
}

// traceWire calls the hook for the frames of f behind the first.
func (c *Conn) traceWire(f *outFrame) {
	if !f.wire || c.opts.Trace == nil {
		return
	}
	first := true
	for h := range wireFrames(f.p) {
		if !first {
			c.traceOut(&h)
		}
		first = false
	}
}

// countWire counts the messages of f behind the first, when f has been sent.
func (c *Conn) countWire(f *outFrame) {
	if !f.wire {
		return
	}
	n := -1
	for range wireFrames(f.p) {
		n++
	}
	if n > 0 {
		c.out.write.addMore(n)
	}
}

// append appends f to dst. h is its header.
func (f *outFrame) append(dst []byte, h *Header) []byte {
	if f.wire {
		return append(dst, f.p...)
	}
	return h.appendFrame(dst, f.p)
}

// queue appends a copy of f to l. h is its header.
func (f *outFrame) queue(l *transport.Backlog, h *Header) {
	if f.wire {
		l.Copy(f.p)
	} else {
		h.queueFrame(l, f.p)
	}
}

// queueFrame appends a frame to l and returns its size.
func (h *Header) queueFrame(l *transport.Backlog, p []byte) int {
	return l.SetTail(h.appendFrame(l.Tail(maxHeaderSize+len(p)), p))
}

func (c *Conn) bufferedLocked() int {
	o := &c.out
	n := o.write.size() + int(o.writing) + c.queued()
	if o.queue != nil {
		n += o.queue.size()
	}
	return n
}

// queued is how many bytes a loop has taken that the kernel has not.
func (c *Conn) queued() int {
	if l := c.loopTransport(); l != nil {
		return l.queued()
	}
	return 0
}

// writeError returns why nothing can be written any more, or nil.
func (c *Conn) writeError() error {
	if c.life.closeState() == stateOpen {
		return nil
	}
	return c.whyNotWrite()
}

// beginWrite makes the caller the owner of the write lock, until releaseLocked, and
// returns the bytes that leave ahead of its frame. If owns is false, err tells why,
// or err is nil and f leaves or has left with other messages, which only
// mayCoalesce allows.
//
// While there is input to be read, a message is made pending, so that it leaves
// together with the answers to that input: at the latest when the reader has to
// wait, because then the goroutine that was started to flush runs.
func (c *Conn) beginWrite(ctx context.Context, stream *messageWriter, f *outFrame, mayCoalesce bool) (ahead *transport.Backlog, owns bool, err error) {
	ahead, owns, w, err := c.tryBeginWrite(ctx, stream, f, mayCoalesce)
	if w != nil {
		return c.await(ctx, w)
	}
	return ahead, owns, err
}

// tryBeginWrite is beginWrite without waiting. If the caller would have to wait, it
// queues and returns w.
func (c *Conn) tryBeginWrite(ctx context.Context, stream *messageWriter, f *outFrame, mayCoalesce bool) (ahead *transport.Backlog, owns bool, w *writer, err error) {
	o := &c.out
	o.lock()
	defer o.unlock()
	switch err := c.writeError(); {
	case err != nil:
		return nil, false, nil, err
	case ctx.Err() != nil: // no other write may include the message
		return nil, false, nil, contextError(ctx)
	case mayCoalesce && c.in.flags.has(inputBuffered) && o.canCoalesceLocked(len(f.p)) && !(f.pack != packNone && o.write.held()):
		c.coalesceLocked(*f)
		c.scheduleFlushLocked()
		return nil, false, nil, nil
	case o.freeLocked(stream):
		o.write.set(true)
		return c.takeLocked(len(f.p)), true, nil, nil
	}
	w = &writer{stream: stream, frame: *f, mayCoalesce: mayCoalesce, ready: make(chan struct{})}
	q := o.queueLocked()
	q.waiting = append(q.waiting, w)
	return nil, false, w, nil
}

// writeFrame writes a data frame, for stream or, if that is nil, as a message
// of its own.
func (c *Conn) writeFrame(ctx context.Context, stream *messageWriter, f *outFrame) error {
	o := &c.out
	f.until = c.writeUntil()
	var ahead *transport.Backlog
	var err error
	quick := stream == nil && !c.in.flags.has(inputBuffered) && o.write.acquire(len(f.p))
	if quick {
		if err = c.writeError(); err != nil {
			c.abandonWrite(nil)
			return err
		}
	} else {
		var owns bool
		if ahead, owns, err = c.beginWrite(ctx, stream, f, stream == nil && len(f.p) <= maxCoalesce); !owns {
			return err
		}
	}
	if err = c.armWrite(ctx); err != nil {
		c.abandonWrite(ahead)
		return err
	}
	if f.until != 0 {
		c.armWriteClock(f.until)
	}
	if ahead != nil {
		return c.writeBehind(ctx, ahead, f)
	}
	z := c.encodeLate(f)
	var h Header
	c.header(&h, f)
	var n int64
	var b *buffer.Buffer
	if !f.wire && c.in.readLock.onLoop() {
		n = c.writeCorked(&h, f.p)
	}
	switch {
	case n > 0:
	case c.t.Vectored() && !h.Masked && len(f.p) >= vectorSize && !f.wire:
		b = b.WithRoom(maxHeaderSize)
		b.B = h.append(b.B)
		n, err = c.t.Writev(b.B, f.p)
	default:
		out := f.p
		if !f.wire {
			b = f.encode(&h)
			out = b.B
		}
		var m int
		m, err = c.t.Writer().Write(out)
		n = int64(m)
	}
	buffer.Put(b)
	buffer.Put(z)
	f.cut = c.disarmWrite(ctx)
	if f.until != 0 && c.disarmWriteClock() {
		f.cut = true
	}
	o.bytes.Add(uint64(n))
	if quick && err == nil && o.write.release() {
		c.countWire(f)
		return nil
	}
	return c.endWrite(ctx, nil, int(n), f, err)
}

// A connection's goroutine has a stack of 2 KiB, and a write by writeFrame nearly
// fills it. A larger stack frame would cost each of them another 2 KiB. So the
// functions below are not inlined into writeFrame.

// writeCorked gives a frame to the loop, if there is one, which holds it until its
// batch of input is done. It returns the frame's size, or 0 if the loop does not
// hold frames now.
//
//go:noinline
func (c *Conn) writeCorked(h *Header, p []byte) int64 {
	if l := c.loopTransport(); l != nil {
		return int64(l.writeCorked(*h, p))
	}
	return 0
}

// encode returns f in a buffer. h is its header.
//
//go:noinline
func (f *outFrame) encode(h *Header) *buffer.Buffer {
	b := buffer.Get(maxHeaderSize + len(f.p))
	b.B = f.append(b.B, h)
	return b
}

// writeBehind writes ahead and then f, in one call.
//
//go:noinline
func (c *Conn) writeBehind(ctx context.Context, ahead *transport.Backlog, f *outFrame) error {
	ahead.Mark = ahead.Len()
	z := c.encodeLate(f)
	var h Header
	c.header(&h, f)
	if !f.wire && !h.Masked && len(f.p) >= vectorSize && c.t.Vectored() {
		ahead.Copy(h.Append(nil))
		ahead.Share(f.p)
	} else {
		f.queue(ahead, &h)
	}
	n, err := c.t.WriteAll(ahead)
	buffer.Put(z) // not before: ahead may share it
	f.cut = c.disarmWrite(ctx)
	if f.until != 0 && c.disarmWriteClock() {
		f.cut = true
	}
	c.out.bytes.Add(uint64(n))
	return c.endWrite(ctx, ahead, n, f, err)
}

// anyStream stands for the message under way, if there is one. A writer for
// anyStream writes no frame of a message.
var anyStream = new(messageWriter)

// abandonWrite releases the write lock after nothing was written. ahead, which was
// to leave ahead of the owner's frame, is queued again.
func (c *Conn) abandonWrite(ahead *transport.Backlog) {
	o := &c.out
	o.lock()
	defer o.unlock()
	c.giveBackLocked(ahead, 0)
	c.releaseLocked(0, nil)
}

// giveBackLocked queues ahead again, from which the sent bytes that were written
// are removed. If the writing half is over, the writers of coalesced messages get
// that error instead.
func (c *Conn) giveBackLocked(ahead *transport.Backlog, sent int) {
	switch o := &c.out; {
	case ahead == nil:
	case o.broken:
		transport.PutBacklog(ahead)
		if o.queue != nil {
			o.queue.endCoalesced(sent, c.writeError())
		}
	default:
		o.queueLocked().giveBack(ahead)
	}
}

// endWrite releases the write lock after n bytes were written: of ahead, which ends
// with f, or of f alone if ahead is nil. It returns err as the caller is to see it.
// The bytes ahead of f are other writers'. If the write was interrupted before f,
// they are queued again.
//
//go:noinline
func (c *Conn) endWrite(ctx context.Context, ahead *transport.Backlog, n int, f *outFrame, err error) error {
	o := &c.out
	size := 0
	if ahead != nil {
		size = ahead.Mark
	}
	f.sent = uint16(min(max(n-size, 0), math.MaxUint16))
	interrupted := err != nil && errors.Is(err, os.ErrDeadlineExceeded)
	if interrupted && n <= size && c.t.Resumable() && (f.cut || c.closing()) {
		return c.takeBackWrite(ctx, ahead, n, f)
	}
	transport.PutBacklog(ahead)
	if err != nil {
		if interrupted && f.cut {
			err = fmt.Errorf("write cancelled in the middle of a frame: %w", c.interruption(ctx))
		}
		err = c.breakWrite(err)
		if f.cut && c.t.Resumable() {
			c.t.CloseWrite() // the peer waits for the rest of the frame
		}
	}
	o.lock()
	defer o.unlock()
	if err == nil && f.fin {
		o.write.add()
		c.countWire(f)
		o.endStreamLocked(o.stream, false) // if there is one, f is its last frame
	}
	c.releaseLocked(n, err)
	if err != nil && !c.t.Exact() {
		err = maybeSent(err)
	}
	return err
}

// takeBackWrite is endWrite for a write that was interrupted, by its context or by
// the end of the connection, before anything of f was written.
func (c *Conn) takeBackWrite(ctx context.Context, ahead *transport.Backlog, n int, f *outFrame) error {
	if f.pack != packNone {
		c.extensions().enc.Reset() // the peer has not seen the message
	}
	if ahead != nil {
		ahead.Truncate(ahead.Mark)
		ahead.Consume(n)
	}
	o := &c.out
	o.lock()
	defer o.unlock()
	c.giveBackLocked(ahead, n)
	c.releaseLocked(0, nil) // coalesced messages are pending
	if f.cut {
		return c.interruption(ctx)
	}
	return c.writeError()
}
