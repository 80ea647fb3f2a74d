package websocket

import (
	"context"
	"errors"
	"fmt"

	"github.com/fullduplex-go/websocket/internal/utf8"
)

// ErrBackpressure is what [Conn.Send] and [Conn.SendPrepared] return when a
// message does not fit into what they may queue: the peer does not keep up.
var ErrBackpressure = errors.New("websocket: the peer does not keep up: the send queue is full")

// Send sends p as one message in one frame, as [Conn.Write] does, but never
// waits, and does not keep p. What the socket does not take at once is queued,
// and leaves as the peer takes it. Any number of goroutines may call it;
// messages of one goroutine leave in order, whether by Send or by Write.
//
// The queue is bounded by [Options.SendBuffer]. A message that does not fit is
// refused with [ErrBackpressure], and nothing of it is sent; [Conn.Drained]
// tells when there is room again. A message larger than SendBuffer is always
// refused, with an error that wraps [ErrMessageTooBig].
//
// What goes wrong with a queued message ends the connection and is what the
// next call returns. [Conn.Close] lets the queue leave first, within
// [Options.CloseTimeout]; so does a peer that closes.
//
// On a [Loop], Send costs what Write does. Else a goroutine is started when
// the socket is full, and ends when the queue is empty; over TLS, and on
// connections that are no sockets, that cannot be seen, so there it is started
// for each queue.
func (c *Conn) Send(typ MessageType, p []byte) error {
	if err := checkMessage(context.Background(), typ); err != nil {
		return err
	}
	if typ == Text && !utf8.Valid(p) {
		return errInvalidText
	}
	return c.send(&outFrame{op: Opcode(typ), fin: true, p: p})
}

// SendPrepared is Send for a message that was prepared. On a server, what is
// queued of it is a reference, not a copy.
func (c *Conn) SendPrepared(m *PreparedMessage) error {
	if m == nil {
		return errNilPrepared
	}
	var f outFrame
	m.frame(c, &f)
	return c.send(&f)
}

// Drained returns a channel that is closed as soon as nothing is buffered, as
// [Conn.Buffered] has it, or the connection is closing: at once, if that is so
// already. It is for producers that have something better to send later than a
// backlog now.
func (c *Conn) Drained() <-chan struct{} {
	o := &c.out
	o.lock()
	defer o.unlock()
	q := o.queueLocked()
	if q.drained == nil {
		q.drained = make(chan struct{})
	}
	drained := q.drained
	c.tellDrainedLocked()
	if q.empty() {
		o.queue = nil
	}
	return drained
}

// tellDrained tells those who wait for it that nothing is buffered, if so.
func (c *Conn) tellDrained() {
	c.out.lock()
	defer c.out.unlock()
	c.tellDrainedLocked()
	if q := c.out.queue; q != nil && q.empty() {
		c.out.queue = nil
	}
}

func (c *Conn) tellDrainedLocked() {
	q := c.out.queue
	if q == nil || q.drained == nil {
		return
	}
	if l := c.looper(); l != nil {
		l.awaitDrained() // before the look, so that nothing is missed between the two
	}
	if c.bufferedLocked() > 0 && !c.closing() {
		return
	}
	close(q.drained)
	q.drained = nil
}

// batch is messages of Send, encoded, that wait for the writing side, or of
// which a part has left.
type batch struct {
	bytes    *backlog
	messages int
	begun    bool // the first one has been begun: no control frame may go ahead of it
	alone    bool // the connection's encoder has not seen them all
}

// send sends f, a whole message, or queues it.
func (c *Conn) send(f *outFrame) error {
	if n := f.sizeLimit(); n > c.opts.SendBuffer {
		return fmt.Errorf("websocket: %w: of %d bytes, where Options.SendBuffer is %d", ErrMessageTooBig, len(f.p), c.opts.SendBuffer)
	}
	var z *buffer
	if d := c.agreed().deflate; d != nil && !f.wire && len(f.p) >= d.threshold {
		if d.enc != nil {
			f.pack = packMessage
		} else {
			z = f.deflateAlone(&d.compression)
		}
	}
	err := c.sendFrame(f)
	putBuffer(z)
	return err
}

// sizeLimit is how many bytes f may take on the wire.
func (f *outFrame) sizeLimit() int {
	if f.wire {
		return len(f.p)
	}
	return len(f.p) + maxHeaderSize
}

func (c *Conn) sendFrame(f *outFrame) error {
	o := &c.out
	if !c.in.marks.has(inMore) && o.turn.take(0) {
		if err := c.readError(); err != nil {
			c.abandonWrite(nil)
			return err
		}
		return c.sendTurn(nil, f, true)
	}
	var z *buffer
	if f.pack == packMessage {
		// Its turn may come when p is gone, so it is compressed now, and alone.
		z = f.deflateAlone(&c.deflate().compression)
		f.pack = packAlone
	}
	ahead, owns, err := c.beginSend(f)
	if owns {
		err = c.sendTurn(ahead, f, false)
	}
	putBuffer(z)
	return err
}

// beginSend is beginWrite for those who do not wait: where they would have to,
// f is queued.
func (c *Conn) beginSend(f *outFrame) (ahead *buffer, owns bool, err error) {
	o := &c.out
	o.lock()
	defer o.unlock()
	switch err := c.readError(); {
	case err != nil:
		return nil, false, err
	case c.in.marks.has(inMore) && len(f.p) <= maxJoin && o.joinsLocked(len(f.p)) && !(f.pack != packNone && o.turn.taken()):
		c.joinLocked(*f)
		c.kickLocked()
		return nil, false, nil
	case o.freeLocked(nil):
		o.turn.set(true)
		return c.takeLocked(len(f.p)), true, nil
	}
	return nil, false, c.enqueueLocked(f)
}

// enqueueLocked puts f behind everything that waits.
func (c *Conn) enqueueLocked(f *outFrame) error {
	o := &c.out
	queued := f.sizeLimit()
	if o.queue != nil {
		queued += o.queue.sends
	}
	if l := c.looper(); l != nil {
		queued += l.queued()
	}
	if queued > c.opts.SendBuffer {
		return ErrBackpressure
	}
	q := o.queueLocked()
	var b *batch
	if n := len(q.waiting); n > 0 {
		b = q.waiting[n-1].batch
	}
	if b == nil {
		b = &batch{bytes: getBacklog()}
		q.waiting = append(q.waiting, &outWaiter{batch: b})
	}
	before := b.bytes.len()
	var h Header
	if f.wire {
		h, _, _ = ParseHeader(f.p)
		b.bytes.share(f.p)
	} else {
		o.sender.frame(&h, f.op, true, f.rsv, len(f.p))
		room := b.bytes.room(maxHeaderSize + len(f.p))
		n := len(room.b)
		room.b = h.appendFrame(room.b, f.p)
		b.bytes.size += len(room.b) - n
	}
	c.traceOut(&h)
	q.sends += b.bytes.len() - before
	b.messages++
	b.alone = b.alone || f.pack == packAlone
	return nil
}

// sendTurn sends what the transport takes at once. The caller has the writing
// side; a goroutine has it for what is left.
func (c *Conn) sendTurn(ahead *buffer, f *outFrame, quick bool) error {
	o := &c.out
	first := ahead.len()
	z := c.pack(f)
	var h Header
	c.header(&h, f)
	b, out := ahead, f.p
	if !f.wire || b != nil {
		b = b.withRoom(maxHeaderSize + len(f.p))
		b.b = f.append(b.b, &h)
		out = b.b
	}
	putBuffer(z)
	n, err := c.t.offer(out, b == nil, c.opts.SendBuffer)
	o.bytes.Add(uint64(n))
	switch {
	case err == nil && n == len(out):
		putBuffer(b)
		if quick && o.turn.pass() {
			return nil
		}
	case err == nil:
		rest := &batch{bytes: getBacklog(), messages: 1, begun: true}
		if b != nil {
			rest.bytes.begin(b, n)
		} else {
			rest.bytes.share(out[n:])
		}
		o.lock()
		defer o.unlock()
		o.writing = 0
		o.queueLocked().sends += rest.bytes.len()
		go c.writeBatch(rest)
		return nil
	case err == ErrBackpressure:
		if f.pack != packNone {
			c.deflate().enc.Reset() // the peer will not see the message
		}
	default:
		err = c.fail(err)
		putBuffer(b)
	}
	o.lock()
	defer o.unlock()
	switch err {
	case nil:
		o.turn.add()
	case ErrBackpressure:
		o.giveBackLocked(b, 0, first)
		c.releaseLocked(nil)
		return err
	}
	c.releaseLocked(err)
	return err
}

// writeBatch writes b, waiting as long as it takes. It runs in a goroutine of
// its own, which has the writing side.
func (c *Conn) writeBatch(b *batch) {
	o := &c.out
	size := b.bytes.len()
	o.lock()
	if !b.begun {
		o.holdControlLocked()
		if o.held != nil {
			b.bytes.putAhead(o.held)
			o.held = nil
		}
	}
	o.unlock()
	if b.alone {
		c.deflate().enc.Reset()
	}
	n, err := b.bytes.writeTo(c.t)
	putBacklog(b.bytes)
	o.bytes.Add(uint64(n))
	if err != nil {
		err = c.fail(err)
	}
	o.lock()
	defer o.unlock()
	o.queue.sends -= size // it is there, since they count
	if err == nil {
		for range b.messages {
			o.turn.add()
		}
	}
	c.releaseLocked(err)
}
