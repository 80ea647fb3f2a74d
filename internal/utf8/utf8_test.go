package utf8

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// canBecomeValid is the slow oracle, which takes the promise at its word:
// some valid text begins with p. It is enough to look at completions of the
// last character, which lacks three bytes at most. The range that its next
// byte must be in begins at 0x80 or ends at 0xBF, or both.
func canBecomeValid(p []byte) bool {
	for _, rest := range []string{"", "\x80", "\xbf", "\x80\x80", "\xbf\x80", "\x80\x80\x80", "\xbf\x80\x80"} {
		if utf8.Valid(append(p[:len(p):len(p)], rest...)) {
			return true
		}
	}
	return false
}

// implementation is one way to do the work: Validator.Write, or what it
// would do on another machine.
type implementation struct {
	name  string
	write func(v *Validator, p []byte) bool
}

var implementations = []implementation{
	{"chosen", (*Validator).Write},
	{"generic", func(v *Validator, p []byte) bool {
		v.state = generic(v.state, p)
		return v.state != refused
	}},
}

func (i implementation) valid(p []byte) bool {
	var v Validator
	return i.write(&v, p) && v.Complete()
}

// check writes text in pieces that end at cuts and asks the oracle behind
// each of them.
func check(t *testing.T, text []byte, cuts ...int) {
	t.Helper()
	cuts = append(cuts, len(text))
	var vs [8]Validator
	done := 0
	for _, cut := range cuts {
		possible, complete := canBecomeValid(text[:cut]), utf8.Valid(text[:cut])
		for i, impl := range implementations {
			if ok := impl.write(&vs[i], text[done:cut]); ok != possible {
				t.Fatalf("%s: % x cut at %v: Write up to %d = %v, want %v", impl.name, text, cuts, cut, ok, possible)
			}
			if c := vs[i].Complete(); c != complete {
				t.Fatalf("%s: % x cut at %v: Complete at %d = %v, want %v", impl.name, text, cuts, cut, c, complete)
			}
		}
		if !possible {
			break
		}
		done = cut
	}
	if got, want := Valid(text), utf8.Valid(text); got != want {
		t.Fatalf("Valid(% x) = %v, want %v", text, got, want)
	}
}

// edges are the bytes at which a range of table 3-7 of the Unicode standard
// begins or ends.
var edges = []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}

// The verdict on a sequence depends on every byte before it, so that there
// is no need to go on from a beginning that is refused.
func TestEverySequence(t *testing.T) {
	var grow func(text []byte, next []byte)
	grow = func(text []byte, next []byte) {
		for _, c := range next {
			longer := append(text, c)
			check(t, longer)
			check(t, longer, len(text))
			if n := len(longer); n > 2 {
				check(t, longer, 1)
				check(t, longer, 1, 2, n-1)
			}
			if len(longer) < 4 && canBecomeValid(longer) {
				grow(longer, []byte{0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff})
			}
		}
	}
	grow(make([]byte, 0, 8), edges)

	for a := range 256 {
		for b := range 256 {
			check(t, []byte{byte(a), byte(b)}, 1)
		}
	}
}

// A bad byte is found at once, wherever it is and whatever the piece that
// brings it looks like.
func TestEveryRefusal(t *testing.T) {
	for _, a := range edges {
		for _, b := range edges {
			for _, c := range edges {
				text := []byte{a, b, c}
				check(t, text)
				check(t, text, 0, 1, 1, 2)
				check(t, append([]byte("some more text, then "), text...))
				check(t, append(text, " and more behind it"...), 2)
			}
		}
	}
}

// Every character that there is passes, cut anywhere, and no surrogate does.
func TestEveryRune(t *testing.T) {
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if r > 0xffff && r&0x3ff > 0x41 && r&0x3ff < 0x3be {
			continue // like its neighbours
		}
		var buf [4]byte
		p := buf[:utf8.EncodeRune(buf[:], r)]
		if r >= 0xd800 && r <= 0xdfff {
			p = []byte{0xe0 | byte(r>>12), 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f)}
			var v Validator
			if !v.Write(p[:1]) || v.Write(p[1:2]) {
				t.Fatalf("surrogate %#x is not refused at its second byte", r)
			}
			continue
		}
		for cut := 1; cut < len(p); cut++ {
			var v Validator
			if !v.Write(p[:cut]) || v.Complete() || !v.Write(p[cut:]) || !v.Complete() {
				t.Fatalf("%#x = % x is refused when cut at %d", r, p, cut)
			}
		}
	}
}

func TestEveryCut(t *testing.T) {
	text := []byte("plain ASCII, Zürich, 日本語, 🙂👩‍👩, and the end")
	for i := range text {
		for j := i; j <= len(text); j++ {
			check(t, text, i, j)
		}
	}
	for i := range text {
		for _, c := range []byte{0xff, 0x80} {
			bad := bytes.Clone(text)
			bad[i] = c
			for cut := range text {
				check(t, bad, cut)
			}
		}
	}
}

func TestReset(t *testing.T) {
	var v Validator
	for _, start := range []string{"\xe2", "\xf0\x9f\x99", "\xff", "\xed\xa0", ""} {
		v.Write([]byte(start))
		v.Reset()
		if v != (Validator{}) || !v.Complete() || !v.Write([]byte("aü")) || !v.Complete() {
			t.Errorf("a reset Validator remembers %q", start)
		}
	}
}

func TestRefusalStays(t *testing.T) {
	for _, impl := range implementations {
		for _, rest := range []int{0, 1, 10, 30, 200} {
			var v Validator
			if impl.write(&v, []byte("\xe6\x97.")) || impl.write(&v, []byte(around["ascii"][:rest])) || v.Complete() {
				t.Errorf("%s: the refusal is forgotten over %d bytes", impl.name, rest)
			}
		}
	}
}

func TestAllocs(t *testing.T) {
	var v Validator
	text := []byte(strings.Repeat("Zürich 🙂 ", 100))
	if n := testing.AllocsPerRun(100, func() {
		for cut := range 20 {
			if !v.Write(text[:cut]) || !v.Write(text[cut:]) || !v.Complete() || !Valid(text) {
				t.Fatalf("refused when cut at %d", cut)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzValidator(f *testing.F) {
	f.Add([]byte("Zürich 🙂"), 3, 8, uint8(0))
	f.Add([]byte{0xed, 0xa0, 0x80}, 1, 2, uint8(40))
	f.Add([]byte{'a', 0xf0, 0x9f, 0x99, 0x82, 0xf4, 0x8f}, 2, 6, uint8(129))
	f.Fuzz(func(t *testing.T, text []byte, i, j int, before uint8) {
		text = append(bytes.Repeat([]byte{'.'}, int(before)), text...)
		i = min(max(i, 0), len(text))
		j = min(max(j, i), len(text))
		check(t, text, i, j)
	})
}
