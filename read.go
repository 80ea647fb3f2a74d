package websocket

import (
	"context"
	"errors"
	"iter"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// inHalf is the reading half of a connection. What has no remark is used by
// whoever has gone through the gate: a call of the user's, or the attendant
// (see attend), which makes way for such a call.
type inHalf struct {
	gate    gate
	mu      sync.Mutex   // held by the attendant, for others to wait for it
	wanted  atomic.Int32 // how many wait for control frames: the attendant's reason to be
	blocked atomic.Bool  // the attendant has met a message, which only a user's call may take
	more    atomic.Bool  // there is input that a user's call has not looked at yet; see beginWrite
	pos     int32        // how far buf is parsed
	heard   atomic.Int64 // when the transport last brought bytes, by monotonic
	bytes   atomic.Uint64

	receiver receiver
	buf      *buffer // input; nil if there is none
	msg      *buffer // the part of a message that a cancelled call had gathered
	stream   *messageReader
	read     uint8 // messages that the call inside the gate has read: one, and perhaps the rest of another
	lent     bool  // the body of a Messages loop looks at a part of buf
}

// Read reads the next message. The caller owns the returned bytes.
//
// When ctx ends before the message is complete, Read returns its error and
// nothing is lost: the next call goes on where this one was, in the middle of
// a frame if need be.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	return c.ReadAppend(ctx, nil)
}

// ReadAppend reads the next message, appends it to dst and returns the
// extended slice, which the caller owns. With enough room in dst it does not
// allocate. On an error it returns dst as it was; what had been read of the
// message stays with the connection, for the next call.
func (c *Conn) ReadAppend(ctx context.Context, dst []byte) (MessageType, []byte, error) {
	if err := c.beginRead(ctx, nil); err != nil {
		return 0, dst, err
	}
	in, r := &c.in, &c.in.receiver
	err := c.leaveStream()
	if err == nil && r.phase != inPayload && r.msg == 0 {
		err = c.nextFrame()
	}
	var m Message
	if err == nil && r.dec != nil { // what size it will have is not known
		var loan *buffer
		if m, loan, err = c.readLoan(); err == nil {
			m.Data = append(dst, m.Data...)
			putBuffer(loan)
		}
	} else if err == nil {
		b := buffer{b: dst}
		m.Type, err = c.readMessage(&b, false)
		m.Data = b.b
		if got := b.b[len(dst):]; err != nil && len(got) > 0 && r.err == nil {
			in.msg = getBuffer(len(got))
			in.msg.b = append(in.msg.b, got...)
		}
	}
	if err = c.endRead(ctx, err); err != nil {
		return 0, dst, err
	}
	return m.Type, m.Data, nil
}

// Messages returns an iterator over the messages that arrive. The bytes of a
// message are on loan: they are valid for that one iteration, during which
// they may be changed. The body of the loop may call any method of c, reading
// ones included.
//
// The loop ends without an error when the peer has closed the connection
// normally: with [StatusNormalClosure], [StatusGoingAway] or no code, as
// close() without arguments does in a browser. Any other end, including that
// of ctx, is yielded as the last pair's error. Breaking out of
// the loop leaves the connection as it is; the next read returns the next
// message.
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var loan *buffer
		for {
			var m Message
			var err error
			m, loan, err = c.nextLoan(ctx, loan, false)
			if err != nil {
				if !peerLeft(err) {
					yield(Message{}, err)
				}
				return
			}
			if !yield(m, nil) {
				c.endLoan(loan)
				return
			}
		}
	}
}

// nextLoan reads the next message into a buffer that is lent to the caller, up
// to its next call or endLoan: where the message lies in one piece in the
// input buffer, that buffer. last is what the caller was lent before. looped is
// for a loop, which gets errAgain where it would have to wait.
func (c *Conn) nextLoan(ctx context.Context, last *buffer, looped bool) (m Message, loan *buffer, err error) {
	in, r := &c.in, &c.in.receiver
	if err := c.enterRead(ctx, last, looped); err != nil {
		return m, nil, err // last is left to the garbage collector: it may be in use
	}
	err = c.leaveStream()
	if err == nil && in.msg == nil && c.opts.Trace == nil {
		if in.buffered() == 0 {
			err = c.fill()
		}
		if err == nil && c.life.cause.Load() == nil {
			if typ, p, n := r.whole(in.buf.b[in.pos:]); n > 0 {
				in.pos += int32(n)
				in.read++
				loan = in.buf
				if in.lent = in.buffered() > 0; !in.lent {
					in.buf = nil
				}
				return Message{typ, p}, loan, c.endRead(ctx, nil)
			}
		}
	}
	if err == nil {
		m, loan, err = c.readLoan()
	}
	return m, loan, c.endRead(ctx, err)
}

// readLoan reads the rest of the message under way, or the next one, into a
// buffer that belongs to the caller. The caller is the reader.
func (c *Conn) readLoan() (m Message, loan *buffer, err error) {
	in, r := &c.in, &c.in.receiver
	if in.msg == nil && r.phase != inPayload { // no buffer before there is something to put in
		if err = c.nextFrame(); err != nil {
			return m, nil, err
		}
	}
	if loan, in.msg = in.msg, nil; loan == nil {
		loan = getBuffer(readBufferSize)
	}
	if m.Type, err = c.readMessage(loan, true); err == nil {
		m.Data = loan.b
		return m, loan, nil
	}
	if r.err == nil && len(loan.b) > 0 {
		in.msg = loan
	} else {
		putBuffer(loan)
	}
	return Message{}, nil, err
}

// endLoan takes back what nextLoan has lent, unless somebody reads just now.
func (c *Conn) endLoan(loan *buffer) {
	if c.in.gate.enter() {
		c.in.takeBack(loan)
		c.leaveRead()
	}
}

// takeBack ends the loan of b, nil if there was none.
func (in *inHalf) takeBack(b *buffer) {
	switch {
	case b == nil:
	case b == in.buf:
		in.lent = false
	case in.buf == nil && cap(b.b) <= maxReadSize: // for the next input
		in.buf, in.pos = b, int32(len(b.b))
	default:
		putBuffer(b)
	}
}

// beginRead makes the caller the connection's reader, up to endRead. last is
// what a Messages loop was lent and does not need any more; input that another
// one looks at is moved away.
func (c *Conn) beginRead(ctx context.Context, last *buffer) error {
	return c.enterRead(ctx, last, false)
}

func (c *Conn) enterRead(ctx context.Context, last *buffer, looped bool) error {
	if ctx == nil {
		return errNilContext
	}
	in := &c.in
	if err := c.readError(); err != nil {
		return err
	}
	if !looped && in.gate.looped() {
		return errLooped
	}
	for !in.gate.enter() {
		if in.gate.push() {
			c.t.SetReadDeadline(past)
			in.mu.Lock()
			in.gate.handOver()
			c.t.SetReadDeadline(time.Time{})
			in.mu.Unlock()
			break
		}
		switch {
		case !in.gate.busy():
		case looped:
			// Somebody is about to learn that a loop reads, or will never leave
			// because a hook has ended the goroutine.
			runtime.Gosched()
			if err := c.readError(); err != nil {
				return err
			}
		default:
			return ErrConcurrentRead
		}
	}
	in.takeBack(last)
	in.unshare()
	err := c.readError()
	if err == nil && !looped && in.gate.looped() { // just now
		err = errLooped
	}
	if err == nil {
		err = c.armRead(ctx)
	}
	if err != nil {
		c.leaveRead()
		return err
	}
	if in.blocked.Load() {
		in.blocked.Store(false)
	}
	return nil
}

// readError is why reading is over, or nil. A message that was complete when
// the connection closed is not delivered any more.
func (c *Conn) readError() error {
	if cause := c.life.cause.Load(); cause != nil {
		return cause
	}
	return nil
}

// endRead ends what beginRead began. It returns err as the caller is to see
// it: an error of the transport becomes the connection's, unless it only
// stands for the end of ctx.
func (c *Conn) endRead(ctx context.Context, err error) error {
	kicked := c.disarmRead(ctx)
	if err != nil && err != errAgain {
		cut := kicked && errors.Is(err, os.ErrDeadlineExceeded)
		switch cause := c.readError(); {
		case cause != nil && (cut || err == cause):
			err = cause
		case cut:
			err = contextError(ctx)
		default:
			err = c.failRead(err)
		}
	}
	c.leaveRead()
	return err
}

// leaveRead lets the attendant take over where it is needed.
func (c *Conn) leaveRead() {
	in := &c.in
	more := in.buffered() > 0
	if !more {
		in.release()
	}
	looped := c.looper() != nil // it has corks of its own, and comes back by itself
	if more != in.more.Load() && !looped {
		in.more.Store(more)
	}
	read := in.read
	in.read = 0
	in.gate.leave(read)
	if !looped && (in.wanted.Load() > 0 || c.life.cause.Load() != nil) && c.needsAttendant() {
		c.attendInBackground()
	}
}

// readMessage reads the rest of the message under way, or the next one, and
// appends it to dst. The caller is the reader. A compressed message needs a
// buffer of the pool; if it is cut off, the decoder has kept what it needs of
// what is in dst.
func (c *Conn) readMessage(dst *buffer, pooled bool) (typ MessageType, err error) {
	in, r := &c.in, &c.in.receiver
	start := 0
	if !pooled {
		start = len(dst.b)
		if in.msg != nil {
			dst.b = append(dst.b, in.msg.b...)
			putBuffer(in.msg)
			in.msg = nil
		}
	}
	base := len(dst.b)
	defer func() {
		if err != nil && r.dec != nil && r.err == nil {
			r.dec.Save(dst.b, base)
		}
	}()
	for {
		if r.phase != inPayload {
			if err := c.nextFrame(); err != nil {
				return 0, err
			}
		}
		typ := MessageType(r.msg)
		if r.dec != nil {
			err = c.readDeflated(dst, base)
		} else {
			err = c.readPayload(dst, start, pooled)
		}
		if err != nil {
			return 0, err
		}
		end, err := r.endFrame()
		switch {
		case err != nil:
			return 0, err
		case !end:
		case c.life.cause.Load() != nil:
			dst.b = dst.b[:start] // closing: no more messages, only the close frame
			for err == nil {
				err = c.discardFrame()
			}
			return 0, err
		default:
			in.read++
			return typ, nil
		}
	}
}

// readPayload appends the rest of a frame's payload to dst, where the
// message began at start.
func (c *Conn) readPayload(dst *buffer, start int, pooled bool) error {
	in, r := &c.in, &c.in.receiver
	for r.left > 0 {
		if in.buffered() > 0 {
			src := in.take(int(min(r.left, int64(in.buffered()))))
			dst.grow(len(src), len(src), r, pooled)
			n := len(dst.b)
			if err := r.payloadTo(dst.b[n:n+len(src)], src); err != nil {
				return err
			}
			dst.b = dst.b[:n+len(src)]
			continue
		}
		if r.left < readBufferSize || len(dst.b)-start < readBufferSize {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		// Much is to come, and some has: no detour through a buffer.
		if cap(dst.b)-len(dst.b) < readBufferSize {
			dst.grow(readBufferSize, 0, r, pooled)
		}
		p := dst.b[len(dst.b):cap(dst.b)]
		if r.left < int64(len(p)) {
			p = p[:r.left]
		}
		in.release()
		n, err := c.t.Read(p)
		c.heard(n)
		if n > 0 {
			if err := r.payload(p[:n]); err != nil {
				return err
			}
			dst.b = dst.b[:len(dst.b)+n]
		}
		if err != nil && r.left > 0 {
			return err
		}
	}
	return nil
}

// grow makes room for need more bytes of the frame that r is in, of which have
// have arrived. It takes a multiple of what has arrived, so that capacity stays
// in proportion to that. What the header announces is only ever a reason to
// take less: the last frame of a message tells where to stop.
func (b *buffer) grow(need, have int, r *receiver, pooled bool) {
	want := len(b.b) + need
	if want <= cap(b.b) {
		return
	}
	size := max(want, 2*(len(b.b)+have))
	if r.hdr.Fin {
		all := int64(len(b.b)) + r.left
		size = int(min(int64(max(want, 4*(len(b.b)+have))), all))
	}
	if !pooled {
		b.b = append(make([]byte, 0, size), b.b...)
		return
	}
	larger := getBuffer(size)
	larger.b = append(larger.b, b.b...)
	b.b, larger.b = larger.b, b.b
	putBuffer(larger)
}

// nextFrame reads up to the payload of the next data frame and handles the
// control frames before it. The caller is the reader or the attendant.
func (c *Conn) nextFrame() error {
	in, r := &c.in, &c.in.receiver
	for {
		if in.buffered() == 0 {
			if err := c.fill(); err != nil {
				return err
			}
		}
		n, ev, ctl, err := r.next(in.buf.b[in.pos:])
		in.pos += int32(n)
		if err != nil {
			return err
		}
		if ev == evMore {
			continue
		}
		c.traceIn(&r.hdr)
		if ev == evData {
			if r.hdr.RSV != 0 {
				r.dec = c.decoder()
			}
			return nil
		}
		if err := c.gotControl(r.hdr.Opcode, ctl); err != nil {
			return err
		}
	}
}

// gotControl handles a control frame. After a close frame there is nothing
// left to read: the error is the connection's.
func (c *Conn) gotControl(op Opcode, p []byte) error {
	switch op {
	case OpPing:
		c.queuePong(p)
	case OpPong:
		c.gotPong(p)
	case OpClose:
		code, reason, err := parseClosePayload(p)
		if err != nil {
			return err
		}
		c.gotClose(code, reason)
		return c.readError()
	}
	return nil
}

// fill waits for input. There is none in the buffer.
func (c *Conn) fill() error {
	in := &c.in
	if in.more.Load() {
		in.more.Store(false)
	}
	b, err := c.t.wait(in.takeBuffer(), in.receiver.idle())
	if err != nil {
		return err
	}
	in.buf = b
	c.heard(len(b.b))
	return nil
}

func (c *Conn) heard(n int) {
	if n > 0 {
		if c.opts.PingInterval > 0 { // the clock costs as much as reading a small message
			now := int64(0)
			if l := c.looper(); l != nil {
				now = l.now()
			} else {
				now = monotonic()
			}
			c.in.heard.Store(now)
		}
		c.in.bytes.Add(uint64(n))
	}
}

func (in *inHalf) buffered() int {
	if in.buf == nil {
		return 0
	}
	return len(in.buf.b) - int(in.pos)
}

// take removes the next n bytes from the input buffer and returns them.
func (in *inHalf) take(n int) []byte {
	if n == 0 {
		return nil // there may be no buffer
	}
	p := in.buf.b[in.pos:][:n]
	in.pos += int32(n)
	return p
}

// unshare moves the input to other memory if the body of a Messages loop
// looks at its own, which is about to be changed, and then belongs to the loop.
func (in *inHalf) unshare() {
	if in.lent {
		b := getBuffer(in.buffered())
		b.b = append(b.b, in.buf.b[in.pos:]...)
		in.buf, in.pos, in.lent = b, 0, false
	}
}

// takeBuffer takes the input buffer, which is used up, away.
func (in *inHalf) takeBuffer() *buffer {
	b := in.buf
	in.buf, in.pos = nil, 0
	return b
}

// release gives the input buffer, which is used up, back.
func (in *inHalf) release() {
	putBuffer(in.takeBuffer())
}
