package websocket

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// PreparedMessage is a message that is encoded once and sent to any number of
// connections, by [Conn.WritePrepared] and [Conn.SendPrepared]. It may be used
// by any number of goroutines, as often as they like.
//
// All connections of servers send the same memory, uncompressed or compressed. The
// message is compressed when the first connection needs that, once for each window
// size and level in use. On a connection with context takeover it is compressed
// without reference to earlier messages, and later messages do not refer to it or
// to earlier ones: correct, but with less gain from the takeover than usual.
// Clients mask each frame with a key of its own (section 5.3), so they share
// nothing.
type PreparedMessage struct {
	typ     MessageType
	plain   []byte // the frame that a server sends
	payload []byte // of it

	mu     sync.Mutex             // held while a packed is made
	packed atomic.Pointer[packed] // the newest of them; nil if there is none
}

// packed is a message compressed for connections of one kind.
type packed struct {
	level, bits uint8
	smaller     bool
	frame       []byte // the plain one unless it is smaller
	next        *packed
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
	if d := c.negotiated().deflate; d != nil && !f.wire && len(f.p) >= d.threshold {
		return c.writeDeflated(ctx, d, m.typ, f.p)
	}
	return c.writeFrame(ctx, nil, &f)
}

// frame sets f to the frame by which c sends m.
func (m *PreparedMessage) frame(c *Conn, f *outFrame) {
	f.op, f.fin = Opcode(m.typ), true
	if c.client() {
		f.p = m.payload
		return
	}
	f.wire, f.p = true, m.plain
	if d := c.negotiated().deflate; d != nil && len(m.payload) >= d.threshold {
		v := m.packedFor(&d.compression)
		f.p = v.frame
		if d.enc != nil && v.smaller {
			f.pack = packAlone
		}
	}
}

// packedFor returns m for connections that have agreed on p.
func (m *PreparedMessage) packedFor(p *compression) *packed {
	if v := m.find(p); v != nil {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.find(p); v != nil {
		return v
	}
	v := &packed{level: uint8(p.level), bits: p.sendBits, frame: m.plain, next: m.packed.Load()}
	f := outFrame{fin: true, p: m.payload}
	if z := f.deflateAlone(p); z != nil {
		v.smaller, v.frame = true, serverFrame(m.typ, f.rsv, z.B)
		buffer.Put(z)
	}
	m.packed.Store(v)
	return v
}

func (m *PreparedMessage) find(p *compression) *packed {
	v := m.packed.Load()
	for v != nil && (v.level != uint8(p.level) || v.bits != p.sendBits) {
		v = v.next
	}
	return v
}
