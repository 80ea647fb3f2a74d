package websocket

import (
	"context"
	"errors"
	"fmt"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// ErrBackpressure is returned by [Conn.Send] and [Conn.SendPrepared] when a message
// does not fit into the queue: the peer does not keep up.
var ErrBackpressure = errors.New("websocket: the peer does not keep up: the send queue is full")

// Send sends p as one message in one frame, as [Conn.Write] does, but never waits,
// and does not keep p. Bytes that the socket does not take at once are queued, and
// leave as the peer takes them. Any number of goroutines may call it; messages of
// one goroutine leave in order, whether by Send or by Write, and may overtake
// another goroutine's Write that waits.
//
// The queue is bounded by [Options.SendBuffer]. A message that does not fit is
// refused with [ErrBackpressure], and nothing of it is sent; [Conn.Drained]
// tells when there is room again. A message larger than SendBuffer is always
// refused, with an error that wraps [ErrMessageTooBig].
//
// An error in writing a queued message ends the connection, and the next call
// returns it. [Conn.Close] lets the queue leave first, within
// [Options.CloseTimeout]; so does the answer to a peer that closes.
//
// On a [Loop], Send costs what Write does. Elsewhere a goroutine is started when
// the socket is full, and ends when the queue is empty. Over TLS it is also started
// for a message of more than 4 KiB, or 1 KiB where the system is not Linux, or where
// the send buffer is very small; and on Windows, and on connections that cannot tell
// whether they have room, whenever a queue begins.
func (c *Conn) Send(typ MessageType, p []byte) error {
	if err := checkContent(context.Background(), typ, p); err != nil {
		return err
	}
	return c.send(&outFrame{op: Opcode(typ), fin: true, p: p})
}

// SendPrepared is Send for a message that was prepared. On a server the queue holds
// a reference to the message, not a copy.
func (c *Conn) SendPrepared(m *PreparedMessage) error {
	if m == nil {
		return errNilPrepared
	}
	var f outFrame
	m.frame(c, &f)
	return c.send(&f)
}

// Drained returns a channel that is closed as soon as nothing is buffered, in the
// sense of [Conn.Buffered], or the connection is closing: at once, if that is so
// already. It is for producers that prefer to send newer data later to sending a
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
	return drained
}

// LimitUnsent limits the bytes that the system takes but cannot send yet to about
// n, where it would otherwise take megabytes. Bytes beyond the limit wait in the
// connection: [Conn.Buffered] counts them, [Conn.Drained] and [ErrBackpressure]
// reflect them. It is for producers that prefer to send newer data later to sending
// a backlog now, since bytes that the system has taken must leave, however old they
// are.
//
// On Linux the limit is TCP_NOTSENT_LOWAT, for TCP and for TLS over it, on a
// [Loop] or not. Bytes that are on their way do not count, so a peer that reads
// is served as fast as before; 16 KiB is a good value. The system fills the
// segment that it has begun, and may so take up to 64 KiB more. On other systems,
// and for Unix sockets, the limit is the size of the send buffer. There bytes on
// their way count, so that no more than n bytes leave per round trip.
//
// The limit does not concern bytes that the peer's system has received and the peer
// has not read.
//
// LimitUnsent may be called at any time; the last call is the one that counts. The
// error wraps [errors.ErrUnsupported] if the connection is not over a socket that
// can be reached, such as a [Pipe]; it is the [*CloseError] if the connection has
// ended.
func (c *Conn) LimitUnsent(n int) error {
	if n <= 0 {
		return fmt.Errorf("websocket: cannot limit unsent bytes to %d", n)
	}
	err := c.currentTransport().LimitUnsent(n)
	if err == nil {
		return nil
	}
	if cause := c.life.cause.Load(); cause != nil {
		return cause
	}
	return fmt.Errorf("websocket: limiting unsent bytes: %w", prefix.Trim(err))
}

// send sends f, a whole message, or queues it.
func (c *Conn) send(f *outFrame) error {
	if n := f.sizeLimit(); n > c.opts.SendBuffer {
		return &sendTooBig{len(f.p), c.opts.SendBuffer}
	}
	z := c.encodeEarly(f, nil)
	err := c.sendFrame(f)
	buffer.Put(z)
	return err
}

// sendTooBig is the error for a message that is larger than the queue.
type sendTooBig struct{ size, limit int }

func (e *sendTooBig) Error() string {
	return fmt.Sprintf("websocket: message of %d bytes is over Options.SendBuffer (%d)", e.size, e.limit)
}

func (e *sendTooBig) Unwrap() error { return ErrMessageTooBig }

// sizeLimit is how many bytes f may take on the wire.
func (f *outFrame) sizeLimit() int {
	if f.wire {
		return len(f.p)
	}
	return len(f.p) + maxHeaderSize
}

func (c *Conn) sendFrame(f *outFrame) error {
	o := &c.out
	if !c.in.flags.has(inputBuffered) && o.write.acquire(0) {
		if err := c.writeError(); err != nil {
			c.abandonWrite(nil)
			return err
		}
		return c.sendOwned(f, true)
	}
	var z *buffer.Buffer
	if f.pack == packMessage {
		z = c.extensions().encodeAlone(f) // now, because p may change before it leaves
	}
	owns, err := c.beginSend(f)
	if owns {
		err = c.sendOwned(f, false)
	}
	buffer.Put(z)
	return err
}

// beginSend makes the caller the owner of the write lock if nothing is queued.
// Else f is queued.
func (c *Conn) beginSend(f *outFrame) (owns bool, err error) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if err := c.writeError(); err != nil {
		return false, err
	}
	if o.freeLocked(nil) && (o.queue == nil || !o.queue.hasFrames()) && !c.in.flags.has(inputBuffered) {
		o.write.set(true)
		c.takeLocked(len(f.p))
		return true, nil
	}
	return false, c.enqueueLocked(f)
}

// enqueueLocked puts f behind everything that is pending.
func (c *Conn) enqueueLocked(f *outFrame) error {
	o := &c.out
	q := o.queueLocked()
	if q.size()+q.inFlight+c.queued()+f.sizeLimit() > c.opts.SendBuffer {
		return ErrBackpressure
	}
	to, anew := &q.pending, &q.anew
	if o.stream != nil {
		to, anew = &q.behind, &q.behindAnew
	}
	var h Header
	if f.wire {
		h, _, _ = ParseHeader(f.p)
		backlogIn(to).Share(f.p)
	} else {
		o.sender.frame(&h, f.op, true, f.rsv, len(f.p))
		h.queueFrame(backlogIn(to), f.p)
	}
	*anew = *anew || f.pack == packAlone
	c.traceOut(&h)
	c.traceWire(f)
	o.write.add()
	c.countWire(f)
	c.scheduleFlushLocked()
	return nil
}

// sendOwned sends as much of f as the transport takes at once, and makes the rest
// pending. The caller owns the write lock.
func (c *Conn) sendOwned(f *outFrame, quick bool) error {
	o := &c.out
	z := c.encodeLate(f)
	var h Header
	c.header(&h, f)
	var b *buffer.Buffer
	out := f.p
	if !f.wire {
		b = f.encode(&h)
		out = b.B
	}
	buffer.Put(z)
	n, err := c.t.Offer(out, b == nil, c.opts.SendBuffer)
	o.bytes.Add(uint64(n))
	if err == nil && n == len(out) {
		buffer.Put(b)
		c.countWire(f)
		if quick && o.write.release() {
			return nil
		}
		o.lock()
		defer o.unlock()
		o.write.add()
		c.releaseLocked(0, nil)
		return nil
	}
	var rest *transport.Backlog
	switch {
	case err == nil:
		rest = transport.GetBacklog()
		if b != nil {
			rest.Begin(b, n)
		} else {
			rest.Share(out[n:])
		}
	case err == ErrBackpressure:
		buffer.Put(b)
		if f.pack != packNone {
			c.extensions().enc.Reset() // the peer will not see the message
		}
	default:
		buffer.Put(b)
		err = c.breakWrite(err)
	}
	o.lock()
	defer o.unlock()
	switch {
	case err != nil:
	case o.broken: // meanwhile
		transport.PutBacklog(rest)
		err = c.writeError()
	default:
		c.giveBackLocked(rest, n)
		o.write.add()
		c.countWire(f)
	}
	c.releaseLocked(0, err)
	return err
}
