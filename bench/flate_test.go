package bench

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	ours "github.com/fullduplex-go/websocket/internal/flate"
	klauspost "github.com/klauspost/compress/flate"
)

// prose makes count texts of size bytes, of words that are made up: some
// frequent, most rare.
func prose(size, count int) [][]byte {
	rnd := rand.New(rand.NewPCG(19, 51))
	words := make([]string, 3000)
	for i := range words {
		for range 1 + rnd.IntN(3) + i*2/len(words) {
			words[i] += string("bcdfghklmnprstvw"[rnd.IntN(16)]) + string("aeiou"[rnd.IntN(5)]) + []string{"", "", "n", "r", "s", "t"}[rnd.IntN(6)]
		}
	}
	texts := make([][]byte, count)
	for i := range texts {
		var b []byte
		for len(b) < size {
			x := rnd.Float64()
			b = append(b, words[int(x*x*x*float64(len(words)))]...)
			b = append(b, []string{" ", " ", " ", " ", " ", " ", ", ", ".\n"}[rnd.IntN(8)]...)
		}
		texts[i] = b[:size]
	}
	return texts
}

// flateData are messages to be compressed. There are many of each, or else the
// processor would know by heart what comes next.
var flateData = []struct {
	name     string
	messages [][]byte
}{
	{"json-1Ki", load.JSONMessages(1<<10, 256)}, // those of cmd/compare
	{"json-64Ki", load.JSONMessages(64<<10, 16)},
	{"text-64Ki", prose(64<<10, 16)},
}

// flateLevels: the default is 5 with us and klauspost, 6 with compress/flate.
var flateLevels = []struct {
	name  string
	level int
}{
	{"1", 1}, {"default", flate.DefaultCompression}, {"9", 9},
}

// A deflater compresses whole messages, none of which refers to another, and
// appends them to dst without the tail 00 00 ff ff.
type deflater struct {
	lib string
	new func(level int) func(dst, p []byte) []byte
}

// flushWriter has the methods of the Writers of compress/flate and of klauspost's.
type flushWriter interface {
	io.Writer
	Flush() error
	Reset(io.Writer)
}

// reusing is one writer for all messages, as the peers have in their pools.
func reusing(w flushWriter, err error) func(dst, p []byte) []byte {
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	return func(dst, p []byte) []byte {
		out = *bytes.NewBuffer(dst)
		w.Reset(&out)
		w.Write(p)
		w.Flush()
		return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
	}
}

// deflaters: gorilla, coder and gobwas use compress/flate, gws and nbio
// klauspost's.
var deflaters = []deflater{
	{"ours", func(level int) func(dst, p []byte) []byte {
		if level == flate.DefaultCompression {
			level = ours.DefaultLevel
		}
		e := ours.NewEncoder(level, ours.MaxWindowBits, false)
		return func(dst, p []byte) []byte { return e.Encode(dst, p, true) }
	}},
	{"compress", func(level int) func(dst, p []byte) []byte { return reusing(flate.NewWriter(nil, level)) }},
	{"klauspost", func(level int) func(dst, p []byte) []byte { return reusing(klauspost.NewWriter(nil, level)) }},
}

// flateEnd is the tail of a message, and a last block so that a reader finds an
// end.
const flateEnd = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// An inflater appends a message to dst, which has room for it. The payload has
// flateEnd behind it, which is not ours to read.
type inflater struct {
	lib string
	new func() func(dst, payload []byte) ([]byte, error)
}

// resetting is one reader for all messages. It reads from a bytes.Reader, which
// both libraries can do without a buffer between.
func resetting(r io.ReadCloser) func(dst, payload []byte) ([]byte, error) {
	var in bytes.Reader
	return func(dst, payload []byte) ([]byte, error) {
		in.Reset(payload)
		if err := r.(flate.Resetter).Reset(&in, nil); err != nil {
			return dst, err
		}
		for {
			n, err := r.Read(dst[len(dst):cap(dst)])
			dst = dst[:len(dst)+n]
			if err == io.EOF {
				return dst, nil
			}
			if err != nil {
				return dst, err
			}
		}
	}
}

var inflaters = []inflater{
	{"ours", func() func(dst, payload []byte) ([]byte, error) {
		d := ours.NewDecoder(ours.MaxWindowBits, false)
		return func(dst, payload []byte) ([]byte, error) {
			dst, _, err := d.Decode(dst, 0, payload[:len(payload)-len(flateEnd)], true)
			return dst, err
		}
	}},
	{"compress", func() func(dst, payload []byte) ([]byte, error) { return resetting(flate.NewReader(new(bytes.Reader))) }},
	{"klauspost", func() func(dst, payload []byte) ([]byte, error) {
		return resetting(klauspost.NewReader(new(bytes.Reader)))
	}},
}

// TestFlate: everybody understands everybody, and compresses what is to be
// compressed.
func TestFlate(t *testing.T) {
	for _, data := range flateData {
		for _, level := range flateLevels {
			for _, z := range deflaters {
				deflate := z.new(level.level)
				for i, message := range data.messages[:3] {
					payload := append(deflate(nil, message), flateEnd...)
					if len(payload) > len(message)*2/3 {
						t.Errorf("%s, level %s, message %d of %s: %d bytes", z.lib, level.name, i, data.name, len(payload))
					}
					for _, u := range inflaters {
						got, err := u.new()(make([]byte, 0, len(message)+1), payload)
						if err != nil || !bytes.Equal(got, message) {
							t.Errorf("%s reads message %d of %s, level %s of %s: %d bytes, %v", u.lib, i, data.name, level.name, z.lib, len(got), err)
						}
					}
				}
			}
		}
	}
}

// BenchmarkInflate: an operation inflates a message that compress/flate has
// made at its default level.
func BenchmarkInflate(b *testing.B) {
	for _, data := range flateData {
		deflate := reusing(flate.NewWriter(nil, flate.DefaultCompression))
		payloads := make([][]byte, len(data.messages))
		for i, message := range data.messages {
			payloads[i] = append(deflate(nil, message), flateEnd...)
		}
		size := len(data.messages[0])
		out := make([]byte, 0, size+1)
		for _, u := range inflaters {
			b.Run(fmt.Sprintf("data=%s/lib=%s", data.name, u.lib), func(b *testing.B) {
				inflate := u.new()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if got, err := inflate(out, payloads[i%len(payloads)]); len(got) != size || err != nil {
						b.Fatal(len(got), err)
					}
				}
			})
		}
	}
}

// BenchmarkDeflate: an operation compresses a message; B/msg is the compressed size,
// of the same messages for all.
func BenchmarkDeflate(b *testing.B) {
	for _, data := range flateData {
		for _, level := range flateLevels {
			for _, z := range deflaters {
				b.Run(fmt.Sprintf("data=%s/level=%s/lib=%s", data.name, level.name, z.lib), func(b *testing.B) {
					deflate := z.new(level.level)
					out := make([]byte, 0, 96<<10)
					total := 0
					for _, message := range data.messages {
						total += len(deflate(out, message))
					}
					b.SetBytes(int64(len(data.messages[0])))
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						deflate(out, data.messages[i%len(data.messages)])
					}
					b.ReportMetric(float64(total)/float64(len(data.messages)), "B/msg")
				})
			}
		}
	}
}
