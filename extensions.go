package websocket

import (
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/flate"
)

// extensions are the extensions of a connection: what was agreed, and the state of
// a direction that keeps its window from message to message (RFC 7692). Connections
// that keep none share it.
type extensions struct {
	extension.Agreed
	enc *flate.Encoder // nil without takeover; used by the owner of the write lock
	dec *flate.Decoder // nil without takeover; used by the holder of the read lock

	alone extension.Agreed // what encodeAlone depends on: without takeover, and the receiving direction
}

// lastExtensions are the extensions that were made most recently, of those that can
// be shared.
var lastExtensions atomic.Pointer[extensions]

func newExtensions(a extension.Agreed) *extensions {
	if a == (extension.Agreed{}) {
		return nil
	}
	x := &extensions{Agreed: a, alone: a}
	d := &x.alone.Deflate
	if d.SendTakeover {
		x.enc = flate.NewEncoder(d.Level, int(d.SendBits), true)
	}
	if d.RecvTakeover {
		x.dec = flate.NewDecoder(int(d.RecvBits), true)
	}
	d.SendTakeover, d.RecvTakeover, d.RecvBits = false, false, 0
	if !x.stateless() {
		return x
	}
	if last := lastExtensions.Load(); last != nil && *last == *x {
		return last
	}
	lastExtensions.Store(x)
	return x
}

// stateless reports whether x, which may be nil, can be shared.
func (x *extensions) stateless() bool { return x == nil || x.enc == nil && x.dec == nil }

// extensions returns the connection's extensions, nil if it has none.
func (c *Conn) extensions() *extensions { return c.negotiated().extensions }

// decoder returns the decoder for a message that begins.
func (c *Conn) decoder() *flate.Decoder {
	x := c.extensions()
	if x.dec != nil {
		return x.dec
	}
	dec := flate.GetDecoder()
	dec.Init(int(x.Deflate.RecvBits), false)
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

// packing returns how f is compressed: a part of a message, or else a whole one.
func (x *extensions) packing(f *outFrame, part bool) packing {
	switch {
	case f.plain || !x.Deflate.On() || !part && len(f.p) < x.Deflate.Threshold:
		return packNone
	case part:
		return packPart
	}
	return packMessage
}

// leaves reports whether encode leaves f, a whole message, as it is.
func (x *extensions) leaves(f *outFrame) bool { return x.packing(f, false) == packNone }

// encode changes the payload of f as the extensions demand. Each data frame passes
// through it once: before the write lock is acquired (encodeEarly), or afterwards
// (encodeLate) if messages refer to earlier ones, because the order on the wire is
// that of the window. how and enc say how f is compressed; a nil enc stands for one
// of its own.
//
// encode and the functions that call it return the buffer that holds f.p then, or
// nil if f.p has not changed. The caller puts the buffer back when f is written.
func (x *extensions) encode(f *outFrame, how packing, enc *flate.Encoder) (z *buffer.Buffer) {
	if how != packNone {
		z = x.deflate(f, how, enc)
	}
	return z
}

// encodeEarly encodes f, a part of w's message or, if w is nil, a whole message,
// unless that is left to encodeLate.
func (c *Conn) encodeEarly(f *outFrame, w *messageWriter) *buffer.Buffer {
	x := c.extensions()
	if x == nil || f.wire {
		return nil
	}
	part := w != nil && (w.begun || !f.fin)
	how := x.packing(f, part)
	if how != packNone && x.enc != nil {
		f.pack = how
		return nil
	}
	var enc *flate.Encoder
	if how == packPart {
		if w.enc == nil {
			w.enc = flate.NewEncoder(x.Deflate.Level, int(x.Deflate.SendBits), false)
		}
		enc = w.enc
	}
	return x.encode(f, how, enc)
}

// encodeLate does what encodeEarly has left. The caller owns the write lock.
func (c *Conn) encodeLate(f *outFrame) *buffer.Buffer {
	if f.pack == packNone {
		return nil
	}
	return c.encodePacked(f)
}

// encodePacked is not a part of encodeLate, so that this is inlined.
func (c *Conn) encodePacked(f *outFrame) *buffer.Buffer {
	x := c.extensions()
	if f.pack == packAlone {
		x.enc.Reset() // it has not seen this message, so it begins anew after it
		return nil
	}
	return x.encode(f, f.pack, x.enc)
}

// encodeAlone encodes f, a whole message, without reference to earlier messages,
// whatever is left to encodeLate.
func (x *extensions) encodeAlone(f *outFrame) *buffer.Buffer {
	z := x.encode(f, x.packing(f, false), nil)
	f.pack = packNone
	if x.enc != nil && f.rsv&RSV1 != 0 {
		f.pack = packAlone
	}
	return z
}

// deflate compresses f.p into a buffer. If a whole message does not get smaller, it
// changes nothing and returns nil.
func (x *extensions) deflate(f *outFrame, how packing, enc *flate.Encoder) *buffer.Buffer {
	if enc == nil {
		var own flate.Encoder
		own.Init(x.Deflate.Level, int(x.Deflate.SendBits), false)
		enc = &own
	}
	z := buffer.Get(len(f.p) + len(f.p)>>10 + 64)
	z.B = enc.Encode(z.B, f.p, f.fin)
	if how == packMessage && len(z.B) >= len(f.p) {
		enc.Undo()
		buffer.Put(z)
		return nil
	}
	f.p, f.rsv = z.B, RSV1
	return z
}

// readDeflated inflates the rest of a compressed frame and appends it to dst.
// dst.B[base:] was inflated since the decoder's window was saved.
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
