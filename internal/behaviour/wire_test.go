package behaviour_test

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// fin and rsv1 are bits of a frame's first byte.
const (
	fin  = 0x80
	rsv1 = 0x40
)

// frame is a frame with its payload unmasked.
type frame struct {
	first   byte // FIN, RSV and opcode, as on the wire
	masked  bool
	payload string
}

func (f frame) op() byte  { return f.first & 0xF }
func (f frame) fin() bool { return f.first&fin != 0 }

func (f frame) String() string {
	p := f.payload
	if f.op() == opClose && len(p) >= 2 {
		return fmt.Sprintf("close(%d, %q)", binary.BigEndian.Uint16([]byte(p)), p[2:])
	}
	if len(p) > 40 {
		p = fmt.Sprintf("%s… %d bytes", p[:40], len(p))
	}
	return fmt.Sprintf("%#02x %q", f.first, p)
}

// encode appends the frame to b, masked with a fresh key if masked is set.
func (f frame) encode(b []byte, masked bool) []byte {
	b = append(b, f.first)
	var m byte
	if masked {
		m = 0x80
	}
	switch n := len(f.payload); {
	case n < 126:
		b = append(b, m|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, m|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, m|127), uint64(n))
	}
	if !masked {
		return append(b, f.payload...)
	}
	var key [4]byte
	rand.Read(key[:])
	b = append(b, key[:]...)
	n := len(b)
	b = append(b, f.payload...)
	mask(b[n:], key[:])
	return b
}

// mask masks p with key, or unmasks it.
func mask(p, key []byte) {
	subtle.XORBytes(p, p, bytes.Repeat(key, len(p)/4+1))
}

// decodeFrame returns the frame at the start of b and its size, which is 0 if b
// holds only a part of one.
func decodeFrame(b []byte) (frame, int) {
	if len(b) < 2 {
		return frame{}, 0
	}
	n, head := uint64(b[1]&0x7F), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		n, head = binary.BigEndian.Uint64(b[2:]), 10
	case n >= 126:
		return frame{}, 0
	}
	f := frame{first: b[0], masked: b[1]&0x80 != 0}
	var key []byte
	if f.masked {
		if len(b) < head+4 {
			return frame{}, 0
		}
		key = b[head : head+4]
		head += 4
	}
	if uint64(len(b)-head) < n {
		return frame{}, 0
	}
	p := bytes.Clone(b[head : head+int(n)])
	if key != nil {
		mask(p, key)
	}
	f.payload = string(p)
	return f, head + int(n)
}

func text(s string) frame    { return frame{first: fin | opText, payload: s} }
func binaryf(s string) frame { return frame{first: fin | opBinary, payload: s} }
func ping(s string) frame    { return frame{first: fin | opPing, payload: s} }

// closing is a close frame; code 0 stands for an empty one.
func closing(code int, reason string) frame {
	if code == 0 {
		return frame{first: fin | opClose}
	}
	return frame{first: fin | opClose, payload: string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason}
}

// code is the status code of a close frame, 0 if it is empty.
func (f frame) code() int {
	if len(f.payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(f.payload)))
}

func (f frame) reason() string {
	if len(f.payload) < 2 {
		return ""
	}
	return f.payload[2:]
}

// deflateTail is appended to a compressed message: the bytes that the sender has
// removed (RFC 7692, section 7.2.2), and a final block, which ends the stream.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
	if err != nil {
		panic(err)
	}
	return w
}}

// deflated is a text message compressed without context takeover.
func deflated(s string) frame {
	var b bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&b)
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return frame{first: fin | rsv1 | opText, payload: string(bytes.TrimSuffix(b.Bytes(), []byte(deflateTail[:4])))}
}

func inflate(s string) (string, error) {
	p, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader([]byte(s)), bytes.NewReader([]byte(deflateTail)))))
	return string(p), err
}

// messages puts the messages together that the frames carry, control frames
// left out. An unfinished message is not among them.
func messages(frames []frame) (msgs []string, err error) {
	var msg string
	var compressed, open bool
	for _, f := range frames {
		switch op := f.op(); {
		case op >= 8:
			continue
		case (op == opContinuation) != open:
			return msgs, fmt.Errorf("%v out of order", f)
		case op != opContinuation:
			msg, compressed, open = "", f.first&rsv1 != 0, true
		}
		msg += f.payload
		if f.fin() {
			if compressed {
				if msg, err = inflate(msg); err != nil {
					return msgs, err
				}
			}
			msgs, open = append(msgs, msg), false
		}
	}
	return msgs, nil
}

// closeFrames returns the close frames among frames, and an error if another
// frame follows the first.
func closeFrames(frames []frame) (out []frame, err error) {
	for _, f := range frames {
		if len(out) > 0 {
			err = fmt.Errorf("%v after the close frame", f)
		}
		if f.op() == opClose {
			out = append(out, f)
		}
	}
	return out, err
}
