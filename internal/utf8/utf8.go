// Package utf8 checks UTF-8 that arrives in pieces.
package utf8

import "unicode/utf8"

// Validator checks a text of which only a part is there yet. Its zero value
// is ready for a new text. It fails at the first byte after which no valid
// text can follow, even in the middle of a character.
type Validator struct {
	need   uint8 // bytes missing of the character under way
	lo, hi uint8 // the range that the next of them must be in
}

// Write takes the next piece of the text and reports whether all that was
// written can still become valid. After it returned false the Validator must
// be Reset.
func (v *Validator) Write(p []byte) bool {
	for v.need > 0 {
		if len(p) == 0 {
			return true
		}
		if !v.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	n := len(p) - unfinished(p)
	if !utf8.Valid(p[:n]) {
		return false
	}
	for _, c := range p[n:] {
		if !v.step(c) {
			return false
		}
	}
	return true
}

// Complete reports whether the text may end here: not inside a character.
func (v *Validator) Complete() bool { return v.need == 0 }

// Reset makes v ready for a new text.
func (v *Validator) Reset() { *v = Validator{} }

// step takes one byte, by the table of well-formed sequences in the Unicode
// standard (table 3-7): only the byte behind the first has a range of its own.
func (v *Validator) step(c byte) bool {
	if v.need > 0 {
		if c < v.lo || c > v.hi {
			return false
		}
		v.need, v.lo, v.hi = v.need-1, 0x80, 0xBF
		return true
	}
	v.lo, v.hi = 0x80, 0xBF
	switch {
	case c < 0x80:
	case c < 0xC2:
		return false
	case c < 0xE0:
		v.need = 1
	case c < 0xF0:
		v.need = 2
		switch c {
		case 0xE0:
			v.lo = 0xA0 // no overlong forms
		case 0xED:
			v.hi = 0x9F // no surrogates
		}
	case c < 0xF5:
		v.need = 3
		switch c {
		case 0xF0:
			v.lo = 0x90 // no overlong forms
		case 0xF4:
			v.hi = 0x8F // nothing above U+10FFFF
		}
	default:
		return false
	}
	return true
}

// unfinished returns how many bytes at the end of p begin a character whose
// rest is not in p, judging by its first byte alone.
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

// Valid reports whether p is UTF-8.
func Valid(p []byte) bool { return utf8.Valid(p) }
