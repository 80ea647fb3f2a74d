package websocket

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/flate"
	"github.com/fullduplex-go/websocket/internal/utf8"
)

// The protocol core: bytes in, messages and control frames out, and the way back.
// Neither half uses a socket, a lock, a clock or a goroutine. Every transport uses
// both.

// event is a result of [receiver.next].
type event uint8

const (
	evMore    event = iota // the input is used up, more is needed
	evData                 // a data frame begins: receiver.left bytes of payload follow
	evControl              // a control frame is complete
)

// phase is the part of a frame that a receiver expects next.
type phase uint8

const (
	inHeader  phase = iota // the header of a frame
	inPayload              // the payload of a data frame, or its end
	inControl              // the payload of a control frame
	inFault                // after an error, which is returned from now on
)

// receiver is the receiving half of the protocol. It can stop and resume at every
// byte. An error is final: it is returned from then on.
//
// The caller passes input to next. When next reports evData, the caller moves the
// left bytes of payload with payload or payloadTo, in as many pieces as it likes,
// and then calls endFrame. A message that begins with RSV1 set is compressed: the
// caller sets dec, and calls inflate instead as long as left or more says so.
type receiver struct {
	client bool  // frames come from a server: unmasked
	rsv    uint8 // reserved bits that an extension has given a meaning, in the first frame of a message
	phase  phase
	msg    Opcode // type of the message under way, 0 if none
	closed bool   // a close frame has come: nothing may follow
	nstash uint8  // how many bytes of stash are in use
	limit  int64  // largest message in bytes
	*partial
}

// partial is the state of a frame or message that has not arrived completely. It
// is allocated when one begins, but not for a message that has arrived in one
// piece, and freed by reset. It is non-nil whenever phase, nstash or msg is
// non-zero.
type partial struct {
	hdr   Header // of the frame
	left  int64  // payload bytes of it still to come
	marks uint8  // reserved bits of the message's first frame
	size  int64  // bytes in the frames of the message so far, inflated if it is compressed; never above limit
	err   *ProtocolError
	ctl   *buffer.Buffer      // the start of a control payload that came in pieces
	dec   *flate.Decoder      // of the compressed message, or nil
	stash [maxHeaderSize]byte // the start of a header that came in pieces
	pos   uint8               // how many bytes of the payload have arrived, modulo 4: the position in the mask
	text  utf8.Validator
	was   phase // before the error
	more  bool  // the frame is compressed, and not all of it is inflated, even if left is 0
}

var partials = sync.Pool{New: func() any { return new(partial) }}

// ensurePartial allocates partial if it is nil.
func (r *receiver) ensurePartial() {
	if r.partial == nil {
		r.partial = partials.Get().(*partial)
	}
}

// reset frees partial if nothing is under way. It is called before a wait for
// input.
func (r *receiver) reset() {
	if r.partial != nil && r.idle() {
		*r.partial = partial{}
		partials.Put(r.partial)
		r.partial = nil
	}
}

// idle reports whether nothing is under way: no message, no part of a frame.
func (r *receiver) idle() bool {
	return r.phase == inHeader && r.nstash == 0 && r.msg == 0
}

// next takes bytes from in, which it may change, until there is an event. It
// returns how many it took, and with evControl the unmasked payload of the frame in
// r.hdr, which is valid until in is overwritten.
func (r *receiver) next(in []byte) (n int, ev event, ctl []byte, err error) {
	if r.phase == inFault {
		return 0, evMore, nil, r.err
	}
	if r.closed && len(in) > 0 {
		return 0, evMore, nil, r.fail(violation("5.5.1", "data after the close frame"))
	}
	if r.phase == inHeader {
		if n, err = r.header(in); err != nil {
			return n, evMore, nil, r.fail(err)
		}
		in = in[n:]
	}
	switch r.phase {
	case inPayload:
		return n, evData, nil, nil
	case inControl:
		m := min(int(r.left), len(in))
		ctl = in[:m]
		r.pos = uint8(Mask(ctl, r.hdr.Key, int(r.pos))) // a key of zeros when unmasked
		r.left -= int64(m)
		n += m
		if r.left > 0 {
			if r.ctl == nil {
				r.ctl = &buffer.Buffer{B: make([]byte, 0, r.hdr.Length)} // at most 125
			}
			r.ctl.B = append(r.ctl.B, ctl...)
			return n, evMore, nil, nil
		}
		if r.ctl != nil {
			ctl, r.ctl = append(r.ctl.B, ctl...), nil
		}
		r.phase = inHeader
		if r.hdr.Opcode == OpClose {
			if _, _, err := parseClosePayload(ctl); err != nil {
				return n, evMore, nil, r.fail(err)
			}
			r.closed = true
		}
		return n, evControl, ctl, nil
	}
	return n, evMore, nil, nil
}

// whole is a short cut for next, payload and endFrame in the most common case: in
// holds a complete message in one frame, of up to 64 KiB. It returns the message,
// unmasked in place, and how many bytes it took. It takes 0 bytes in any other
// case, or of an invalid frame, for which next returns the error.
func (r *receiver) whole(in []byte) (typ MessageType, p []byte, n int) {
	if r.phase != inHeader || r.nstash != 0 || r.msg != 0 || r.closed || len(in) < maxHeaderSize {
		return 0, nil, 0
	}
	b0, b1 := in[0], in[1]
	if b0 != finBit|byte(OpBinary) && b0 != finBit|byte(OpText) || (b1&maskBit != 0) == r.client {
		return 0, nil, 0
	}
	size := int(b1 &^ maskBit)
	n = 2
	if size >= 126 {
		size = int(binary.BigEndian.Uint16(in[2:]))
		n = 4
		if b1&^maskBit == 127 || size < 126 {
			return 0, nil, 0
		}
	}
	if !r.client {
		n += 4
	}
	if int64(size) > r.limit || size > len(in)-n {
		return 0, nil, 0
	}
	p = in[n : n+size : n+size]
	if !r.client {
		Mask(p, [4]byte(in[n-4:]), 0)
	}
	if typ = MessageType(b0 & 0x0f); typ == Text && !utf8.Valid(p) {
		if !r.client {
			Mask(p, [4]byte(in[n-4:]), 0)
		}
		return 0, nil, 0
	}
	return typ, p, n + size
}

// header takes the header of a frame from in, or the part of it that in has.
func (r *receiver) header(in []byte) (n int, err error) {
	r.ensurePartial()
	if r.nstash == 0 {
		n, err = r.hdr.parse(in)
		if n == 0 && err == nil {
			n = copy(r.stash[:], in)
			r.nstash = uint8(n)
			return n, nil
		}
	} else {
		had := int(r.nstash)
		have := had + copy(r.stash[had:], in)
		n, err = r.hdr.parse(r.stash[:have])
		if n == 0 && err == nil {
			r.nstash = uint8(have)
			return have - had, nil
		}
		n -= had
		r.nstash = 0
	}
	if err == nil {
		err = r.begin()
	}
	return max(n, 0), err
}

// begin judges the header of a frame, in r.hdr, by the frames before it.
func (r *receiver) begin() error {
	h := &r.hdr
	rsv := r.rsv
	if h.Opcode.IsControl() || h.Opcode == OpContinuation {
		rsv = 0
	}
	if h.RSV&^rsv != 0 {
		return violation("5.2", "reserved bits %#x set in a %v frame, where no extension uses them", h.RSV&^rsv, h.Opcode)
	}
	if h.Masked == r.client {
		if r.client {
			return violation("5.1", "server frame with a mask")
		}
		return violation("5.1", "client frame without mask")
	}
	r.left, r.pos = h.Length, 0
	if h.Opcode.IsControl() {
		r.phase = inControl
		return nil
	}
	switch {
	case h.Opcode == OpContinuation && r.msg == 0:
		return violation("5.4", "continuation frame without a message to continue")
	case h.Opcode != OpContinuation && r.msg != 0:
		return violation("5.4", "new message inside a fragmented one")
	case h.Opcode != OpContinuation:
		r.msg, r.size, r.marks = h.Opcode, 0, h.RSV
	}
	r.phase = inPayload
	if r.more = r.marks&RSV1 != 0; r.more {
		return nil // the inflated size counts
	}
	if h.Length > r.limit-r.size {
		return tooBig(r.size, h.Length, r.limit)
	}
	r.size += h.Length
	return nil
}

// payload unmasks, in place, the next bytes of a data frame: at most r.left.
func (r *receiver) payload(p []byte) error { return r.payloadTo(p, p) }

// payloadTo unmasks src, the next bytes of a data frame, into dst, which is as long
// and either the same memory or does not overlap it.
func (r *receiver) payloadTo(dst, src []byte) error {
	if r.hdr.Masked {
		maskCopy(dst, src, r.hdr.Key, int(r.pos))
		r.pos = uint8(int(r.pos)+len(src)) & 3
	} else if len(src) > 0 && &dst[0] != &src[0] {
		copy(dst, src)
	}
	r.left -= int64(len(src))
	if r.msg == OpText && !r.text.Write(dst) {
		return r.fail(badText())
	}
	return nil
}

// inflate unmasks and inflates src, the next bytes of a compressed data frame, and
// appends the result to dst, up to its capacity. dst[base:] was inflated of the
// message since the last call of dec.Save. n is how many bytes of src it took; the
// rest of src is unchanged.
func (r *receiver) inflate(dst []byte, base int, src []byte) (out []byte, n int, err error) {
	if r.hdr.Masked {
		Mask(src, r.hdr.Key, int(r.pos))
	}
	room := cap(dst)
	if left := r.limit - r.size; int64(room-len(dst)) > left {
		room = len(dst) + int(left) + 1 // one more, to see that it is too much
	}
	last := r.hdr.Fin && int64(len(src)) == r.left
	out, n, err = r.dec.Decode(dst[:len(dst):room], base, src, last)
	if r.hdr.Masked {
		r.pos = uint8(int(r.pos)+n) & 3
		Mask(src[n:], r.hdr.Key, int(r.pos)) // its own inverse
	}
	r.left -= int64(n)
	r.more = r.left > 0 || len(out) == room
	// The first error in the message counts, in however many pieces the message is
	// read.
	got := out[len(dst):]
	big := int64(len(got)) > r.limit-r.size
	if big {
		got = got[:len(got)-1]
	}
	r.size += int64(len(got))
	switch {
	case r.msg == OpText && !r.text.Write(got):
		err = badText()
	case big:
		err = tooBig(r.size, 1, r.limit)
	case err != nil:
		err = &ProtocolError{Code: StatusInvalidPayload, Section: "RFC 7692, section 7.2.2", Text: err.Error(), Err: err}
	}
	if err != nil {
		return dst, n, r.fail(err)
	}
	return dst[:len(out)], n, nil
}

// discard takes p, the next bytes of a data frame, for a caller that needs only the
// end of the frame. It is called as inflate is, even with no bytes if more says so.
func (r *receiver) discard(p []byte) error {
	if r.dec == nil {
		return r.payload(p)
	}
	r.left -= int64(len(p))
	r.more, r.text = false, utf8.Validator{}
	return nil
}

// endFrame ends the data frame under way, all of whose payload has been
// moved, and reports whether the message ends with it.
func (r *receiver) endFrame() (end bool, err error) {
	r.phase = inHeader
	if !r.hdr.Fin {
		return false, nil
	}
	if !r.text.Complete() {
		return false, r.fail(badText())
	}
	r.msg = 0
	if r.dec != nil {
		r.dec.Release()
		r.dec = nil
	}
	return true, nil
}

func (r *receiver) fail(err error) error {
	r.ensurePartial()
	r.err = err.(*ProtocolError) // every error here is one
	r.was, r.phase = r.phase, inFault
	return err
}

// skip makes the receiver go on after an error, for a caller that discards all
// messages, and reports whether it can: only if it is still known where frames end.
// Messages are not checked any more.
func (r *receiver) skip() bool {
	if r.phase != inFault || r.hdr.Opcode.IsControl() || r.err.Code == StatusProtocolError {
		return false
	}
	if r.dec != nil {
		r.dec.Release()
	}
	r.phase, r.limit, r.text, r.dec, r.more, r.marks = r.was, math.MaxInt64, utf8.Validator{}, nil, false, 0
	if r.msg = 0; r.phase == inPayload {
		r.msg = OpBinary
	}
	return true
}

// sender is the sending half of the protocol: it turns messages into frames.
type sender struct {
	client bool // frames are masked
	open   bool // a fragmented message is under way
}

// header sets h to the header of the next frame, with a fresh masking key on a
// client. A data message of several frames names its type and its reserved bits in
// each; the frames after the first become continuations.
func (s *sender) header(h *Header, op Opcode, fin bool, rsv uint8, length int) {
	if !op.IsControl() {
		first := !s.open
		if s.open == fin {
			s.open = !fin
		}
		if !first {
			op, rsv = OpContinuation, 0
		}
	}
	s.frame(h, op, fin, rsv, length)
}

// frame is header for a frame that is not a part of the message under way, if there
// is one.
func (s *sender) frame(h *Header, op Opcode, fin bool, rsv uint8, length int) {
	h.Fin, h.RSV, h.Opcode, h.Masked, h.Length = fin, rsv, op, s.client, int64(length)
	if s.client {
		h.Key = newMaskKey()
	}
}
