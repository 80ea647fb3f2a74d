// Package utf8 checks UTF-8, also when it arrives in pieces.
package utf8

import (
	"encoding/binary"
	"unicode/utf8"
)

// Validator checks a text that arrives in pieces. Its zero value is ready for a new
// text. It fails at the first byte that makes the text invalid, whatever follows,
// even in the middle of a character.
type Validator struct{ state state }

// Write takes the next piece of the text and reports whether the text so far can
// still become valid. Once it has returned false it does so until Reset.
func (v *Validator) Write(p []byte) bool {
	switch {
	case len(p) >= bulkMin:
		v.state = bulk(v.state, p)
	case v.state != between || !shortASCII(p):
		v.state = v.state.run(p)
	}
	return v.state != refused
}

// Complete reports whether the text may end here, not inside a character.
func (v *Validator) Complete() bool { return v.state == between }

// Reset makes v ready for a new text.
func (v *Validator) Reset() { *v = Validator{} }

// Valid reports whether p is a valid text.
func Valid(p []byte) bool {
	if len(p) >= bulkMin {
		return bulk(between, p) == between
	}
	return shortASCII(p) || between.run(p) == between
}

// bulkMin is the length of the shortest piece for bulk, the platform's function for
// many bytes. Vectors need three bytes and then a block of 16.
const bulkMin = 3 + 16

// shortASCII reports whether p, of less than bulkMin bytes, is ASCII.
func shortASCII(p []byte) bool {
	switch n := len(p); {
	case n > 16:
		return (binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[8:])|
			binary.LittleEndian.Uint64(p[n-8:]))&0x8080808080808080 == 0
	case n >= 8:
		return (binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[n-8:]))&0x8080808080808080 == 0
	case n >= 4:
		return (binary.LittleEndian.Uint32(p)|binary.LittleEndian.Uint32(p[n-4:]))&0x80808080 == 0
	case n > 0:
		return p[0]|p[n/2]|p[n-1] < 0x80
	}
	return true
}

// generic is bulk where there are no vectors, for a piece of any length.
func generic(s state, p []byte) state {
	for s != between {
		if s == refused || len(p) == 0 {
			return s
		}
		s, p = s.run(p[:1]), p[1:]
	}
	n := len(p) - unfinished(p)
	if !utf8.Valid(p[:n]) {
		return refused
	}
	return s.run(p[n:])
}

// unfinished returns the number of bytes at the end of p that belong to an incomplete
// character, by the first byte of that character alone.
func unfinished(p []byte) int {
	for n := 1; n <= 3 && n <= len(p); n++ {
		switch c := p[len(p)-n]; {
		case c < 0x80:
			return 0
		case c < 0xC0:
			continue // a continuation byte: its first byte is further left
		case c < 0xE0 && n < 2, c >= 0xE0 && c < 0xF0 && n < 3, c >= 0xF0 && n < 4:
			return n
		default:
			return 0
		}
	}
	return 0
}
