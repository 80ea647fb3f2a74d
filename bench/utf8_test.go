package bench

import (
	"fmt"
	"strings"
	"testing"
	unicode "unicode/utf8"

	"github.com/fullduplex-go/websocket/internal/utf8"
)

// texts are sentences, to be repeated, of characters of one, of one and two,
// of three, and of four bytes.
var texts = []struct{ name, text string }{
	{"ascii", "The quick brown fox jumps over the lazy dog. "},
	{"latin", "Größe, Maß und Übermut: où est l'été à Málaga? "},
	{"cjk", "天地玄黄宇宙洪荒日月盈昃辰宿列张"},
	{"emoji", "😀🚀🎉🐘🌍🍕🎸🧩🦊🪐"},
}

// sample returns whole characters of text, n bytes or a few less, filled up
// with ASCII.
func sample(text string, n int) []byte {
	s := strings.Repeat(text, n/len(text)+1)[:n]
	for !unicode.ValidString(s) {
		s = s[:len(s)-1]
	}
	return []byte(s + strings.Repeat(".", n-len(s)))
}

var (
	textSizes = []int{125, 1 << 10, 64 << 10}
	scratch   = make([]byte, 64<<10)

	// validators: gorilla, gws and nbio use unicode/utf8 itself, coder does
	// not check, and gobwas validates what is read through a reader, which
	// is measured in BenchmarkRead. memcpy is there to compare with.
	validators = []struct {
		lib   string
		valid func([]byte) bool
	}{
		{"ours", func(p []byte) bool {
			var v utf8.Validator
			return v.Write(p) && v.Complete()
		}},
		{"unicode", unicode.Valid},
		{"memcpy", func(p []byte) bool { return copy(scratch, p) == len(p) }},
	}
)

// TestUTF8: the validators take the samples, and notice a bad last byte.
func TestUTF8(t *testing.T) {
	for _, text := range texts {
		for _, size := range textSizes {
			good := sample(text.text, size)
			bad := append(good[:size-1:size-1], 0xff)
			if len(good) != size || !unicode.Valid(good) {
				t.Fatalf("the sample of %s is not one", text.name)
			}
			for _, v := range validators {
				if !v.valid(good) {
					t.Errorf("%s refuses %d bytes of %s", v.lib, size, text.name)
				}
				if v.lib != "memcpy" && v.valid(bad) {
					t.Errorf("%s accepts a bad byte behind %s", v.lib, text.name)
				}
			}
		}
	}
}

// BenchmarkUTF8: an operation checks a text that came in one piece.
func BenchmarkUTF8(b *testing.B) {
	for _, text := range texts {
		for _, size := range textSizes {
			for _, v := range validators {
				b.Run(fmt.Sprintf("text=%s/size=%d/lib=%s", text.name, size, v.lib), func(b *testing.B) {
					p := sample(text.text, size)
					b.SetBytes(int64(size))
					for b.Loop() {
						if !v.valid(p) {
							b.Fatal("not valid")
						}
					}
				})
			}
		}
	}
}
