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
				if takeover && cap(d.window.buf) != 1<<MinWindowBits {
					t.Fatalf("a window of %d bits has %d bytes after a short message", windowBits, cap(d.window.buf))
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

// Memory grows with what is sent and received, up to the window.
func TestMemoryGrows(t *testing.T) {
	e, d := NewEncoder(DefaultLevel, 15, true), NewDecoder(15, true)
	sent := 0
	for i, p := range cut(textCorpus(80000), 500) {
		out, _, err := d.Decode(make([]byte, 0, 501), 0, e.Encode(nil, p, true), true)
		if err != nil || !bytes.Equal(out, p) {
			t.Fatalf("message %d: %d bytes, %v", i, len(out), err)
		}
		sent += len(p)
		if got, most := len(e.history.buf), min(2*sent, bufSize(15)); got > most {
			t.Fatalf("an encoder has %d bytes for %d that were sent", got, sent)
		}
		if got, most := len(d.window.buf), min(2*sent, 1<<15); got > most {
			t.Fatalf("a decoder has %d bytes for %d that were received", got, sent)
		}
	}
	if len(e.history.buf) != bufSize(15) || len(d.window.buf) != 1<<15 {
		t.Errorf("%d and %d bytes in the end", len(e.history.buf), len(d.window.buf))
	}
}
