package websocket

import (
	"context"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/flate"
)

// deflate is permessage-deflate (RFC 7692) on a connection: what was
// negotiated, and the state of a direction that keeps its window from message
// to message. Connections that keep none share it.
type deflate struct {
	compression
	enc *flate.Encoder // nil without takeover; used by the owner of the write lock
	dec *flate.Decoder // nil without takeover; used by the holder of the read lock
}

// rsv1 marks the first frame of a compressed message (RFC 7692, section 6).
const rsv1 = RSV1

// lastDeflate is the deflate that was made most recently, of those that can be
// shared.
var lastDeflate atomic.Pointer[deflate]

func newDeflate(p *compression) *deflate {
	if p == nil {
		return nil
	}
	d := &deflate{compression: *p}
	if p.sendTakeover {
		d.enc = flate.NewEncoder(p.level, int(p.sendBits), true)
	}
	if p.recvTakeover {
		d.dec = flate.NewDecoder(int(p.recvBits), true)
	}
	if !d.stateless() {
		return d
	}
	if last := lastDeflate.Load(); last != nil && *last == *d {
		return last
	}
	lastDeflate.Store(d)
	return d
}

// stateless reports whether d, which may be nil, can be shared.
func (d *deflate) stateless() bool { return d == nil || d.enc == nil && d.dec == nil }

// deflate returns the connection's compression, nil if it has none.
func (c *Conn) deflate() *deflate {
	return c.negotiated().deflate
}

// decoder returns the decoder for a message that begins.
func (c *Conn) decoder() *flate.Decoder {
	d := c.deflate()
	if d.dec != nil {
		return d.dec
	}
	dec := decoders.Get().(*flate.Decoder)
	dec.Init(int(d.recvBits), false)
	return dec
}

// packing says how a frame is compressed.
type packing uint8

const (
	packNone    packing = iota
	packMessage         // a whole message, unless it gets no smaller
	packPart            // a part of a message, which may refer back to the others
	packAlone           // a whole message that is compressed already, and refers to none before it
)

// writeDeflated writes a message, compressed unless that makes it no smaller.
// Without takeover it is compressed before the write lock is acquired, with
// takeover afterwards.
func (c *Conn) writeDeflated(ctx context.Context, d *deflate, typ MessageType, p []byte) error {
	f := outFrame{op: Opcode(typ), fin: true, p: p}
	if d.enc != nil {
		f.pack = packMessage
		return c.writeFrame(ctx, nil, &f)
	}
	z := f.deflateAlone(&d.compression)
	err := c.writeFrame(ctx, nil, &f)
	buffer.Put(z)
	return err
}

// pack compresses f as f.pack says. It returns the buffer that holds f.p then, or
// nil if f.p has not changed. The caller owns the write lock.
func (c *Conn) pack(f *outFrame) *buffer.Buffer {
	switch f.pack {
	case packNone:
		return nil
	case packAlone:
		c.deflate().enc.Reset() // it has not seen this message, so it begins anew after it
		return nil
	}
	return f.deflate(c.deflate().enc, f.pack)
}

// deflateAlone compresses f, a whole message, without reference to earlier
// messages. Its result is as that of deflate.
func (f *outFrame) deflateAlone(p *compression) *buffer.Buffer {
	var enc flate.Encoder
	enc.Init(p.level, int(p.sendBits), false)
	return f.deflate(&enc, packMessage)
}

// deflate compresses f.p into a buffer, and returns the buffer. If a whole message
// does not get smaller, it changes nothing and returns nil.
func (f *outFrame) deflate(enc *flate.Encoder, how packing) *buffer.Buffer {
	z := buffer.Get(len(f.p) + len(f.p)>>10 + 64)
	z.B = enc.Encode(z.B, f.p, f.fin)
	if how == packMessage && len(z.B) >= len(f.p) {
		enc.Undo()
		buffer.Put(z)
		return nil
	}
	f.p, f.rsv = z.B, rsv1
	return z
}

// deflate prepares a fragment of w's message. The first fragment decides how all
// are compressed. Its result is as that of outFrame.deflate.
func (w *messageWriter) deflate(f *outFrame) *buffer.Buffer {
	d := w.c.deflate()
	if d == nil {
		return nil
	}
	if !w.begun {
		switch {
		case f.fin && len(f.p) < d.threshold:
			return nil
		case f.fin:
			w.pack = packMessage
		default:
			w.pack = packPart
		}
		if d.enc == nil {
			w.enc = flate.NewEncoder(d.level, int(d.sendBits), false)
		}
	}
	switch {
	case w.pack == packNone:
		return nil
	case w.enc == nil:
		f.pack = w.pack
		return nil
	}
	return f.deflate(w.enc, w.pack)
}

// readDeflated inflates the rest of a compressed frame and appends it to dst.
// dst.b[base:] was inflated since the decoder's window was saved.
func (c *Conn) readDeflated(dst *buffer.Buffer, base int) error {
	in, r := &c.in, &c.in.receiver
	for r.left > 0 || r.more {
		src, err := c.peekPayload(r.left)
		if err != nil {
			return err
		}
		if len(dst.B) == cap(dst.B) {
			// Twice as much, but no more than the limit allows, plus one byte to detect
			// a larger message.
			more := min(int64(len(dst.B)), r.limit-r.size) + 1
			larger := buffer.Get(len(dst.B) + int(more))
			larger.B = append(larger.B, dst.B...)
			dst.B, larger.B = larger.B, dst.B
			buffer.Put(larger)
		}
		out, n, err := r.inflate(dst.B, base, src)
		dst.B = out
		in.pos += int32(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// inflateSome inflates a part of the frame under way into p.
func (c *Conn) inflateSome(p []byte) (n int, err error) {
	r := &c.in.receiver
	for n == 0 && (r.left > 0 || r.more) {
		// inflate masks the bytes again that p has no room for: at most a few.
		src, err := c.peekPayload(min(r.left, int64(len(p))+64))
		if err != nil {
			return 0, err
		}
		out, used, err := r.inflate(p[:0:len(p)], 0, src)
		c.in.pos += int32(used)
		if err != nil {
			return 0, err
		}
		r.dec.Save(out, 0)
		n = len(out)
	}
	return n, nil
}

// peekPayload returns the next bytes of the frame's payload, at most n,
// waiting for some if there are none. They stay in the input buffer.
func (c *Conn) peekPayload(n int64) ([]byte, error) {
	in := &c.in
	if n == 0 {
		return nil, nil
	}
	if in.buffered() == 0 {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	return in.buf.B[in.pos:][:min(n, int64(in.buffered()))], nil
}
