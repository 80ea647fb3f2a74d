package websocket

import (
	"context"
	"errors"
	"io"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

var (
	errStaleReader  = errors.New("websocket: the message of this reader is over: another read has begun")
	errWriterClosed = errors.New("websocket: write to a closed message writer")
)

// Reader waits for the next message and returns its type and a reader of its
// content, which returns [io.EOF] at the end of the message. ctx holds for the
// reader too. [Options.ReadLimit] bounds the size of the message; its memory is
// that of the reader's own calls.
//
// A reading method called before the message has been read to its end discards
// the rest of it, also if ctx has ended in the middle.
func (c *Conn) Reader(ctx context.Context) (MessageType, io.Reader, error) {
	if err := c.beginRead(ctx); err != nil {
		return 0, nil, err
	}
	in, r := &c.in, &c.in.receiver
	err := c.skipStream()
	if err == nil && in.msg == nil && r.phase != inPayload {
		err = c.nextFrame()
	}
	if err != nil {
		return 0, nil, c.endRead(ctx, err)
	}
	typ := MessageType(r.msg)
	in.stream = &messageReader{c: c, ctx: ctx}
	s := in.stream
	c.endRead(ctx, nil)
	return typ, s, nil
}

func (s *messageReader) Read(p []byte) (int, error) { return s.read(s.ctx, p) }

// read is Read with a context of its own.
func (s *messageReader) read(ctx context.Context, p []byte) (int, error) {
	if s.end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	c := s.c
	if err := c.beginRead(ctx); err != nil {
		return 0, err
	}
	if c.in.stream != s {
		c.endRead(ctx, nil)
		return 0, errStaleReader
	}
	n, end, err := c.readSome(p)
	if end {
		s.end = true
		c.in.stream = nil
	}
	if err = c.endRead(ctx, err); err != nil {
		return 0, err
	}
	if end {
		return 0, io.EOF
	}
	return n, nil
}

// readSome reads some bytes of the message under way into p.
func (c *Conn) readSome(p []byte) (n int, end bool, err error) {
	in, r := &c.in, &c.in.receiver
	if in.msg != nil {
		n = copy(p, in.msg.B)
		in.msg.B = in.msg.B[:copy(in.msg.B, in.msg.B[n:])]
		if len(in.msg.B) == 0 {
			buffer.Put(in.msg)
			in.msg = nil
		}
		return n, false, nil
	}
	for {
		for r.phase != inPayload || r.left == 0 && !r.more {
			if r.phase == inPayload {
				if end, err = r.endFrame(); end || err != nil {
					if end {
						in.read++
					}
					return 0, end, err
				}
			}
			if err = c.nextFrame(); err != nil {
				return 0, false, err
			}
		}
		if r.dec == nil {
			break
		}
		if n, err = c.inflateSome(p); n > 0 || err != nil {
			return n, false, err
		}
	}
	p = p[:min(r.left, int64(len(p)))]
	if in.buffered() == 0 {
		if len(p) >= buffer.ReadSize {
			n, err = c.readInto(p)
			if n > 0 {
				err = r.payload(p[:n]) // the next call returns an error of Read again
			}
			return n, false, err
		}
		if err = c.fill(); err != nil {
			return 0, false, err
		}
	}
	n = min(len(p), in.buffered())
	return n, false, r.payloadTo(p[:n], in.consume(n))
}

// skipStream reads the rest of a message whose reader has not come to its end,
// before the caller reads the next message.
func (c *Conn) skipStream() error {
	in := &c.in
	if in.stream == nil {
		return nil
	}
	b := buffer.Get(buffer.ReadSize)
	defer buffer.Put(b)
	for {
		_, end, err := c.readSome(b.B[:cap(b.B)])
		if err != nil {
			return err
		}
		if end {
			in.stream = nil
			return nil
		}
	}
}

// fragmentSize is how much a message writer collects before it sends a frame.
const fragmentSize = 16 << 10

// Writer returns a writer of one message, which goes out in fragments of about 16
// KiB as it is written; closing the writer ends the message. Until then other
// messages wait, and control frames pass between the fragments. So the writer must
// always be closed. Messages that [Conn.Send] has queued behind it are lost if the
// connection closes before its end. A message that fits in one fragment is sent as
// one frame.
//
// ctx holds until the writer is closed. When it ends after a part of the
// message was sent, the next call on the writer closes the connection, since
// the message can neither be completed nor taken back.
func (c *Conn) Writer(ctx context.Context, typ MessageType) (io.WriteCloser, error) {
	if err := checkMessage(ctx, typ); err != nil {
		return nil, err
	}
	ahead, owns, err := c.beginWrite(ctx, nil, &outFrame{until: c.writeUntil()}, false)
	if !owns {
		return nil, err
	}
	w := &messageWriter{c: c, ctx: ctx, typ: typ}
	o := &c.out
	o.lock()
	defer o.unlock()
	if ctx.Err() == nil {
		o.stream = w
	}
	c.giveBackLocked(ahead, 0)
	c.releaseLocked(0, nil)
	if o.stream != w {
		return nil, contextError(ctx)
	}
	return w, nil
}

// Write sends or collects p, which it does not keep.
func (w *messageWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	if w.typ == Text && !w.text.Write(p) {
		return 0, w.fail(errInvalidText)
	}
	total := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			if len(p) >= fragmentSize {
				return total, w.send(false, p)
			}
			w.buf = buffer.Get(fragmentSize)
		}
		n := min(len(p), fragmentSize-len(w.buf.B))
		w.buf.B = append(w.buf.B, p[:n]...)
		p = p[n:]
		if len(w.buf.B) == fragmentSize {
			if err := w.send(false, nil); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// Close sends what is left and ends the message.
func (w *messageWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if w.typ == Text && !w.text.Complete() {
		return w.fail(errInvalidText)
	}
	if err := w.send(true, nil); err != nil {
		return err
	}
	w.release(false)
	w.err = errWriterClosed
	return nil
}

// send sends a fragment: p, or the collected bytes if there are any.
func (w *messageWriter) send(fin bool, p []byte) error {
	if w.buf != nil {
		p = w.buf.B
	}
	f := outFrame{op: Opcode(w.typ), fin: fin, p: p}
	z := w.c.encodeEarly(&f, w)
	err := w.c.writeFrame(w.ctx, w, &f)
	buffer.Put(z)
	buffer.Put(w.buf)
	w.buf = nil
	if err != nil {
		return w.fail(err)
	}
	w.begun = true
	return nil
}

// fail gives up the message. If a part of it was sent, no other message can be
// sent; on a connection that is closing, the close frame still can.
func (w *messageWriter) fail(err error) error {
	buffer.Put(w.buf)
	w.buf = nil
	if w.begun && !w.c.closing() {
		err = w.c.breakWrite(err)
		if w.c.currentTransport().Resumable() {
			w.c.currentTransport().CloseWrite() // the peer waits for the rest of the message
		}
	}
	w.err = err
	w.release(w.begun)
	return err
}

// release lets other messages begin. torn tells that a part of this one has left, and
// the rest will not.
func (w *messageWriter) release(torn bool) {
	o := &w.c.out
	o.lock()
	defer o.unlock()
	o.endStreamLocked(w, torn)
	if !o.write.held() {
		w.c.releaseLocked(0, nil)
	}
}
