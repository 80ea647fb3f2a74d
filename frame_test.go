package websocket

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// borderLengths are those at which a length takes another form on the wire,
// or another size in memory.
var borderLengths = []int64{
	0, 1, 125, 126, 127, 65535, 65536, 65537,
	1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 40, math.MaxInt64 - 1, math.MaxInt64,
}

var dataOpcodes = []Opcode{OpContinuation, OpText, OpBinary}
var controlOpcodes = []Opcode{OpClose, OpPing, OpPong}

// unhex decodes hexadecimal digits in which spaces are free.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// wantViolation checks that err is a ProtocolError with this code and section.
func wantViolation(t *testing.T, err error, code StatusCode, section string) {
	t.Helper()
	pe, ok := err.(*ProtocolError)
	if !ok && !errors.As(err, &pe) {
		t.Fatalf("got error %v, want a ProtocolError of section %s", err, section)
	}
	if pe.Code != code || pe.Section != section || pe.Text == "" {
		t.Fatalf("got %d, section %q, text %q; want %d, section %q", pe.Code, pe.Section, pe.Text, code, section)
	}
}

// checkHeaderWire checks that wire decodes to h, wherever the input ends, and
// that h encodes to wire.
func checkHeaderWire(t *testing.T, wire []byte, h Header) {
	t.Helper()
	for cut := range wire {
		if _, n, err := ParseHeader(wire[:cut:cut]); n != 0 || err != nil {
			t.Fatalf("%+v: %d of %d bytes: n = %d, err = %v", h, cut, len(wire), n, err)
		}
	}
	for _, trail := range []string{"", "\x00", "\xff\xff", "\x81\x05Hello, world"} {
		in := append(bytes.Clone(wire), trail...)
		was := bytes.Clone(in)
		got, n, err := ParseHeader(in)
		if got != h || n != len(wire) || err != nil {
			t.Fatalf("% x = %+v, %d, %v; want %+v, %d", in, got, n, err, h, len(wire))
		}
		if !bytes.Equal(in, was) {
			t.Fatalf("ParseHeader changed its input from % x to % x", was, in)
		}
	}
	if got := h.Append(nil); !bytes.Equal(got, wire) {
		t.Fatalf("%+v encodes to % x, want % x", h, got, wire)
	}
	// Behind what is there already, and nothing behind the header.
	buf := bytes.Repeat([]byte{0xC5}, 40)
	got := h.Append(buf[:7])
	want := append(bytes.Repeat([]byte{0xC5}, 7), wire...)
	if !bytes.Equal(got, want) || !bytes.Equal(buf[len(want):], bytes.Repeat([]byte{0xC5}, 40-len(want))) {
		t.Fatalf("%+v appended to 7 bytes is % x, in % x", h, got, buf)
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, fin := range []bool{false, true} {
		for rsv := range uint8(8) {
			for _, op := range append(dataOpcodes, controlOpcodes...) {
				for _, length := range borderLengths {
					if op >= 8 && (!fin || length > 125) {
						continue // refused: see below
					}
					for _, key := range [][4]byte{{}, {1, 2, 3, 4}, {0xff, 0xff, 0xff, 0xff}} {
						b0, b1 := byte(op)|rsv<<4, byte(0x80)
						if fin {
							b0 |= 0x80
						}
						var ext []byte
						switch {
						case length < 126:
							b1 |= byte(length)
						case length < 65536:
							b1 |= 126
							ext = binary.BigEndian.AppendUint16(nil, uint16(length))
						default:
							b1 |= 127
							ext = binary.BigEndian.AppendUint64(nil, uint64(length))
						}
						wire := append([]byte{b0, b1}, ext...)
						h := Header{Fin: fin, RSV: rsv << 4, Opcode: op, Masked: true, Key: key, Length: length}
						checkHeaderWire(t, append(wire, key[:]...), h)

						wire[1] &^= 0x80
						h.Masked, h.Key = false, [4]byte{}
						checkHeaderWire(t, wire, h)
					}
				}
			}
		}
	}
}

// The examples of RFC 6455, section 5.7.
func TestHeaderExamples(t *testing.T) {
	hello := unhex("48 65 6c 6c 6f")
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for _, tt := range []struct {
		name    string
		wire    string // the header, then what the example shows of the payload
		h       Header
		payload []byte
	}{
		// FIN=1 opcode=0001 | MASK=0 length=0000101
		{"a single-frame unmasked text message", "81 05  48 65 6c 6c 6f",
			Header{Fin: true, Opcode: OpText, Length: 5}, hello},
		// FIN=1 opcode=0001 | MASK=1 length=0000101 | key
		{"a single-frame masked text message", "81 85 37 fa 21 3d  7f 9f 4d 51 58",
			Header{Fin: true, Opcode: OpText, Masked: true, Key: key, Length: 5}, hello},
		// FIN=0 opcode=0001 | MASK=0 length=0000011
		{"a fragmented unmasked text message, first", "01 03  48 65 6c",
			Header{Opcode: OpText, Length: 3}, hello[:3]},
		// FIN=1 opcode=0000 | MASK=0 length=0000010
		{"a fragmented unmasked text message, last", "80 02  6c 6f",
			Header{Fin: true, Opcode: OpContinuation, Length: 2}, hello[3:]},
		// FIN=1 opcode=1001 | MASK=0 length=0000101
		{"unmasked ping request", "89 05  48 65 6c 6c 6f",
			Header{Fin: true, Opcode: OpPing, Length: 5}, hello},
		// FIN=1 opcode=1010 | MASK=1 length=0000101 | key
		{"masked pong response", "8a 85 37 fa 21 3d  7f 9f 4d 51 58",
			Header{Fin: true, Opcode: OpPong, Masked: true, Key: key, Length: 5}, hello},
		// FIN=1 opcode=0010 | MASK=0 length=1111110 | 16 bits of length
		{"256 bytes binary message in a single unmasked frame", "82 7e 01 00",
			Header{Fin: true, Opcode: OpBinary, Length: 256}, nil},
		// FIN=1 opcode=0010 | MASK=0 length=1111111 | 64 bits of length
		{"64KiB binary message in a single unmasked frame", "82 7f 00 00 00 00 00 01 00 00",
			Header{Fin: true, Opcode: OpBinary, Length: 65536}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(tt.wire)
			n := len(wire) - len(tt.payload)
			checkHeaderWire(t, wire[:n], tt.h)
			Mask(wire[n:], tt.h.Key, 0)
			if !bytes.Equal(wire[n:], tt.payload) {
				t.Errorf("payload % x, want % x", wire[n:], tt.payload)
			}
		})
	}
}

// checkRefusal checks that wire, which ends with the byte that settles the
// matter, is refused, and that no beginning of it is taken for a header.
func checkRefusal(t *testing.T, wire []byte, section string) {
	t.Helper()
	_, n, want := ParseHeader(wire)
	if want == nil || n != 0 {
		t.Fatalf("% x: n = %d, err = %v; want a refusal", wire, n, want)
	}
	wantViolation(t, want, StatusProtocolError, section)
	_, n, err := ParseHeader(append(bytes.Clone(wire), 1, 2, 3, 4, 5, 6, 7, 8))
	if n != 0 || err == nil || err.Error() != want.Error() {
		t.Fatalf("% x with more behind it: n = %d, err = %v; want 0, %v", wire, n, err, want)
	}
	for cut := range wire {
		if _, n, err := ParseHeader(wire[:cut:cut]); n != 0 || err != nil && err.Error() != want.Error() {
			t.Fatalf("%d bytes of % x: n = %d, err = %v; want 0, nil or %v", cut, wire, n, err, want)
		}
	}
}

func TestHeaderRefusals(t *testing.T) {
	t.Run("reserved opcodes", func(t *testing.T) {
		for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
			for high := range byte(16) { // FIN and the reserved bits
				for _, b1 := range []byte{0, 1, 125, 126, 127, 128, 253, 254, 255} {
					checkRefusal(t, []byte{high<<4 | op, b1}, "5.2")
				}
			}
			if _, _, err := ParseHeader([]byte{0x80 | op, 0}); !strings.Contains(err.Error(), fmt.Sprintf("%#x", op)) {
				t.Errorf("the error does not name opcode %#x: %v", op, err)
			}
		}
	})
	t.Run("fragmented control frames", func(t *testing.T) {
		for _, op := range controlOpcodes {
			for rsv := range byte(8) {
				for b1 := range 256 {
					checkRefusal(t, []byte{rsv<<4 | byte(op), byte(b1)}, "5.5")
				}
			}
		}
	})
	t.Run("long control frames", func(t *testing.T) {
		for _, op := range controlOpcodes {
			for _, mask := range []byte{0, 0x80} {
				for _, ext := range []string{"00 7e", "00 00", "00 7d", "ff ff"} {
					checkRefusal(t, append([]byte{0x80 | byte(op), mask | 126}, unhex(ext)...), "5.5")
				}
				for _, ext := range []string{"00 00 00 00 00 00 00 7e", "00 00 00 00 00 01 00 00", "00 00 00 00 00 00 00 00", "80 00 00 00 00 00 00 00"} {
					checkRefusal(t, append([]byte{0x80 | byte(op), mask | 127}, unhex(ext)...), "5.5")
				}
			}
		}
	})
	// None of these gets as far as the masking key.
	t.Run("16 bits for what fits 7", func(t *testing.T) {
		for _, b1 := range []byte{126, 0x80 | 126} {
			for _, op := range dataOpcodes {
				for v := range uint16(126) {
					checkRefusal(t, binary.BigEndian.AppendUint16([]byte{0x80 | byte(op), b1}, v), "5.2")
				}
			}
		}
	})
	t.Run("64 bits for what fits 16", func(t *testing.T) {
		for v := range uint64(65536) {
			wire := binary.BigEndian.AppendUint64([]byte{0x82, 127 | byte(v&1)<<7}, v)
			if v < 200 || v > 65530 {
				checkRefusal(t, wire, "5.2")
			} else if _, n, err := ParseHeader(wire); n != 0 || err == nil {
				t.Fatalf("length %d in 64 bits: n = %d, err = %v", v, n, err)
			}
		}
	})
	// Taken for a signed number these are negative, and some are small once
	// they are cut to 32 bits.
	t.Run("lengths with the top bit", func(t *testing.T) {
		for _, v := range []uint64{
			1 << 63, 1<<63 + 1, 1<<63 + 125, 1<<63 + 126, 1<<63 + 65536, 1<<63 + 1<<31, 1<<63 + 1<<32,
			3 << 62, math.MaxUint64 - math.MaxUint32, math.MaxUint64 - 125, math.MaxUint64 - 1, math.MaxUint64,
		} {
			for _, b1 := range []byte{127, 0x80 | 127} {
				for _, op := range dataOpcodes {
					checkRefusal(t, binary.BigEndian.AppendUint64([]byte{0x80 | byte(op), b1}, v), "5.2")
				}
			}
		}
	})
}

// A header that was made by hand can hold more than the wire has room for.
func TestAppendHeaderMisuse(t *testing.T) {
	for _, tt := range []struct {
		h    Header
		want string
	}{
		{Header{Fin: true, Opcode: OpBinary, Length: -1}, "82 00"},
		{Header{Fin: true, Opcode: OpBinary, Length: -126}, "82 00"},
		{Header{Fin: true, Opcode: OpBinary, Length: math.MinInt64}, "82 00"},
		{Header{Fin: true, Opcode: OpBinary, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: -65536}, "82 80 01 02 03 04"},
		{Header{RSV: 0x8f, Opcode: OpText}, "01 00"},
		{Header{RSV: 0xff, Opcode: 0xf1}, "71 00"},
		{Header{Opcode: OpText, Key: [4]byte{1, 2, 3, 4}}, "01 00"},
	} {
		if got := tt.h.Append(nil); !bytes.Equal(got, unhex(tt.want)) {
			t.Errorf("%+v encodes to % x, want %s", tt.h, got, tt.want)
		}
	}
}

func TestOpcode(t *testing.T) {
	names := map[Opcode]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}
	for op := range Opcode(16) {
		want := names[op]
		if want == "" {
			want = fmt.Sprintf("reserved opcode %#x", uint8(op))
		}
		if got := op.String(); got != want {
			t.Errorf("opcode %d is called %q, want %q", uint8(op), got, want)
		}
		if got := op.IsControl(); got != (op >= 8) {
			t.Errorf("opcode %d: IsControl() = %v", uint8(op), got)
		}
	}
}

func TestHeaderAllocs(t *testing.T) {
	buf := make([]byte, 0, maxHeaderSize)
	h := Header{Fin: true, Opcode: OpBinary, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: 1 << 40}
	if n := testing.AllocsPerRun(100, func() {
		got, size, err := ParseHeader(h.Append(buf))
		if got != h || size != maxHeaderSize || err != nil {
			t.Fatalf("%+v, %d, %v", got, size, err)
		}
	}); n != 0 {
		t.Errorf("a header costs %v allocations", n)
	}
}

// bitReader takes a string of bits apart, most significant bit first.
type bitReader struct {
	b    []byte
	pos  int  // in bits
	over bool // more was asked for than there is
}

func (r *bitReader) take(bits int) (v uint64) {
	for range bits {
		if r.pos == 8*len(r.b) {
			r.over = true
			return 0
		}
		v = v<<1 | uint64(r.b[r.pos/8]>>(7-r.pos%8)&1)
		r.pos++
	}
	return v
}

// modelHeader is section 5.2 field by field. n is 0 unless a whole header is
// there, which is meaningless if the header is to be refused.
func modelHeader(b []byte) (h Header, n int, refuse bool) {
	r := &bitReader{b: b}
	h.Fin = r.take(1) == 1
	h.RSV = uint8(r.take(3)) * 16
	h.Opcode = Opcode(r.take(4))
	h.Masked = r.take(1) == 1
	length := r.take(7)
	if r.over {
		return h, 0, false
	}
	switch h.Opcode {
	case 0, 1, 2:
	case 8, 9, 10:
		if !h.Fin || length > 125 {
			return h, 0, true
		}
	default:
		return h, 0, true
	}
	minimum := uint64(0)
	if length == 126 {
		length, minimum = r.take(16), 126
	} else if length == 127 {
		if r.take(1) == 1 {
			// The top bit is enough to know, but a parser may wait for
			// the rest of the length.
			r.take(63)
			return h, 0, !r.over
		}
		length, minimum = r.take(63), 65536
	}
	if r.over {
		return h, 0, false
	}
	if length < minimum {
		return h, 0, true
	}
	h.Length = int64(length)
	if h.Masked {
		for i := range h.Key {
			h.Key[i] = byte(r.take(8))
		}
	}
	if r.over {
		return h, 0, false
	}
	return h, r.pos / 8, false
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{
		"", "81", "81 05", "81 85 37 fa 21 3d 7f", "82 7e 01 00", "82 7e 00 7d", "82 fe 01 00 01 02 03 04",
		"82 7f 00 00 00 00 00 01 00 00", "82 ff 7f ff ff ff ff ff ff ff 01 02 03 04", "82 7f ff ff ff ff ff ff ff ff",
		"88 7e 00 7e", "09 00", "83 00", "f1 00",
	} {
		f.Add(unhex(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseHeader(b)
		want, size, refuse := modelHeader(b)
		if n != size || (err != nil) != refuse {
			t.Fatalf("% x: n = %d, err = %v; want n = %d, refused = %v", b, n, err, size, refuse)
		}
		if n == 0 {
			return
		}
		if h != want {
			t.Fatalf("% x = %+v, want %+v", b, h, want)
		}
		if again := h.Append(nil); !bytes.Equal(again, b[:n]) {
			t.Fatalf("% x encodes again to % x", b[:n], again)
		}
	})
}
