package load

import (
	"encoding/binary"
	"fmt"
)

// The frames of RFC 6455 once more, independent of the library's code: a test of the
// library must not share its mistakes.

const (
	opText   = 1
	opBinary = 2
	finBit   = 0x80
	rsv1Bit  = 0x40
	maskBit  = 0x80
)

// appendFrame appends a message in one masked frame, as a client sends it.
func appendFrame(dst []byte, first byte, key [4]byte, payload []byte) []byte {
	dst = append(dst, first)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, maskBit|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, maskBit|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, maskBit|127), uint64(n))
	}
	dst = append(dst, key[:]...)
	at := len(dst)
	dst = append(dst, payload...)
	b := dst[at:]
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	for k |= k << 32; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
	return dst
}

// header is the header of a frame that a server has sent.
type header struct {
	fin, rsv1 bool
	opcode    byte
	length    int64
}

// parseHeader reads the header at the front of b; n is its size, or 0 if b is
// too short to hold it.
func parseHeader(b []byte) (h header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h = header{fin: b[0]&finBit != 0, rsv1: b[0]&rsv1Bit != 0, opcode: b[0] & 15, length: int64(b[1] & 127)}
	n = 2
	switch h.length {
	case 126:
		if n = 4; len(b) >= n {
			h.length = int64(binary.BigEndian.Uint16(b[2:]))
		}
	case 127:
		if n = 10; len(b) >= n {
			h.length = int64(binary.BigEndian.Uint64(b[2:]))
		}
	}
	switch {
	case b[1]&maskBit != 0:
		return h, 0, fmt.Errorf("the server has sent a masked frame (% x)", b[:2])
	case b[0]&0x30 != 0:
		return h, 0, fmt.Errorf("the server has sent a frame with reserved bits (% x)", b[:2])
	case h.opcode > opBinary:
		return h, 0, fmt.Errorf("the server has sent a control frame, opcode %d", h.opcode)
	case len(b) < n:
		return h, 0, nil
	case h.length < 0 || h.length > 1<<40:
		return h, 0, fmt.Errorf("the server announces a frame of %d bytes", h.length)
	}
	return h, n, nil
}

// frameScanner follows a stream of frames by their headers alone.
type frameScanner struct {
	head [10]byte // the header so far, if it came in pieces
	have int
	skip int64 // what is left of the payload
	fin  bool  // the payload's frame is its message's last
	rsv1 bool  // every message must be compressed
}

// feed takes the next bytes of the stream and returns how many messages have
// ended in them.
func (w *frameScanner) feed(b []byte) (messages int, err error) {
	for len(b) > 0 {
		if w.skip > 0 {
			n := min(w.skip, int64(len(b)))
			w.skip -= n
			b = b[n:]
			if w.skip == 0 && w.fin {
				messages++
			}
			continue
		}
		old := w.have
		w.have += copy(w.head[old:], b)
		h, n, err := parseHeader(w.head[:w.have])
		if err != nil {
			return messages, err
		}
		if n == 0 {
			return messages, nil
		}
		if h.opcode != 0 && h.rsv1 != w.rsv1 {
			return messages, fmt.Errorf("a reply's compression bit is %v", h.rsv1)
		}
		b = b[n-old:]
		w.have, w.skip, w.fin = 0, h.length, h.fin
		if h.length == 0 && h.fin {
			messages++
		}
	}
	return messages, nil
}
