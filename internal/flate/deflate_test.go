package flate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/fullduplex-go/websocket/internal/flate/flatetest"
)

// encoderTest sends messages from an Encoder to a slow peer.
type encoderTest struct {
	t       testing.TB
	enc     *Encoder
	peer    flatetest.Inflater
	level   int
	dst     []byte
	sent    int    // bytes
	stream  []byte // of all that has been sent, for compress/flate
	content []byte // what it says
}

func newEncoderTest(t testing.TB, level, windowBits int, takeover bool) *encoderTest {
	return &encoderTest{
		t: t, level: level,
		enc:  NewEncoder(level, windowBits, takeover),
		peer: flatetest.Inflater{Window: 1 << windowBits, Takeover: takeover},
	}
}

func (et *encoderTest) fatalf(format string, args ...any) {
	et.t.Helper()
	et.t.Fatalf("level %d, window %d, takeover %v: %s", et.level, et.peer.Window, et.peer.Takeover, fmt.Sprintf(format, args...))
}

// encode compresses one part, and checks what can be told without inflating.
func (et *encoderTest) encode(p []byte, last bool) []byte {
	et.t.Helper()
	prefix := "in front"
	et.dst = append(et.dst[:0], prefix...)
	in := bytes.Clone(p)
	et.dst = et.enc.Encode(et.dst, in, last)
	if !bytes.Equal(in, p) {
		et.fatalf("changed its input")
	}
	for i := range in {
		in[i] = '?' // p is not kept
	}
	if string(et.dst[:len(prefix)]) != prefix {
		et.fatalf("does not append")
	}
	out := et.dst[len(prefix):]
	flush := 5
	if last {
		flush = 1
	}
	if most := len(p) + 5*((len(p)+65534)/65535) + flush; len(out) > most {
		et.fatalf("%d bytes became %d, more than %d", len(p), len(out), most)
	}
	if len(p) == 0 && len(out) != flush {
		et.fatalf("an empty part became % x", out)
	}
	return out
}

// message sends p, cut at cuts, which ascend.
func (et *encoderTest) message(p []byte, cuts ...int) {
	et.t.Helper()
	var got []byte
	from := 0
	for i := range len(cuts) + 1 {
		to, last := len(p), true
		if i < len(cuts) {
			to, last = cuts[i], false
		}
		out := et.encode(p[from:to], last)
		et.sent += len(out)
		et.stream = append(et.stream, out...)
		if last {
			et.stream = append(et.stream, 0, 0, 0xff, 0xff)
		}
		var err error
		if got, err = et.peer.Part(out, last); err != nil {
			et.fatalf("%d bytes to %d of %d: %v\n% x", to-from, to, len(p), err, out[:min(len(out), 200)])
		}
		from = to
	}
	if !bytes.Equal(got, p) {
		et.fatalf("%d bytes came out as %d, which differ", len(p), len(got))
	}
	et.content = append(et.content, p...)
}

// undo compresses p, which is then not sent.
func (et *encoderTest) undo(p []byte) {
	et.t.Helper()
	et.encode(p, true)
	et.enc.Undo()
}

func (et *encoderTest) reset() {
	et.enc.Reset()
	et.peer.Forget()
}

// finish has compress/flate inflate all that was sent.
func (et *encoderTest) finish() {
	et.t.Helper()
	r := flate.NewReader(io.MultiReader(bytes.NewReader(et.stream), bytes.NewReader([]byte{1, 0, 0, 0xff, 0xff})))
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, et.content) {
		et.fatalf("compress/flate: %d bytes instead of %d, %v", len(got), len(et.content), err)
	}
}

// allEncoders runs f with every combination of parameters, and with few of
// them under the race detector.
func allEncoders(t *testing.T, f func(et *encoderTest)) {
	for level := 1; level <= 9; level++ {
		if encodeRaced && level%4 != 1 {
			continue
		}
		t.Run(fmt.Sprintf("level-%d", level), func(t *testing.T) {
			t.Parallel()
			for windowBits := MinWindowBits; windowBits <= MaxWindowBits; windowBits++ {
				for _, takeover := range []bool{false, true} {
					et := newEncoderTest(t, level, windowBits, takeover)
					f(et)
					et.finish()
				}
			}
		})
	}
}

func TestEncodeSmall(t *testing.T) {
	corpora := smallCorpora()
	allEncoders(t, func(et *encoderTest) {
		for _, c := range corpora {
			et.message(c.data)
		}
		for _, c := range corpora {
			n := len(c.data)
			et.message(c.data, 0, n/3, n/3, n/2, n)
		}
	})
}

func TestEncodeLarge(t *testing.T) {
	for i, c := range largeCorpora() {
		if encodeRaced && i%4 != 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for level := 1; level <= 9; level++ {
				for _, windowBits := range []int{8, 12, 15} {
					if encodeRaced && level%4 != 1 {
						continue
					}
					et := newEncoderTest(t, level, windowBits, level%2 == 0)
					et.message(c.data)
					et.message(c.data[len(c.data)/2:], 1, len(c.data)/5)
					et.finish()
				}
			}
		})
	}
}

// Some MiB in one message, for compress/flate only.
func TestEncodeHuge(t *testing.T) {
	if encodeRaced {
		t.Skip("slow")
	}
	data := bytes.Repeat(append(textCorpus(700000), randomCorpus(100000, 9)...), 4)
	for _, level := range []int{1, DefaultLevel, 7} {
		for _, takeover := range []bool{false, true} {
			et := newEncoderTest(t, level, 15, takeover)
			for range 2 {
				et.stream = append(append(et.stream, et.encode(data, true)...), 0, 0, 0xff, 0xff)
				et.content = append(et.content, data...)
			}
			et.finish()
		}
	}
}

// Messages of all sizes around that of the window, many more than fit in the
// memory for them.
func TestEncodeSizes(t *testing.T) {
	text := textCorpus(40000)
	allEncoders(t, func(et *encoderTest) {
		rnd := rand.New(rand.NewPCG(31, uint64(et.peer.Window)))
		for i := range 60 {
			size := rnd.IntN(600)
			switch {
			case i%10 == 0:
				size = min(et.peer.Window+i/10-3, 8000)
			case i%10 == 5:
				size = min(et.peer.Window/4+i/10-3, 8000)
			}
			from := rnd.IntN(len(text) - size)
			et.message(text[from : from+size])
		}
	})
}

// The greatest distance is used, and no greater one.
func TestEncodeDistance(t *testing.T) {
	for level := 1; level <= 9; level++ {
		for windowBits := MinWindowBits; windowBits <= MaxWindowBits; windowBits++ {
			window := 1 << windowBits
			for _, takeover := range []bool{false, true} {
				for _, distance := range []int{window - 1, window, window + 1} {
					p := bytes.Repeat([]byte{'-'}, distance+40)
					word := []byte("this is seen again")
					copy(p, word)
					copy(p[distance:], word)
					et := newEncoderTest(t, level, windowBits, takeover)
					if takeover {
						et.message(p[:distance-10])
						et.message(p[distance-10:])
					} else {
						et.message(p)
					}
					if used := et.peer.Farthest == distance; used != (distance <= window) {
						t.Errorf("level %d, window %d, takeover %v: a repetition at %d, the greatest distance is %d",
							level, window, takeover, distance, et.peer.Farthest)
					}
				}
			}
		}
	}
}

func TestEncodeTakeover(t *testing.T) {
	messages := jsonCorpus(1024, 20)
	allEncoders(t, func(et *encoderTest) {
		for _, p := range messages[:10] {
			et.message(p)
		}
		before := et.sent
		for _, p := range messages[10:] {
			et.message(p)
		}
		size := (et.sent - before) / 10
		if et.peer.Takeover && et.peer.Window >= 4096 && size > 260 || size > 480 {
			et.fatalf("a message becomes %d bytes", size)
		}
	})
}

func TestEncoderUndo(t *testing.T) {
	text := textCorpus(30000)
	allEncoders(t, func(et *encoderTest) {
		rnd := rand.New(rand.NewPCG(37, uint64(et.peer.Window)))
		part := func() []byte {
			size := rnd.IntN(400)
			if rnd.IntN(6) == 0 {
				size = rnd.IntN(min(2*et.peer.Window, 8000))
			}
			from := rnd.IntN(len(text) - size)
			return text[from : from+size]
		}
		et.enc.Undo() // of nothing
		for range 80 {
			switch rnd.IntN(8) {
			case 0:
				et.undo(part())
			case 1:
				// The next message is just what the peer has not got.
				p := part()
				et.undo(p)
				et.message(p)
			case 2:
				et.undo(nil)
			case 3:
				et.undo(part())
				et.undo(part())
			case 4:
				p := part()
				et.message(p, len(p)/2)
			default:
				et.message(part())
			}
		}
	})
}

// Undo keeps what was there before.
func TestEncoderUndoKeeps(t *testing.T) {
	p := jsonCorpus(1024, 1)[0]
	for level := 1; level <= 9; level++ {
		et := newEncoderTest(t, level, 15, true)
		et.message(p)
		for i := range 8 {
			et.undo(randomCorpus(1500, uint64(i)))
		}
		et.sent = 0
		et.message(p)
		if et.sent > 150 {
			t.Errorf("level %d: a repeated message became %d bytes", level, et.sent)
		}
	}
}

func TestEncoderReset(t *testing.T) {
	messages := jsonCorpus(500, 20)
	allEncoders(t, func(et *encoderTest) {
		et.reset()
		for i, p := range messages {
			et.message(p)
			if i%3 == 0 {
				et.reset()
			}
			if i%5 == 0 {
				// A message of which only the beginning was sent.
				if _, err := et.peer.Part(et.encode(p[:200], false), false); err != nil {
					et.fatalf("%v", err)
				}
				et.reset()
			}
		}
	})
}

// Without takeover a message becomes the same whatever was before.
func TestEncodeSame(t *testing.T) {
	text := textCorpus(100000)
	json := jsonCorpus(1024, 30)
	for level := 1; level <= 9; level++ {
		et := newEncoderTest(t, level, 15, false)
		for _, p := range [][]byte{text[:1000], text[500:9000], text, json[0], bytes.Join(json[:9], nil)} {
			want := bytes.Clone(et.encode(p, true))
			for i := range 150 {
				et.encode(text[100*i:][:1+7*i], i%4 != 0)
				et.encode(json[i%len(json)], true)
				et.enc.Reset()
				if i%30 == 0 && !bytes.Equal(et.encode(p, true), want) {
					et.fatalf("%d bytes become something else after other messages", len(p))
				}
			}
		}
	}
}

// The distance of an earlier message's last match is no help without takeover. Here it
// would be: the match finder gives up before it gets that far back.
func TestEncodeSameDistance(t *testing.T) {
	word := randomCorpus(24, 1)
	var p []byte
	p = append(p, word...)
	for i := range 600 {
		p = append(append(p, word[:12]...), randomCorpus(12, uint64(i+3))...)
	}
	earlier := append(append(bytes.Clone(word), randomCorpus(len(p)-len(word), 2)...), word...)
	p = append(p, word...)
	for level := 2; level <= 9; level++ {
		et := newEncoderTest(t, level, 15, false)
		et.encode(p, true) // takes what earlier tests have left
		want := bytes.Clone(et.encode(p, true))
		et.encode(earlier, true)
		if got := et.encode(p, true); !bytes.Equal(got, want) {
			et.fatalf("%d bytes become %d, and %d after another message", len(p), len(want), len(got))
		}
	}
}

// All kinds of blocks are made, and each where it is the smallest.
func TestEncodeBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		data  []byte
		types [3]int
	}{
		{"random", randomCorpus(200000, 1), [3]int{4, 0, 0}}, // of 65535 bytes, but for the last
		{"short", []byte("Hello, Hello"), [3]int{0, 1, 0}},
		{"text", textCorpus(2000), [3]int{0, 0, 1}},
		{"high", []byte{0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 0xf7}, [3]int{0, 1, 0}},
		{"high and more", randomCorpus(100, 1), [3]int{1, 0, 0}},
	} {
		et := newEncoderTest(t, 1, 15, false)
		et.message(c.data)
		if et.peer.Blocks != c.types {
			t.Errorf("%s: blocks stored, fixed, dynamic: %v, want %v", c.name, et.peer.Blocks, c.types)
		}
	}
}

// Parameters out of range do no harm.
func TestEncoderRange(t *testing.T) {
	for _, c := range [][2]int{{-1, 15}, {0, 15}, {10, 15}, {1000, 15}, {5, 7}, {5, 16}, {5, 1000}} {
		e := NewEncoder(c[0], c[1], true)
		peer := flatetest.Inflater{Window: 1 << min(max(c[1], MinWindowBits), MaxWindowBits), Takeover: true}
		p := textCorpus(2000)
		if got, err := peer.Part(e.Encode(nil, p, true), true); err != nil || !bytes.Equal(got, p) {
			t.Errorf("level %d, window bits %d: %v", c[0], c[1], err)
		}
	}
}
