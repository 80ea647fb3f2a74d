package conntest

import (
	"encoding/binary"
	"net"

	"github.com/fullduplex-go/websocket"
)

// Frame encodes a frame as a client sends it if masked is set.
func Frame(op websocket.Opcode, fin, masked bool, payload string) []byte {
	h := websocket.Header{Fin: fin, Opcode: op, Masked: masked, Length: int64(len(payload))}
	if masked {
		h.Key = [4]byte{0x37, 0xfa, 0x21, 0x3d}
	}
	b := append(h.Append(nil), payload...)
	websocket.Mask(b[len(b)-len(payload):], h.Key, 0)
	return b
}

// CloseFrame encodes a close frame; code 1005 stands for no payload.
func CloseFrame(masked bool, code websocket.StatusCode, reason string) []byte {
	if code == websocket.StatusNoStatus {
		return Frame(websocket.OpClose, true, masked, "")
	}
	return Frame(websocket.OpClose, true, masked, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// RawFrame is a frame that a test's bare peer has received.
type RawFrame struct {
	websocket.Header
	Payload string
}

// FrameReader reads frames from a bare transport.
type FrameReader struct {
	NC  net.Conn
	buf []byte
}

// Next waits for a frame.
func (r *FrameReader) Next() (RawFrame, error) {
	for {
		h, n, err := websocket.ParseHeader(r.buf)
		if err != nil {
			return RawFrame{}, err
		}
		if n > 0 && int64(len(r.buf)-n) >= h.Length {
			p := r.buf[n : n+int(h.Length)]
			websocket.Mask(p, h.Key, 0)
			r.buf = r.buf[n+int(h.Length):]
			return RawFrame{h, string(p)}, nil
		}
		p := make([]byte, 64<<10)
		m, err := r.NC.Read(p)
		r.buf = append(r.buf, p[:m]...)
		if m == 0 && err != nil {
			return RawFrame{}, err
		}
	}
}
