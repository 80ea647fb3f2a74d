package websocket

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// inHalf is the reading half of a connection. The holder of readLock owns the
// fields without a remark. It is a user's call, or the control reader (see
// readControl), which a user's call interrupts.
type inHalf struct {
	readLock  readLock
	mu        sync.Mutex   // held by the control reader, so that a user's call can wait until it returns
	wanted    atomic.Int32 // how many callers wait for control frames; see needsControlReader
	flags     inFlags
	read      uint8        // messages that the holder of readLock has read: one, and perhaps the rest of another
	lent      bool         // the body of a Messages loop uses a part of buf
	pos       int32        // how far buf is parsed
	lastInput atomic.Int64 // when the transport last brought bytes, by monotonic
	bytes     atomic.Uint64

	receiver receiver
	buf      *buffer.Buffer // input; nil if there is none
	msg      *buffer.Buffer // the part of a message that a cancelled call had gathered
	stream   *messageReader
}

// inFlags is a set of flags. Any goroutine may read them; the holder of readLock
// and a flush change them.
type inFlags struct{ word atomic.Uint32 }

const (
	inputBuffered = 1 << iota // there is input that a user's call has not looked at yet; see beginWrite
	messageBlocks             // the control reader has met a message, which only a user's call may take
	userHasRead               // a user's call has been reading
	framingLost               // the peer's frames cannot be told apart any more
	readNoWait                // what has arrived is read, but nothing is waited for
	readClosed                // CloseRead was called: the control reader reads, and no message may come
	serverTracked             // a Server holds the connection until it has ended
)

func (f *inFlags) has(flag uint32) bool { return f.word.Load()&flag != 0 }

func (f *inFlags) set(flag uint32) {
	if !f.has(flag) { // a load costs much less
		f.word.Or(flag)
	}
}

func (f *inFlags) clear(flag uint32) {
	if f.has(flag) {
		f.word.And(^flag)
	}
}

// messageReader streams one message in. It is the connection's in.stream as
// long as the message is under way.
type messageReader struct {
	c   *Conn
	ctx context.Context
	end bool // io.EOF has been reported
}

// readMessage reads the rest of the message under way, or the next one, and appends
// it to dst. The caller holds the read lock. A compressed message needs a pooled
// buffer. If reading stops in the middle of one, the decoder has saved the part of
// dst that it needs.
func (c *Conn) readMessage(dst *buffer.Buffer, pooled bool) (typ MessageType, err error) {
	in, r := &c.in, &c.in.receiver
	start := 0
	if !pooled {
		start = len(dst.B)
		if in.msg != nil {
			dst.B = append(dst.B, in.msg.B...)
			buffer.Put(in.msg)
			in.msg = nil
		}
	}
	base := len(dst.B)
	defer func() {
		if err != nil && r.msg != 0 && r.dec != nil && r.phase != inFault {
			r.dec.Save(dst.B, base)
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
			dst.B = dst.B[:start] // closing: no more messages, only the close frame
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
func (c *Conn) readPayload(dst *buffer.Buffer, start int, pooled bool) error {
	in, r := &c.in, &c.in.receiver
	for r.left > 0 {
		if in.buffered() > 0 {
			src := in.consume(int(min(r.left, int64(in.buffered()))))
			grow(dst, len(src), len(src), r, pooled)
			n := len(dst.B)
			if err := r.payloadTo(dst.B[n:n+len(src)], src); err != nil {
				return err
			}
			dst.B = dst.B[:n+len(src)]
			continue
		}
		if r.left < buffer.ReadSize || len(dst.B)-start < buffer.ReadSize {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		// Much is to come, and some has arrived: read straight into dst.
		if cap(dst.B)-len(dst.B) < buffer.ReadSize {
			grow(dst, buffer.ReadSize, 0, r, pooled)
		}
		p := dst.B[len(dst.B):cap(dst.B)]
		if r.left < int64(len(p)) {
			p = p[:r.left]
		}
		n, err := c.readInto(p)
		if n > 0 {
			if err := r.payload(p[:n]); err != nil {
				return err
			}
			dst.B = dst.B[:len(dst.B)+n]
		}
		if err != nil && r.left > 0 {
			return err
		}
	}
	return nil
}

// grow makes room in b for need more bytes of the frame that r is in; have of them have
// arrived. The capacity is a multiple of the bytes that have arrived, so it stays
// in proportion to them. The length in the header can only make it smaller: the
// last frame of a message tells where to stop.
func grow(b *buffer.Buffer, need, have int, r *receiver, pooled bool) {
	want := len(b.B) + need
	if want <= cap(b.B) {
		return
	}
	size := max(want, 2*(len(b.B)+have))
	if r.hdr.Fin {
		all := int64(len(b.B)) + r.left
		size = int(min(int64(max(want, 4*(len(b.B)+have))), all))
	}
	if !pooled {
		b.B = append(make([]byte, 0, size), b.B...)
		return
	}
	larger := buffer.Get(size)
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	buffer.Put(larger)
}

// nextFrame reads up to the payload of the next data frame and handles the
// control frames before it. The caller is the reader or the control reader.
func (c *Conn) nextFrame() error {
	in, r := &c.in, &c.in.receiver
	for {
		if in.buffered() == 0 {
			if err := c.fill(); err != nil {
				return err
			}
		}
		n, ev, ctl, err := r.next(in.buf.B[in.pos:])
		in.pos += int32(n)
		if err != nil {
			return err
		}
		if ev == evMore {
			continue
		}
		c.traceIn(&r.hdr)
		if ev == evData {
			if r.hdr.RSV&RSV1 != 0 {
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

// fill waits for input. The input buffer is empty.
func (c *Conn) fill() error {
	in := &c.in
	in.flags.clear(inputBuffered)
	in.receiver.reset()
	b, err := c.waitInput(in.receiver.idle())
	if err != nil {
		return err
	}
	in.buf = b
	c.noteInput(len(b.B))
	return nil
}

// waitInput waits for input. With readNoWait it takes only what has arrived.
func (c *Conn) waitInput(idle bool) (*buffer.Buffer, error) {
	in := &c.in
	if !in.flags.has(readNoWait) {
		b, err := c.t.Wait(in.takeBuffer(), idle)
		if err == nil || !in.flags.has(readNoWait) || !errors.Is(err, os.ErrDeadlineExceeded) {
			return b, err
		}
	}
	b, err := c.t.ReadNow(in.takeBuffer())
	if err == transport.ErrAgain {
		err = errInputOver
	}
	return b, err
}

// readInto reads a part of a large frame straight into p. The input buffer is
// empty.
func (c *Conn) readInto(p []byte) (int, error) {
	in := &c.in
	in.release()
	n, err := 0, error(nil)
	if !in.flags.has(readNoWait) {
		n, err = c.t.Read(p)
	}
	if n == 0 && in.flags.has(readNoWait) && (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		if err = c.fill(); err == nil {
			n = copy(p, in.consume(min(len(p), in.buffered())))
		}
		return n, err
	}
	c.noteInput(n)
	return n, err
}

func (c *Conn) noteInput(n int) {
	if n > 0 {
		if c.opts.PingInterval > 0 { // the clock costs as much as reading a small message
			now := int64(0)
			if l := c.loopTransport(); l != nil {
				now = l.now()
			} else {
				now = monotonic()
			}
			c.in.lastInput.Store(now)
		}
		c.in.bytes.Add(uint64(n))
	}
}

func (in *inHalf) buffered() int {
	if in.buf == nil {
		return 0
	}
	return len(in.buf.B) - int(in.pos)
}

// consume removes the next n bytes from the input buffer and returns them.
func (in *inHalf) consume(n int) []byte {
	if n == 0 {
		return nil // there may be no buffer
	}
	p := in.buf.B[in.pos:][:n]
	in.pos += int32(n)
	return p
}

// unshare moves the unread input to another buffer if the body of a Messages loop
// uses the present one, which belongs to the loop from then on.
func (in *inHalf) unshare() {
	if in.lent {
		b := buffer.Get(in.buffered())
		b.B = append(b.B, in.buf.B[in.pos:]...)
		in.buf, in.pos, in.lent = b, 0, false
	}
}

// takeBuffer removes and returns the input buffer, which is used up.
func (in *inHalf) takeBuffer() *buffer.Buffer {
	b := in.buf
	in.buf, in.pos = nil, 0
	return b
}

// release gives the input buffer, which is used up, back to the pool.
func (in *inHalf) release() {
	buffer.Put(in.takeBuffer())
}

// readError returns why reading is over, or nil.
func (c *Conn) readError() error {
	if cause := c.life.cause.Load(); cause != nil {
		return cause
	}
	return nil
}
