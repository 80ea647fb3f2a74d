package utf8

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// classes has a byte of each column of table 3-7 of the Unicode standard:
// those in between are like one of them.
var classes = []byte{0x41, 0x80, 0x90, 0xa0, 0xc1, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4, 0xf5}

// around holds valid text without and with characters of several bytes, to
// stand on both sides of what is tested.
var around = map[string]string{
	"ascii": strings.Repeat(".", 600),
	"mixed": strings.Repeat("é日🙂.", 60),
}

// Every sequence of classes is judged alike wherever it lies: in each place of
// a block, across two, and at the end of the text.
func TestEveryOffset(t *testing.T) {
	type sequence struct {
		bytes              []byte
		possible, complete bool
	}
	var sequences []sequence
	var grow func(seq []byte)
	grow = func(seq []byte) {
		for _, c := range classes {
			longer := append(bytes.Clone(seq), c)
			s := sequence{longer, canBecomeValid(longer), utf8.Valid(longer)}
			sequences = append(sequences, s)
			if len(longer) < 4 && (s.possible || len(longer) < 2) {
				grow(longer)
			}
		}
	}
	grow(nil)

	for name, text := range around {
		for before := range 100 {
			for !utf8.RuneStart(text[before]) {
				before--
			}
			buf := []byte(text[:before])
			for _, s := range sequences {
				end := append(buf, s.bytes...)
				for _, impl := range implementations {
					var v Validator
					if impl.write(&v, end) != s.possible || v.Complete() != s.complete {
						t.Fatalf("%s: % x after %d bytes of %s is misjudged", impl.name, s.bytes, before, name)
					}
				}
				for _, after := range []int{10, 150} {
					whole := append(end, text[len(text)-after:]...)
					for _, impl := range implementations {
						if impl.valid(whole) != s.complete {
							t.Fatalf("%s: % x after %d and before %d bytes of %s is misjudged", impl.name, s.bytes, before, after, name)
						}
					}
				}
			}
		}
	}
}

// In a text of ASCII one bad byte is found, however long the text is and
// wherever the byte is, and a good character is not taken for one.
func TestLonelyByte(t *testing.T) {
	for size := range 420 {
		if size > 150 && size%53 != 0 {
			continue
		}
		text := []byte(around["ascii"][:size])
		for i := range text {
			for _, impl := range implementations {
				if text[i] = 0x80; impl.valid(text) {
					t.Fatalf("%s: a bad byte at %d of %d is not found", impl.name, i, size)
				}
				if text[i] = 0xe0; impl.valid(text) {
					t.Fatalf("%s: a character begun at %d of %d is not found", impl.name, i, size)
				}
				if i > 0 {
					text[i-1], text[i] = 0xc3, 0xa9
					if !impl.valid(text) {
						t.Fatalf("%s: a character at %d of %d is refused", impl.name, i-1, size)
					}
					text[i-1] = '.'
				}
				text[i] = '.'
			}
			if text[i] = 0x80; Valid(text) {
				t.Fatalf("a bad byte at %d of %d is not found", i, size)
			}
			text[i] = '.'
		}
		if !Valid(text) {
			t.Fatalf("%d bytes of ASCII are refused", size)
		}
	}
}

// All sequences of up to three bytes are judged as unicode/utf8 judges them,
// and those of four of which the third is at the edge of a range.
// There is no going on from a beginning that is refused, though.
func TestAllSequences(t *testing.T) {
	edge := func(c byte) bool { return bytes.IndexByte(edges, c) >= 0 }
	for _, impl := range implementations {
		place := placer(t, impl)
		var grow func(seq []byte)
		grow = func(seq []byte) {
			for c := range 256 {
				longer := append(seq, byte(c))
				complete := place(longer)
				if !complete && (len(longer) < 3 || len(longer) == 3 && edge(byte(c))) && canBecomeValid(longer) {
					grow(longer)
				}
			}
		}
		grow(make([]byte, 0, 4))
	}
}

// All pairs of bytes are judged as unicode/utf8 judges them, also where
// nothing but the pair is wrong because of what follows.
func TestAllPairs(t *testing.T) {
	for _, impl := range implementations {
		place := placer(t, impl)
		for pair := range 1 << 16 {
			for _, tail := range []string{"", "\x80", "\xbf", "\x80\xbf", "\xbf\x80"} {
				place(append([]byte{byte(pair >> 8), byte(pair)}, tail...))
			}
		}
	}
}

// placer returns a function that puts a sequence into a text, each time in
// another place, and asks impl and unicode/utf8 about it.
func placer(t *testing.T, impl implementation) func(seq []byte) (valid bool) {
	const size = 150
	text := bytes.Repeat([]byte{'.'}, size)
	at := 0
	return func(seq []byte) bool {
		valid := utf8.Valid(seq)
		at = (at + 1) % (size - 3)
		copy(text[at:], seq)
		if impl.valid(text) != valid {
			t.Fatalf("%s: % x at %d is misjudged", impl.name, seq, at)
		}
		copy(text[at:], "....")
		return valid
	}
}

// randomText returns up to size bytes of valid text: runs of characters of
// one length, as texts have them.
func randomText(r *rand.Rand, size int) []byte {
	var p []byte
	for {
		limit := []rune{0x80, 0x800, 0x10000, 0x110000}[r.IntN(4)]
		for range r.IntN(40) {
			c := r.Int32N(limit)
			if c >= 0xd800 && c < 0xe000 {
				c -= 0x800
			}
			if len(p)+utf8.RuneLen(c) > size {
				return p
			}
			p = utf8.AppendRune(p, c)
		}
	}
}

// One byte of a valid text is changed, or none, and the text comes in pieces.
func TestMutations(t *testing.T) {
	r := rand.New(rand.NewPCG(3629, 7))
	for range 4000 {
		text := randomText(r, r.IntN(500))
		if len(text) > 0 && r.IntN(4) > 0 {
			i := r.IntN(len(text))
			switch r.IntN(3) {
			case 0:
				text[i] = byte(r.Uint32())
			case 1:
				text[i] ^= 1 << r.IntN(8)
			case 2:
				text = append(text[:i], text[i+1:]...)
			}
		}
		var cuts []int
		for range r.IntN(4) {
			cuts = append(cuts, r.IntN(len(text)+1))
		}
		slices.Sort(cuts)
		check(t, text, cuts...)
	}
}

// The bytes around a text in memory do not matter. The bytes put there would change
// the result of each text if they were read as part of it.
func TestCanaries(t *testing.T) {
	text := around["mixed"]
	for _, canary := range []byte{0x00, 0x80, 0xf0, 0xff} {
		buf := bytes.Repeat([]byte{canary}, 600)
		for size := range 450 {
			for !utf8.RuneStart(text[size]) {
				size--
			}
			for _, end := range []string{"", "\xf0\x9f\x99", "\xe6\x97", "\xc3"} {
				start := 64 + size%64
				p := append(append(buf[start:start], text[:size]...), end...)
				for _, impl := range implementations {
					var v Validator
					if !impl.write(&v, p) || v.Complete() != (end == "") {
						t.Fatalf("%s: %d bytes with % x behind and %x around them are misjudged", impl.name, size, end, canary)
					}
				}
				for i := range p {
					p[i] = canary
				}
			}
		}
	}
}
