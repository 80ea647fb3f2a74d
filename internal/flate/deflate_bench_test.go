package flate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"testing"
)

// sliceWriter appends what is written.
type sliceWriter []byte

func (w *sliceWriter) Write(p []byte) (int, error) {
	*w = append(*w, p...)
	return len(p), nil
}

type benchInput struct {
	name     string
	messages [][]byte
}

func benchInputs() []benchInput {
	return []benchInput{
		{"json-1KiB", jsonCorpus(1024, 512)},
		{"json-64KiB", [][]byte{bytes.Join(jsonCorpus(1024, 64), nil)}},
		{"text-64KiB", [][]byte{textCorpus(65536)}},
		{"random-64KiB", [][]byte{randomCorpus(65536, 1)}},
	}
}

// benchEncode runs encode, which appends to dst, with one message after the
// other.
func benchEncode(b *testing.B, messages [][]byte, encode func(dst, p []byte) []byte) {
	dst := make([]byte, 0, 80000)
	size := 0
	b.SetBytes(int64(len(messages[0])))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		dst = encode(dst[:0], messages[i%len(messages)])
		size += len(dst)
	}
	b.ReportMetric(float64(size)/float64(b.N), "B/msg")
}

func BenchmarkDeflate(b *testing.B) {
	for level := 1; level <= 9; level++ {
		for _, in := range benchInputs() {
			b.Run(fmt.Sprintf("level-%d/%s", level, in.name), func(b *testing.B) {
				e := NewEncoder(level, 15, false)
				benchEncode(b, in.messages, func(dst, p []byte) []byte { return e.Encode(dst, p, true) })
			})
		}
	}
}

func BenchmarkDeflateTakeover(b *testing.B) {
	for level := 1; level <= 9; level++ {
		for _, windowBits := range []int{9, 12, 15} {
			b.Run(fmt.Sprintf("level-%d/window-%d/json-1KiB", level, windowBits), func(b *testing.B) {
				e := NewEncoder(level, windowBits, true)
				benchEncode(b, benchInputs()[0].messages, func(dst, p []byte) []byte { return e.Encode(dst, p, true) })
			})
		}
	}
}

func BenchmarkDeflateShort(b *testing.B) {
	for _, takeover := range []bool{false, true} {
		for _, size := range []int{20, 100, 250} {
			b.Run(fmt.Sprintf("takeover-%v/text-%d", takeover, size), func(b *testing.B) {
				var messages [][]byte
				for p := textCorpus(100000); len(p) >= size; p = p[size:] {
					messages = append(messages, p[:size])
				}
				e := NewEncoder(DefaultLevel, 12, takeover)
				benchEncode(b, messages, func(dst, p []byte) []byte { return e.Encode(dst, p, true) })
			})
		}
	}
}

// turns are numbers of connections that send a message in turn: with takeover, the
// windows of 64 do not fit in a cache of level 2, those of 1,000 in none.
var turns = []int{1, 64, 1000}

func BenchmarkDeflateTurns(b *testing.B) {
	messages := jsonCorpus(1024, 256)
	dst := make([]byte, 0, 4096)
	for _, level := range []int{1, DefaultLevel, 7} {
		encoders := make([]*Encoder, turns[len(turns)-1])
		for i := range encoders {
			encoders[i] = NewEncoder(level, 15, true)
			for j := range 40 { // fill the window
				encoders[i].Encode(dst, messages[(i+j)%len(messages)], true)
			}
		}
		for _, n := range turns {
			b.Run(fmt.Sprintf("level-%d/connections-%d", level, n), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					encoders[i%n].Encode(dst, messages[(i+i/n)%len(messages)], true)
				}
			})
		}
	}
}

func BenchmarkInflateTurns(b *testing.B) {
	const count = 256
	enc := NewEncoder(DefaultLevel, 15, true)
	var payloads [][]byte
	for range 2 {
		for _, p := range jsonCorpus(1024, count) {
			payloads = append(payloads, enc.Encode(nil, p, true))
		}
	}
	dst := make([]byte, 0, 4096)
	// After as many messages the window is the same again, so that the later half of
	// the payloads can be repeated.
	decoders := make([]*Decoder, turns[len(turns)-1])
	next := make([]int, len(decoders))
	inflate := func(b *testing.B, i int) {
		if _, _, err := decoders[i].Decode(dst, 0, payloads[next[i]], true); err != nil {
			b.Fatal(err)
		}
		if next[i]++; next[i] == len(payloads) {
			next[i] = count
		}
	}
	for i := range decoders {
		decoders[i] = NewDecoder(15, true)
		for range count {
			inflate(b, i)
		}
	}
	for _, n := range turns {
		b.Run(fmt.Sprintf("connections-%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				inflate(b, i%n)
			}
		})
	}
}

// BenchmarkDeflateStandard is compress/flate.
func BenchmarkDeflateStandard(b *testing.B) {
	for _, level := range []int{1, 5, 6, 9} {
		for _, in := range benchInputs() {
			b.Run(fmt.Sprintf("level-%d/%s", level, in.name), func(b *testing.B) {
				z, err := flate.NewWriter(nil, level)
				if err != nil {
					b.Fatal(err)
				}
				benchEncode(b, in.messages, func(dst, p []byte) []byte {
					w := sliceWriter(dst)
					z.Reset(&w)
					z.Write(p)
					z.Flush()
					return w[:len(w)-4]
				})
			})
		}
	}
}
