package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// sentModel is what a connection may have on its wire: the messages that calls on it
// were given, each with what became of it. A message tells its sender, and its
// number there.
type sentModel struct {
	mu   sync.Mutex
	sent map[[2]uint32]*sentMessage
}

type sentMessage struct {
	p       []byte
	err     error
	stream  bool
	beneath bool // Send was told nil while there was a stream: it may be lost with that
}

func (m *sentModel) add(from, n uint32, s *sentMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent[[2]uint32{from, n}] = s
}

// modelMessage is the content of message n of a sender: as compressible as messages
// are.
func modelMessage(from, n uint32, size int) []byte {
	p := binary.BigEndian.AppendUint32(nil, from)
	p = binary.BigEndian.AppendUint32(p, n)
	for x := from*2654435761 + n; len(p) < size; x = x*1664525 + 1013904223 {
		p = fmt.Appendf(p, "%x and so on, ", x>>16)
	}
	return p[:max(size, 8)]
}

// wireFacts is what a look at a wire's frames has told.
type wireFacts struct {
	closes int
	cut    bool // the last frame is not whole
	torn   bool // the last message is not
	pings  int
}

// checkFrames judges the frames of a wire.
func checkFrames(wire []byte, client bool) (w wireFacts, err error) {
	for len(wire) > 0 {
		h, n, err := ParseHeader(wire)
		if err != nil {
			return w, err
		}
		if n == 0 || int64(len(wire)-n) < h.Length {
			w.cut = true
			if w.closes > 0 {
				return w, errors.New("a part of a frame behind the close frame")
			}
			break
		}
		switch {
		case w.closes > 0:
			return w, fmt.Errorf("%v behind the close frame", h.Opcode)
		case h.Masked != client:
			return w, errors.New("the mask is wrong")
		case h.Opcode == OpClose:
			w.closes++
		case h.Opcode == OpPing:
			w.pings++
		case !h.Opcode.IsControl():
			w.torn = !h.Fin
		}
		wire = wire[n+int(h.Length):]
	}
	return w, nil
}

// check compares a wire with the model. complete tells that all that was accepted
// has to be on it; it has, too, if there is a close frame, which comes behind it.
func (m *sentModel) check(wire []byte, cfg connConfig, exact, complete bool) error {
	facts, err := checkFrames(bytes.Clone(wire), cfg.client)
	if err != nil {
		return err
	}
	peer := connConfig{client: !cfg.client, opts: Options{PingInterval: -1, ReadLimit: 1 << 30}.withDefaults()}
	peer.agreement = cfg.agreement
	z, y := &cfg.extensions.Deflate, &peer.extensions.Deflate
	y.SendBits, y.RecvBits, y.SendTakeover, y.RecvTakeover = z.RecvBits, z.SendBits, z.RecvTakeover, z.SendTakeover
	c := newConn(&replay{wire: bytes.Clone(wire)}, peer)
	defer c.CloseNow()
	last := make(map[uint32]uint32)
	arrived := make(map[[2]uint32]bool)
	for {
		_, p, err := c.Read(bg)
		var pe *ProtocolError
		switch {
		case errors.As(err, &pe):
			return fmt.Errorf("the peer cannot read it: %w", err)
		case errors.Is(err, io.ErrUnexpectedEOF), CloseCode(err) != 0:
			return m.checkSent(arrived, facts, exact, complete)
		case err != nil:
			return err
		}
		if len(p) < 8 {
			return fmt.Errorf("a message of %d bytes", len(p))
		}
		key := [2]uint32{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])}
		s := m.sent[key]
		switch {
		case s == nil || !bytes.Equal(s.p, p):
			return fmt.Errorf("message %d was never sent so, of %d bytes", key, len(p))
		case arrived[key]:
			return fmt.Errorf("message %d arrived twice", key)
		case last[key[0]] > key[1]:
			return fmt.Errorf("message %d arrived behind number %d", key, last[key[0]])
		}
		last[key[0]], arrived[key] = key[1], true
	}
}

// checkSent compares what has arrived with what the calls have returned.
func (m *sentModel) checkSent(arrived map[[2]uint32]bool, facts wireFacts, exact, complete bool) error {
	for key, s := range m.sent {
		switch {
		case s.err == nil && !arrived[key] && (complete || facts.closes > 0) && !facts.cut && !(s.beneath && facts.torn):
			return fmt.Errorf("message %d of %d bytes was accepted and is not there (stream %v, behind one %v; %+v)", key, len(s.p), s.stream, s.beneath, facts)
		case s.err != nil && arrived[key] && exact && !errors.Is(s.err, ErrMaybeSent):
			return fmt.Errorf("message %d was refused and is there: %v", key, s.err)
		}
	}
	return nil
}

// counts returns how many messages were accepted, and how many may count as written.
func (m *sentModel) counts() (accepted, possible uint64) {
	for _, s := range m.sent {
		possible++
		if s.err == nil {
			accepted++
		}
	}
	return accepted, possible
}
