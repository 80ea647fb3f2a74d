package flate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
	"testing"
)

var inflateBenchmarks = []struct {
	name, kind string
	size       int
}{
	{"json-1KiB", "json", 1 << 10},
	{"text-1KiB", "text", 1 << 10},
	{"json-64KiB", "json", 64 << 10},
	{"text-64KiB", "text", 64 << 10},
	{"html-64KiB", "html", 64 << 10},
	{"binary-64KiB", "binary", 64 << 10},
	{"random-64KiB", "random", 64 << 10},
	{"zeros-64KiB", "zeros", 64 << 10},
}

// benchmarkInflate has messages inflated in turn. They differ, or else the
// processor would know by heart what comes next.
func benchmarkInflate(b *testing.B, takeover bool, inflate func(payload, out []byte) (int, error)) {
	for _, bench := range inflateBenchmarks {
		b.Run(bench.name, func(b *testing.B) {
			const messages = 32
			data := inflateCorpora(messages * bench.size)[bench.kind]
			deflater := newInflateDeflater(6)
			var payloads [messages][]byte
			for i := range payloads {
				payloads[i] = deflater.message(data[i*bench.size : (i+1)*bench.size])
				if !takeover {
					deflater = newInflateDeflater(6)
				}
			}
			out := make([]byte, bench.size+1024)
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				// With takeover the first one makes sense behind the last
				// one, too, though not the same.
				if n, err := inflate(payloads[i%messages], out); n != bench.size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkInflate(b *testing.B) {
	d := NewDecoder(MaxWindowBits, false)
	benchmarkInflate(b, false, func(payload, out []byte) (int, error) {
		out, _, err := d.Decode(out[:0], 0, payload, true)
		return len(out), err
	})
}

func BenchmarkInflateTakeover(b *testing.B) {
	d := NewDecoder(MaxWindowBits, true)
	benchmarkInflate(b, true, func(payload, out []byte) (int, error) {
		out, _, err := d.Decode(out[:0], 0, payload, true)
		return len(out), err
	})
}

// BenchmarkStandard is compress/flate, to compare with.
func BenchmarkStandard(b *testing.B) {
	// A last block, so that it ends without an error.
	var ends, in bytes.Reader
	end := []byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")
	source := bufio.NewReader(nil)
	r := flate.NewReader(source)
	benchmarkInflate(b, false, func(payload, out []byte) (int, error) {
		in.Reset(payload)
		ends.Reset(end)
		source.Reset(io.MultiReader(&in, &ends))
		r.(flate.Resetter).Reset(source, nil)
		n, err := io.ReadFull(r, out)
		if err == io.ErrUnexpectedEOF { // out is larger than the message
			err = nil
		}
		return n, err
	})
}
