package main

import (
	"errors"
	"io"
	"net"
	"slices"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

var (
	errClosed = errors.New("the peer has closed the connection")
	errTooBig = errors.New("message too big")
)

// conn is one connection. One goroutine reads; any may write, since a frame is
// one call of nc.Write, which does not mix with another.
type conn struct {
	nc      net.Conn
	in      source
	state   ws.State
	deflate bool                   // permessage-deflate was negotiated
	scratch [ws.MaxHeaderSize]byte // for ws.ReadHeaderBuffer
}

func newConn(nc net.Conn, deflate bool) (*conn, error) {
	c := &conn{nc: nc, state: ws.StateServerSide, deflate: deflate}
	if deflate {
		c.state = c.state.Set(ws.StateExtended)
	}
	return c, c.in.init(nc)
}

// read returns the next message, which the caller has to free.
func (c *conn) read() (*message, error) {
	var (
		m     *message // borrowed when the first frame has come
		state = c.state
		bits  wsflate.MessageState
	)
	for {
		h, err := ws.ReadHeaderBuffer(&c.in, c.scratch[:])
		if err != nil {
			return nil, err
		}
		if err := ws.CheckHeader(h, state); err != nil {
			return nil, err
		}
		if c.deflate {
			if h, err = bits.UnsetBits(h); err != nil {
				return nil, err
			}
			if h.Rsv != 0 {
				return nil, ws.ErrProtocolNonZeroRsv
			}
		}
		if h.OpCode.IsControl() {
			if err := c.control(h); err != nil {
				return nil, err
			}
			continue
		}
		if m == nil {
			m = newMessage(h.OpCode)
			state = state.Set(ws.StateFragmented)
		}
		if err := m.readFrom(&c.in, h); err != nil {
			return nil, err
		}
		if !h.Fin {
			continue
		}
		if !bits.IsCompressed() {
			return m, nil
		}
		defer m.free()
		return m.inflated()
	}
}

// control answers a control frame.
func (c *conn) control(h ws.Header) error {
	m := newMessage(h.OpCode)
	defer m.free()
	if err := m.readFrom(&c.in, h); err != nil {
		return err
	}
	switch h.OpCode {
	case ws.OpPing:
		m.op = ws.OpPong
		_, err := c.nc.Write(m.frame(false))
		return err
	case ws.OpClose:
		c.nc.Write(m.frame(false))
		return errClosed
	}
	return nil
}

func (c *conn) write(m *message) error {
	if c.deflate {
		packed, err := m.deflated()
		if err != nil {
			return err
		}
		defer packed.free()
		_, err = c.nc.Write(packed.frame(true))
		return err
	}
	_, err := c.nc.Write(m.frame(false))
	return err
}

// headroom is the largest size of a server's header.
const headroom = ws.MaxHeaderSize - 4

// message is a message in memory, with room for a frame header before it.
type message struct {
	op     ws.OpCode
	data   []byte // headroom, then the payload
	header [ws.MaxHeaderSize]byte
}

func newMessage(op ws.OpCode) *message {
	m := messages.Get().(*message)
	m.op = op
	m.data = m.data[:headroom]
	return m
}

func (m *message) free() { messages.Put(m) }

// readFrom appends the payload that follows h.
func (m *message) readFrom(r io.Reader, h ws.Header) error {
	start := len(m.data)
	if h.Length > int64(contract.ReadLimit-(start-headroom)) {
		return errTooBig
	}
	end := start + int(h.Length)
	m.data = slices.Grow(m.data, int(h.Length))[:end]
	if _, err := io.ReadFull(r, m.data[start:]); err != nil {
		return err
	}
	ws.Cipher(m.data[start:], h.Mask, 0)
	return nil
}

// Write appends to the payload.
func (m *message) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}

// frame returns m as one frame. It is valid until m is freed.
func (m *message) frame(compressed bool) []byte {
	h := ws.Header{Fin: true, OpCode: m.op, Length: int64(len(m.data) - headroom)}
	if compressed {
		h.Rsv = ws.Rsv(true, false, false)
	}
	start := headroom - ws.HeaderSize(h)
	// It cannot fail: the buffer is large enough.
	ws.WriteHeaderBuffer(fixedBuffer(m.data[start:headroom]), h, m.header[:])
	return m.data[start:]
}

// fixedBuffer is a writer to a slice of the right size.
type fixedBuffer []byte

func (b fixedBuffer) Write(p []byte) (int, error) { return copy(b, p), nil }
