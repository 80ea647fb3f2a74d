package flate

import (
	"bytes"
	"testing"
	"unsafe"
)

// An endless number of empty blocks, and one byte that becomes very many, cost
// no more than the room that is given.
func TestInflateBounded(t *testing.T) {
	zeros := make([]byte, 32<<20)
	bomb := newInflateDeflater(9).message(zeros)
	empty := bytes.Repeat(new(inflateBits).stored(0, "").fixed(1).end().align().b, 100_000)
	room := make([]byte, 1000)
	for _, takeover := range []bool{false, true} {
		d := NewDecoder(MaxWindowBits, takeover)
		d.Decode(room[:0], 0, inflateExample, true)
		for name, test := range map[string]struct {
			payload []byte
			size    int
		}{"bomb": {bomb, len(zeros)}, "empty blocks": {append(empty, 0), 0}} {
			size := 0
			allocs := testing.AllocsPerRun(1, func() {
				size = 0
				for rest := test.payload; ; {
					out, n, err := d.Decode(room[:0], 0, rest, true)
					if err != nil {
						t.Fatal(err)
					}
					rest, size = rest[n:], size+len(out)
					if len(out) < len(room) {
						break
					}
					d.Save(out, 0)
				}
			})
			// The working state and a window, if the pools are empty.
			if size != test.size || allocs > 4 {
				t.Errorf("%s: %d bytes, want %d, with %v allocations", name, size, test.size, allocs)
			}
		}
	}
}

// inflateExample is "Hello" of RFC 7692, section 7.2.3.1.
var inflateExample = []byte("\xf2\x48\xcd\xc9\xc9\x07\x00")

// The memory that a Decoder owns between messages.
func TestInflateState(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 48 {
		t.Errorf("a Decoder has %d bytes", size)
	}
	text := inflateCorpora(1000)["text"]
	payload := newInflateDeflater(6).message(text)
	for windowBits := MinWindowBits; windowBits <= MaxWindowBits; windowBits++ {
		for _, takeover := range []bool{false, true} {
			for _, f := range inflateFeeds(10) {
				d := NewDecoder(windowBits, takeover)
				if _, err := f.message(t, d, []byte{0}); err != nil || d.work != nil || d.window != nil {
					t.Fatalf("after an empty message: %+v, %v", d, err)
				}
				if _, err := f.message(t, d, inflateExample); err != nil {
					t.Fatal(err)
				}
				if d.work != nil || (d.window != nil) != takeover {
					t.Fatalf("after a message: %+v", d)
				}
				if takeover && cap(d.window.buf) != 1<<windowBits {
					t.Fatalf("a window of %d bits has %d bytes", windowBits, cap(d.window.buf))
				}
				_, err := f.message(t, d, append(bytes.Clone(payload), inflateTail...))
				if err == nil || d.work != nil || d.window != nil {
					t.Fatalf("after an error: %+v", d)
				}
				d.Init(windowBits, takeover)
				if _, err := f.message(t, d, inflateExample); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
