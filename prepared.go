package websocket

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/extension"
)

// PreparedMessage is a message that is encoded once and sent to any number of
// connections, by [Conn.WritePrepared] and [Conn.SendPrepared]. It may be used
// by any number of goroutines, as often as they like.
//
// All connections of servers send the same memory, uncompressed or compressed. The
// message is compressed when the first connection needs that, once for each window
// size, level and threshold in use. On a connection with context takeover it is
// compressed without reference to earlier messages, and later messages do not refer
// to it or to earlier ones: correct, but with less gain from the takeover than usual.
// Clients mask each frame with a key of its own (section 5.3), so they share
// nothing.
type PreparedMessage struct {
	typ     MessageType
	plain   []byte             // the frame that a server sends
	payload []byte             // of it
	parts   []*PreparedMessage // if it is several messages, which JoinPrepared has joined

	mu      sync.Mutex              // held while an encoded is made
	encoded atomic.Pointer[encoded] // the newest of them; nil if there is none
}

// encoded is a message as connections with the same extensions send it.
type encoded struct {
	by    extension.Agreed
	frame []byte // the plain one if they leave it as it is
	rsv   uint8  // the reserved bits of its frames
	next  *encoded
}

var (
	errNilPrepared   = errors.New("websocket: nil PreparedMessage")
	errNothingToJoin = errors.New("websocket: no messages to join")
)

// NewPreparedMessage prepares a message with the content p, which it copies. A
// text that is not UTF-8 is refused.
func NewPreparedMessage(typ MessageType, p []byte) (*PreparedMessage, error) {
	if err := checkContent(context.Background(), typ, p); err != nil {
		return nil, err
	}
	m := &PreparedMessage{typ: typ, plain: serverFrame(typ, 0, p)}
	m.payload = m.plain[len(m.plain)-len(p):]
	return m, nil
}

// JoinPrepared returns a value with which [Conn.SendPrepared] and
// [Conn.WritePrepared] send all of the messages, in order and in one write, where a
// call for each would be a write for each: to very many connections, or often. The
// peer gets separate messages, and cannot tell the difference.
//
// The messages leave together or not at all: they wait for room in a queue that
// has room for all, and if [Options.SendBuffer] is less than their sum they are
// refused as one message of that size would be. [Conn.Stats] and [Trace] count each
// message.
//
// Joined messages are encoded once and shared, as a single one is. On a client,
// whose frames are masked, each call makes a copy. Messages that were joined may be
// joined again. There must be at least one message, and none may be nil.
func JoinPrepared(messages ...*PreparedMessage) (*PreparedMessage, error) {
	var parts []*PreparedMessage
	size := 0
	for _, m := range messages {
		switch {
		case m == nil:
			return nil, errNilPrepared
		case len(m.parts) > 0:
			parts = append(parts, m.parts...)
		default:
			parts = append(parts, m)
		}
		size += len(m.plain)
	}
	switch len(parts) {
	case 0:
		return nil, errNothingToJoin
	case 1:
		return parts[0], nil
	}
	joined := &PreparedMessage{typ: parts[0].typ, plain: make([]byte, 0, size), parts: parts}
	for _, m := range parts {
		joined.plain = append(joined.plain, m.plain...)
	}
	return joined, nil
}

// serverFrame returns a message as a server's frame.
func serverFrame(typ MessageType, rsv uint8, p []byte) []byte {
	h := Header{Fin: true, RSV: rsv, Opcode: Opcode(typ), Length: int64(len(p))}
	return h.appendFrame(make([]byte, 0, maxHeaderSize+len(p)), p)
}

// WritePrepared is [Conn.Write] for a message that was prepared.
func (c *Conn) WritePrepared(ctx context.Context, m *PreparedMessage) error {
	switch {
	case m == nil:
		return errNilPrepared
	case ctx == nil:
		return errNilContext
	}
	var f outFrame
	m.frame(c, &f)
	z := c.encodeEarly(&f, nil)
	err := c.writeFrame(ctx, nil, &f)
	buffer.Put(z)
	return err
}

// frame sets f to the frame by which c sends m, or to the frames.
func (m *PreparedMessage) frame(c *Conn, f *outFrame) {
	f.op, f.fin, f.p = Opcode(m.typ), true, m.payload
	joined := len(m.parts) > 0
	if c.client() && !joined {
		return
	}
	f.wire = true
	if x := c.extensions(); x == nil || !joined && x.leaves(f) {
		f.p = m.plain
	} else {
		v := m.encodedFor(x)
		f.p = v.frame
		if x.enc != nil && v.rsv&RSV1 != 0 {
			f.pack = packAlone
		}
	}
	if c.client() {
		f.p = maskedFrames(f.p)
	}
}

// encodedFor returns m for connections with the extensions x.
func (m *PreparedMessage) encodedFor(x *extensions) *encoded {
	if v := m.find(&x.alone); v != nil {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.find(&x.alone); v != nil {
		return v
	}
	v := &encoded{by: x.alone, frame: m.plain, next: m.encoded.Load()}
	if len(m.parts) > 0 {
		v.join(m, x)
	} else {
		f := outFrame{op: Opcode(m.typ), fin: true, p: m.payload}
		if z := x.encodeAlone(&f); z != nil {
			v.frame, v.rsv = serverFrame(m.typ, f.rsv, f.p), f.rsv
			buffer.Put(z)
		}
	}
	m.encoded.Store(v)
	return v
}

// join makes v the messages of m for connections with the extensions x.
func (v *encoded) join(m *PreparedMessage, x *extensions) {
	frames := make([]byte, 0, len(m.plain))
	for _, part := range m.parts {
		f := outFrame{op: Opcode(part.typ), fin: true, p: part.payload}
		if x.leaves(&f) {
			frames = append(frames, part.plain...)
			continue
		}
		one := part.encodedFor(x)
		frames = append(frames, one.frame...)
		v.rsv |= one.rsv
	}
	if v.rsv != 0 {
		v.frame = frames
	}
}

// maskedFrames returns the frames in wire as a client sends them.
func maskedFrames(wire []byte) []byte {
	var masked []byte
	for h, p := range wireFrames(wire) {
		h.Masked, h.Key = true, newMaskKey()
		masked = h.appendFrame(masked, p)
	}
	return masked
}

func (m *PreparedMessage) find(by *extension.Agreed) *encoded {
	v := m.encoded.Load()
	for v != nil && v.by != *by {
		v = v.next
	}
	return v
}
