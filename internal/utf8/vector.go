//go:build (amd64 || arm64) && !purego

package utf8

// bulk returns the state that p leads to from s.
func bulk(s state, p []byte) state {
	if !hasVector {
		return generic(s, p)
	}
	// The bytes that may follow p's first three do not depend on those before p.
	if s != between || p[0]|p[1]|p[2] >= 0x80 {
		s = s.run(p[:3])
	}
	if s == refused || !follows(p) {
		return refused
	}
	// Everything so far is valid, so the last three bytes show whether and where
	// an incomplete character begins.
	switch n := len(p); {
	case p[n-1] >= 0xC0:
		return between.run(p[n-1:])
	case p[n-2] >= 0xE0:
		return between.run(p[n-2:])
	case p[n-3] >= 0xF0:
		return between.run(p[n-3:])
	}
	return between
}

// Errors in pairs of bytes, by the table of well-formed sequences in
// the Unicode standard (table 3-7). The method is that of Keiser and Lemire,
// "Validating UTF-8 in less than one instruction per byte": a pair of bytes
// shows an error if its bit is set in all three tables below, which the high
// half of the first byte, its low half and the high half of the second byte
// look up.
const (
	tooShort  = 1 << iota // a first byte, and no continuation byte
	tooLong               // ASCII, and a continuation byte
	overlong2             // C0 or C1, and a continuation byte
	overlong3             // E0, and 80..9F
	surrogate             // ED, and A0..BF
	outside8              // F0 (overlong) or F5..FF (over U+10FFFF), and 80..8F
	outside9              // F4..FF (over U+10FFFF), and 90..BF

	// Two continuation bytes are an error, except where a character of three or
	// four bytes began two or three bytes earlier.
	twoMore

	anyLow = tooShort | tooLong | twoMore // for any low half
)

// pairs is read by the assembly.
//
//lint:ignore U1000 for that reason
var pairs = [3][16]uint8{
	{ // by the high half of the first byte
		0x0: tooLong, 0x1: tooLong, 0x2: tooLong, 0x3: tooLong,
		0x4: tooLong, 0x5: tooLong, 0x6: tooLong, 0x7: tooLong,
		0x8: twoMore, 0x9: twoMore, 0xA: twoMore, 0xB: twoMore,
		0xC: tooShort | overlong2,
		0xD: tooShort,
		0xE: tooShort | overlong3 | surrogate,
		0xF: tooShort | outside8 | outside9,
	},
	{ // by the low half of the first byte
		0x0: anyLow | overlong2 | overlong3 | outside8,
		0x1: anyLow | overlong2,
		0x2: anyLow,
		0x3: anyLow,
		0x4: anyLow | outside9,
		0x5: anyLow | outside8 | outside9,
		0x6: anyLow | outside8 | outside9,
		0x7: anyLow | outside8 | outside9,
		0x8: anyLow | outside8 | outside9,
		0x9: anyLow | outside8 | outside9,
		0xA: anyLow | outside8 | outside9,
		0xB: anyLow | outside8 | outside9,
		0xC: anyLow | outside8 | outside9,
		0xD: anyLow | outside8 | outside9 | surrogate,
		0xE: anyLow | outside8 | outside9,
		0xF: anyLow | outside8 | outside9,
	},
	{ // by the high half of the second byte
		0x0: tooShort, 0x1: tooShort, 0x2: tooShort, 0x3: tooShort,
		0x4: tooShort, 0x5: tooShort, 0x6: tooShort, 0x7: tooShort,
		0x8: tooLong | twoMore | overlong2 | overlong3 | outside8,
		0x9: tooLong | twoMore | overlong2 | overlong3 | outside9,
		0xA: tooLong | twoMore | overlong2 | surrogate | outside9,
		0xB: tooLong | twoMore | overlong2 | surrogate | outside9,
		0xC: tooShort, 0xD: tooShort, 0xE: tooShort, 0xF: tooShort,
	},
}
