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
	plain   []byte // the frame that a server sends
	payload []byte // of it

	mu      sync.Mutex              // held while an encoded is made
	encoded atomic.Pointer[encoded] // the newest of them; nil if there is none
}

// encoded is a message as connections with the same extensions send it.
type encoded struct {
	by    extension.Agreed
	frame []byte // the plain one if they leave it as it is
	next  *encoded
}

var errNilPrepared = errors.New("websocket: nil PreparedMessage")

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

// frame sets f to the frame by which c sends m.
func (m *PreparedMessage) frame(c *Conn, f *outFrame) {
	f.op, f.fin, f.p = Opcode(m.typ), true, m.payload
	if c.client() {
		return
	}
	x := c.extensions()
	if x == nil || x.leaves(f) {
		f.wire, f.p = true, m.plain
		return
	}
	f.wire, f.p = true, m.encodedFor(x)
	if x.enc != nil && f.p[0]&RSV1 != 0 {
		f.pack = packAlone
	}
}

// encodedFor returns the frame by which connections with the extensions x send m.
func (m *PreparedMessage) encodedFor(x *extensions) []byte {
	if v := m.find(&x.alone); v != nil {
		return v.frame
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.find(&x.alone); v != nil {
		return v.frame
	}
	v := &encoded{by: x.alone, frame: m.plain, next: m.encoded.Load()}
	f := outFrame{op: Opcode(m.typ), fin: true, p: m.payload}
	if z := x.encodeAlone(&f); z != nil {
		v.frame = serverFrame(m.typ, f.rsv, f.p)
		buffer.Put(z)
	}
	m.encoded.Store(v)
	return v.frame
}

func (m *PreparedMessage) find(by *extension.Agreed) *encoded {
	v := m.encoded.Load()
	for v != nil && v.by != *by {
		v = v.next
	}
	return v
}
