package deflatetest

import (
	"testing"

	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/flate/flatetest"
)

// Peer reads the messages of a connection from the wire.
type Peer struct {
	RSV1   bool // of the last message
	Frames int  // of the last message

	t    testing.TB
	next func() (first byte, payload string, err error)
	slow flatetest.Inflater
}

// NewPeer returns the peer of a connection that sends as p says. It gets the first byte
// and the unmasked payload of each frame from next.
func NewPeer(t testing.TB, p extension.Deflate, next func() (first byte, payload string, err error)) *Peer {
	return &Peer{t: t, next: next, slow: flatetest.Inflater{Window: 1 << p.SendBits, Takeover: p.SendTakeover}}
}

// Next returns the next message, and checks the reserved bits of its frames.
func (p *Peer) Next() string {
	p.t.Helper()
	var msg []byte
	for p.Frames = 0; ; {
		first, payload, err := p.next()
		op, rsv, fin := first&0xf, first&0x70, first&0x80 != 0
		switch {
		case err != nil:
			p.t.Fatalf("after %d frames: %v", p.Frames, err)
		case op&8 != 0:
			continue
		case p.Frames == 0:
			p.RSV1 = rsv == 0x40
		}
		if (op == 0) != (p.Frames > 0) || rsv&^0x40 != 0 || rsv != 0 && p.Frames > 0 {
			p.t.Fatalf("frame %d of a message begins with %#x", p.Frames, first)
		}
		p.Frames++
		if !p.RSV1 {
			msg = append(msg, payload...)
		} else if msg, err = p.slow.Part([]byte(payload), fin); err != nil {
			p.t.Fatal(err)
		}
		if fin {
			return string(msg)
		}
	}
}
