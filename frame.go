package websocket

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Opcode is the kind of a frame (RFC 6455, section 5.2).
type Opcode uint8

// The opcodes that RFC 6455 defines. All others are reserved.
const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xA
)

// IsControl reports whether o is a control opcode: close, ping, pong, or one
// of those reserved for further control frames.
func (o Opcode) IsControl() bool { return o&0x8 != 0 }

func (o Opcode) known() bool { return o <= OpBinary || o >= OpClose && o <= OpPong }

// String returns the opcode's name in RFC 6455.
func (o Opcode) String() string {
	switch o {
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return fmt.Sprintf("reserved opcode %#x", uint8(o))
}

// MessageType is the type of a message: [Text] or [Binary]. A message of any
// other type cannot be sent and is never received.
type MessageType uint8

const (
	Text   MessageType = MessageType(OpText)   // UTF-8; checked in both directions
	Binary MessageType = MessageType(OpBinary) // any bytes
)

// String returns "text" or "binary".
func (t MessageType) String() string { return Opcode(t).String() }

// The reserved bits of a frame, as they stand in its first byte and in
// [Header.RSV]. Only an extension gives them a meaning: permessage-deflate
// uses RSV1.
const (
	RSV1 uint8 = 0x40
	RSV2 uint8 = 0x20
	RSV3 uint8 = 0x10
)

const (
	finBit            = 0x80
	rsvBits           = RSV1 | RSV2 | RSV3
	maskBit           = 0x80
	maxHeaderSize     = 14
	maxControlPayload = 125
)

// Header is the header of a frame: the 2 to 14 bytes before its payload
// (RFC 6455, section 5.2).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-------+-+-------------+-------------------------------+
//	|F|R|R|R| opcode|M| Payload len |    Extended payload length    |
//	|I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
//	|N|V|V|V|       |S|             |   (if payload len==126/127)   |
//	| |1|2|3|       |K|             |                               |
//	+-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//	|     Extended payload length continued, if payload len == 127  |
//	+ - - - - - - - - - - - - - - - +-------------------------------+
//	|                               |Masking-key, if MASK set to 1  |
//	+-------------------------------+-------------------------------+
//	| Masking-key (continued)       |          Payload Data         |
//	+-------------------------------- - - - - - - - - - - - - - - - +
type Header struct {
	Fin    bool    // the last frame of its message
	RSV    uint8   // RSV1 | RSV2 | RSV3
	Opcode Opcode  // what the payload is
	Masked bool    // the payload is masked with Key; true of every frame that a client sends
	Key    [4]byte // the masking key, if Masked
	Length int64   // length of the payload in bytes, never negative
}

// ParseHeader decodes the header at the start of b and returns it with its
// size in bytes. While b holds less than a whole header that could still
// become valid, the size is 0 and the error nil: call again with more.
//
// It refuses headers that are invalid from either side: a reserved opcode, a
// fragmented control frame or one with more than 125 bytes, a length that is not in
// its shortest form, a length with the top bit set. The error is a
// [*ProtocolError]. Masking, reserved bits and the order of frames depend on the
// connection and are for the caller to judge.
func ParseHeader(b []byte) (h Header, n int, err error) {
	n, err = h.parse(b)
	return h, n, err
}

// parse is ParseHeader in place: to copy a Header takes longer than to parse
// one. While the header is incomplete h has no meaning.
func (h *Header) parse(b []byte) (n int, err error) {
	if len(b) < 2 {
		return 0, nil
	}
	b0, b1 := b[0], b[1]
	h.Fin = b0&finBit != 0
	h.RSV = b0 & rsvBits
	h.Opcode = Opcode(b0 & 0x0f)
	h.Masked = b1&maskBit != 0
	length := b1 &^ maskBit

	if !h.Opcode.known() {
		return 0, violation("5.2", "%v", h.Opcode)
	}
	if h.Opcode.IsControl() {
		if !h.Fin {
			return 0, violation("5.5", "fragmented %v frame", h.Opcode)
		}
		if length > maxControlPayload {
			return 0, violation("5.5", "%v frame with more than 125 bytes", h.Opcode)
		}
	}

	n = 2
	switch length {
	case 126:
		if len(b) < 4 {
			return 0, nil
		}
		v := binary.BigEndian.Uint16(b[2:])
		if v < 126 {
			return 0, violation("5.2", "length %d is not in its shortest form", v)
		}
		h.Length, n = int64(v), 4
	case 127:
		if len(b) < 10 {
			return 0, nil
		}
		v := binary.BigEndian.Uint64(b[2:])
		if v>>63 != 0 {
			return 0, violation("5.2", "length with the most significant bit set")
		}
		if v <= 0xffff {
			return 0, violation("5.2", "length %d is not in its shortest form", v)
		}
		h.Length, n = int64(v), 10
	default:
		h.Length = int64(length)
	}

	h.Key = [4]byte{}
	if h.Masked {
		if len(b) < n+4 {
			return 0, nil
		}
		h.Key = [4]byte(b[n:])
		n += 4
	}
	return n, nil
}

// Append appends the encoded header to b and returns the extended slice. The
// length takes its shortest form; a negative Length counts as 0.
func (h Header) Append(b []byte) []byte { return h.append(b) }

// append is Append without a copy of h, as parse is ParseHeader.
func (h *Header) append(b []byte) []byte {
	b0 := h.RSV&rsvBits | uint8(h.Opcode)&0x0f
	if h.Fin {
		b0 |= finBit
	}
	var b1 byte
	if h.Masked {
		b1 = maskBit
	}
	switch {
	case h.Length <= 125:
		b = append(b, b0, b1|byte(max(h.Length, 0)))
	case h.Length <= 0xffff:
		b = append(b, b0, b1|126, byte(h.Length>>8), byte(h.Length))
	default:
		b = append(b, b0, b1|127)
		b = binary.BigEndian.AppendUint64(b, uint64(h.Length))
	}
	if h.Masked {
		b = append(b, h.Key[:]...)
	}
	return b
}

// appendFrame appends the frame of header h, as set by sender.header, and payload
// p, which it masks.
func (h *Header) appendFrame(dst, p []byte) []byte {
	dst = h.append(dst)
	if !h.Masked {
		return append(dst, p...)
	}
	n := len(dst)
	dst = slices.Grow(dst, len(p))[:n+len(p)]
	maskCopy(dst[n:], p, h.Key, 0)
	return dst
}
