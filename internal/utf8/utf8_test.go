package utf8

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// canBecomeValid is the slow oracle: some valid text begins with p.
func canBecomeValid(p []byte) bool {
	for len(p) > 0 && utf8.FullRune(p) {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n <= 1 {
			return false
		}
		p = p[n:]
	}
	if len(p) == 0 {
		return true
	}
	// FullRune takes what can no longer become valid for full, so that
	// anything left here is a true beginning.
	return true
}

func check(t *testing.T, text []byte, cuts ...int) {
	t.Helper()
	var v Validator
	done := 0
	for _, cut := range append(cuts, len(text)) {
		ok := v.Write(text[done:cut])
		if want := canBecomeValid(text[:cut]); ok != want {
			t.Fatalf("% x cut at %v: Write up to %d = %v, want %v", text, cuts, cut, ok, want)
		}
		if !ok {
			return
		}
		if c, want := v.Complete(), utf8.Valid(text[:cut]); c != want {
			t.Fatalf("% x cut at %v: Complete at %d = %v, want %v", text, cuts, cut, c, want)
		}
		done = cut
	}
}

func TestEverySequence(t *testing.T) {
	edge := []byte{0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff}
	for _, a := range edge {
		for _, b := range edge {
			check(t, []byte{a, b})
			check(t, []byte{a, b}, 1)
			for _, c := range edge {
				for _, d := range edge {
					text := []byte{a, b, c, d}
					check(t, text)
					check(t, text, 1, 2, 3)
					check(t, text, 2)
				}
			}
		}
	}
}

func TestEveryCut(t *testing.T) {
	text := []byte("plain ASCII, Zürich, Ελλάδα, 日本語テキスト, 🙂👩‍👩‍👧‍👦, and the end of it all")
	for i := range text {
		for j := i; j <= len(text); j++ {
			check(t, text, i, j)
		}
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] = 0xff
		for cut := range text {
			check(t, bad, cut)
		}
	}
}

func TestReset(t *testing.T) {
	var v Validator
	v.Write([]byte{0xe2})
	v.Reset()
	if !v.Complete() || !v.Write([]byte("a")) {
		t.Error("a reset Validator remembers")
	}
}

func FuzzValidator(f *testing.F) {
	f.Add([]byte("Zürich 🙂"), 3, 8)
	f.Add([]byte{0xed, 0xa0, 0x80}, 1, 2)
	f.Fuzz(func(t *testing.T, text []byte, i, j int) {
		i = min(max(i, 0), len(text))
		j = min(max(j, i), len(text))
		check(t, text, i, j)
	})
}
