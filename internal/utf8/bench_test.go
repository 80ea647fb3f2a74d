package utf8

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// benchTexts are written as people write them, except that the emoji have
// nothing between them.
var benchTexts = []struct{ name, text string }{
	{"ascii", "The quick brown fox jumps over the lazy dog, and nobody asks why. "},
	{"latin", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Où est passé le garçon ? "},
	{"cyrillic", "Съешь же ещё этих мягких французских булок, да выпей чаю. "},
	{"cjk", "いろはにほへと散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて浅き夢見じ酔ひもせず。"},
	{"emoji", "🙂🚀🌍🎉🐙🍋🧭🪁🦊🥨"},
}

// benchText returns size bytes of the text, which end with dots if they would
// otherwise end inside a character.
func benchText(text string, size int) []byte {
	p := []byte(strings.Repeat(text, size/len(text)+1))[:size]
	for i := size - 1; !utf8.Valid(p); i-- {
		p[i] = '.'
	}
	return p
}

func benchmark(b *testing.B, valid func(p []byte) bool) {
	for _, text := range benchTexts {
		for _, size := range []int{5, 16, 64, 125, 1 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("text=%s/size=%d", text.name, size), func(b *testing.B) {
				p := benchText(text.text, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if !valid(p) {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}

func BenchmarkValid(b *testing.B) { benchmark(b, Valid) }

func BenchmarkValidator(b *testing.B) {
	var v Validator
	benchmark(b, func(p []byte) bool { return v.Write(p) && v.Complete() })
}

// BenchmarkUnicode is the standard library's unicode/utf8, to compare with.
func BenchmarkUnicode(b *testing.B) { benchmark(b, utf8.Valid) }
