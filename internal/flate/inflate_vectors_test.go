package flate

import (
	"bytes"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"
)

// inflateBits writes DEFLATE data by hand.
type inflateBits struct {
	b            []byte
	used         uint      // bits
	litLen, dist [][2]uint // the codes of the block: bits and how many
}

// bits writes the n low bits of v, the lowest first.
func (w *inflateBits) bits(v uint, n uint) *inflateBits {
	for i := range n {
		if w.used%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (w.used % 8)
		w.used++
	}
	return w
}

// huffman writes a code, its highest bit first.
func (w *inflateBits) huffman(code [2]uint) *inflateBits {
	return w.bits(uint(bits.Reverse32(uint32(code[0]))>>(32-code[1])), code[1])
}

func (w *inflateBits) align() *inflateBits {
	for w.used%8 != 0 {
		w.bits(0, 1)
	}
	return w
}

// inflateCodes assigns codes as section 3.2.2 of RFC 1951 says.
func inflateCodes(lens []uint8) [][2]uint {
	codes := make([][2]uint, len(lens))
	next := uint(0)
	for n := uint8(1); n <= maxCodeBits; n++ {
		next <<= 1
		for sym, l := range lens {
			if l == n {
				codes[sym] = [2]uint{next, uint(n)}
				next++
			}
		}
	}
	return codes
}

func (w *inflateBits) stored(final uint, data string) *inflateBits {
	w.bits(final, 1).bits(0, 2).align().bits(uint(len(data)), 16).bits(^uint(len(data)), 16)
	for _, c := range []byte(data) {
		w.bits(uint(c), 8)
	}
	return w
}

func (w *inflateBits) fixed(final uint) *inflateBits {
	repeat := func(n uint8, count int) []uint8 { return bytes.Repeat([]uint8{n}, count) }
	w.litLen = inflateCodes(slices.Concat(repeat(8, 144), repeat(9, 112), repeat(7, 24), repeat(8, 8)))
	w.dist = inflateCodes(repeat(5, 32))
	return w.bits(final, 1).bits(1, 2)
}

// dynamic begins a block with its own codes. The code length code has 4 bits
// for each length and no repetitions.
func (w *inflateBits) dynamic(litLen, dist []uint8) *inflateBits {
	w.sizes(len(litLen), len(dist), 19)
	for _, sym := range codeLenOrder {
		if sym < 16 {
			w.bits(4, 3)
		} else {
			w.bits(0, 3)
		}
	}
	for _, n := range append(litLen[:len(litLen):len(litLen)], dist...) {
		w.huffman([2]uint{uint(n), 4})
	}
	w.litLen, w.dist = inflateCodes(litLen), inflateCodes(dist)
	return w
}

func (w *inflateBits) sizes(litLens, dists, codeLens int) *inflateBits {
	return w.bits(0, 1).bits(2, 2).bits(uint(litLens-257), 5).bits(uint(dists-1), 5).bits(uint(codeLens-4), 4)
}

func (w *inflateBits) literals(s string) *inflateBits {
	for _, c := range []byte(s) {
		w.huffman(w.litLen[c])
	}
	return w
}

func (w *inflateBits) end() *inflateBits { return w.huffman(w.litLen[endOfBlock]) }

func (w *inflateBits) length(length int) *inflateBits {
	n := 28
	for length < int(lengthBase[n]) {
		n--
	}
	return w.huffman(w.litLen[257+n]).bits(uint(length)-uint(lengthBase[n]), uint(lengthExtra[n]))
}

func (w *inflateBits) match(length, dist int) *inflateBits {
	n := numDist - 1
	for dist < int(distBase[n]) {
		n--
	}
	return w.length(length).huffman(w.dist[n]).bits(uint(dist)-uint(distBase[n]), uint(distExtra[n]))
}

// payload ends the message as section 7.2.1 of RFC 7692 says.
func (w *inflateBits) payload() []byte {
	return w.bits(0, 3).align().b
}

// inflateSparse returns a complete code for these symbols, of which the last
// two have the same length, that of their number less one.
func inflateSparse(size int, syms ...int) []uint8 {
	lens := make([]uint8, size)
	for i, sym := range syms {
		lens[sym] = uint8(min(i+1, len(syms)-1))
	}
	return lens
}

// inflateEvery returns all feeds for a short message.
func inflateEvery() []inflateFeed { return append(inflateFeeds(6), inflateTinyFeeds()...) }

func TestInflateExamples(t *testing.T) {
	for _, test := range []struct {
		name     string
		payloads []string
	}{
		{"7.2.3.1", []string{"\xf2\x48\xcd\xc9\xc9\x07\x00"}},
		{"7.2.3.2", []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf2\x00\x11\x00\x00", "\xf2\x00\x11\x00\x00"}},
		{"7.2.3.3", []string{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"}},
		{"7.2.3.4", []string{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "\xf2\x00\x11\x00\x00"}},
		{"7.2.3.5", []string{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"}},
		{"BFINAL and no byte behind it", []string{"\xf3\x48\xcd\xc9\xc9\x07\x00", "\xf2\x00\x11\x00\x00"}},
	} {
		for _, f := range inflateEvery() {
			d := NewDecoder(8, true)
			for i, payload := range test.payloads {
				for _, empty := range []string{"\x00", "", "\x02\x00", "\x03\x00", "\x01\x00\x00\xff\xff"} { // 7.2.3.6, and other ways to say nothing
					if out, err := f.message(t, d, []byte(empty)); err != nil || len(out) > 0 {
						t.Errorf("%x, %s: %q, %v", empty, f.name, out, err)
					}
				}
				if out, err := f.message(t, d, []byte(payload)); err != nil || string(out) != "Hello" {
					t.Errorf("%s, message %d, %s: %q, %v", test.name, i, f.name, out, err)
				}
			}
		}
	}
}

func TestInflateBlocks(t *testing.T) {
	blocks := func() *inflateBits { return new(inflateBits) }
	deep := inflateSparse(286, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 257, 284, 'z', endOfBlock)
	for name, test := range map[string]struct {
		payload []byte
		want    string
	}{
		"stored, empty":          {blocks().stored(0, "").stored(0, "a").stored(0, "").payload(), "a"},
		"several that end":       {blocks().fixed(1).literals("ab").end().align().stored(1, "c").fixed(1).match(4, 3).end().align().stored(0, "").payload(), "abcabca"},
		"length 258 either way":  {blocks().fixed(0).literals("ab").match(258, 1).huffman([2]uint{0b11000100, 8}).bits(31, 5).huffman([2]uint{0, 5}).end().payload(), "a" + strings.Repeat("b", 1+258+258)},
		"only an end":            {blocks().dynamic(inflateSparse(257, endOfBlock, 'x'), make([]uint8, 1)).end().payload(), ""},
		"no distances":           {blocks().dynamic(inflateSparse(257, endOfBlock, 'x'), make([]uint8, 30)).literals("xx").end().payload(), "xx"},
		"one distance":           {blocks().dynamic(inflateSparse(258, 'x', endOfBlock, 257), []uint8{0, 1}).literals("xxx").match(3, 2).end().payload(), "xxxxxx"},
		"one code of literals":   {blocks().dynamic(append(make([]uint8, 256), 1), []uint8{0}).end().payload(), ""},
		"codes of 15 bits":       {blocks().dynamic(deep, inflateSparse(30, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 28, 29)).literals("abczlkjihgfedcba").match(258, 5).match(3, 2).match(257, 16).end().payload(), ""},
		"all codes of 8 or 9":    {blocks().dynamic(append(bytes.Repeat([]byte{8}, 226), bytes.Repeat([]byte{9}, 60)...), append([]uint8{4, 4}, bytes.Repeat([]byte{5}, 28)...)).literals("\x00\xff~").match(3, 3).end().payload(), "\x00\xff~\x00\xff~"},
		"windows of bytes alike": {blocks().fixed(0).literals("abcdefghijklmnop").match(258, 8).match(258, 7).match(258, 16).match(10, 9).end().payload(), ""},
	} {
		oracle, ok := inflateOracle(nil, test.payload)
		if !ok || test.want != "" && string(oracle) != test.want {
			t.Fatalf("%s is not what it is meant to be: %q", name, oracle)
		}
		for _, f := range inflateEvery() {
			out, err := f.message(t, NewDecoder(15, false), test.payload)
			if err != nil || !bytes.Equal(out, oracle) {
				t.Errorf("%s, %s: %q, %v, want %q", name, f.name, out, err, oracle)
			}
		}
	}
}

// A distance of exactly the window is fine, and one beyond it is not; neither
// is one beyond what there is.
func TestInflateDistances(t *testing.T) {
	type message struct {
		payload []byte
		err     string // "" or the end of it
	}
	match := func(dist int) []byte { return new(inflateBits).fixed(0).match(3, dist).end().payload() }
	for windowBits := MinWindowBits; windowBits <= MaxWindowBits; windowBits++ {
		window := 1 << windowBits
		data := string(inflateCorpora(window + 10)["random"])
		stored := func(n int) *inflateBits { return new(inflateBits).stored(0, data[:n]) }
		tests := map[string][]message{
			"in one message":   {{stored(window+5).fixed(0).match(3, window).end().payload(), ""}},
			"in several":       {{stored(window + 5).payload(), ""}, {match(window), ""}, {match(window), ""}},
			"in several parts": {{stored(window - 100).payload(), ""}, {stored(100).payload(), ""}, {match(window), ""}},
			"small":            {{stored(5).payload(), ""}, {stored(2).fixed(0).match(3, 7).end().payload(), ""}},
			"before small":     {{stored(5).payload(), ""}, {stored(2).fixed(0).match(3, 8).end().payload(), "first byte"}},
			"before all":       {{stored(window-1).fixed(0).match(3, window).end().payload(), "first byte"}},
			"at the beginning": {{match(1), "first byte"}},
		}
		if windowBits < MaxWindowBits {
			tests["one beyond in one message"] = []message{{stored(window+5).fixed(0).match(3, window+1).end().payload(), "window"}}
			tests["one beyond in several"] = []message{{stored(window + 5).payload(), ""}, {match(window + 1), "window"}}
			tests["one beyond in both"] = []message{{stored(window).payload(), ""}, {stored(5).fixed(0).match(3, window+1).end().payload(), "window"}}
		}
		for name, messages := range tests {
			feeds := inflateFeeds(7)
			if windowBits <= 9 {
				feeds = inflateEvery()
			}
			for _, f := range feeds {
				d := NewDecoder(windowBits, true)
				var before []byte
				for i, m := range messages {
					out, err := f.message(t, d, m.payload)
					want, ok := inflateOracle(before, m.payload)
					switch {
					case m.err != "":
						if err == nil || !strings.Contains(err.Error(), m.err) {
							t.Fatalf("window %d, %s, message %d, %s: %v", window, name, i, f.name, err)
						}
					case err != nil || !ok || !bytes.Equal(out, want):
						t.Fatalf("window %d, %s, message %d, %s: %v", window, name, i, f.name, err)
					}
					before = append(before, out...)
				}
			}
		}
	}
}

func TestInflateErrors(t *testing.T) {
	blocks := func() *inflateBits { return new(inflateBits) }
	filler := strings.Repeat("x", 40) // so that the fast loop sees it, too
	codeLens := func(lens ...uint) *inflateBits {
		w := blocks().sizes(257, 1, 19)
		for i := range numCodeLen {
			n := uint(0)
			if i < len(lens) {
				n = lens[i]
			}
			w.bits(n, 3)
		}
		return w
	}
	short, one := inflateSparse(257, endOfBlock, 'x'), []uint8{1}
	with := func(lens []uint8, sym int, n uint8) []uint8 {
		lens = append(bytes.Clone(lens), make([]uint8, max(0, sym+1-len(lens)))...)
		lens[sym] = n
		return lens
	}
	for _, test := range []struct {
		name string
		w    *inflateBits
		err  error
	}{
		{"reserved type", blocks().bits(0, 1).bits(3, 2), errInflateType},
		{"length of a stored block", blocks().bits(0, 3).align().bits(5, 16).bits(5, 16), errInflateStored},
		{"287 literals and lengths", blocks().sizes(287, 1, 19), errInflateSizes},
		{"31 distances", blocks().sizes(257, 31, 19), errInflateSizes},
		{"32 distances", blocks().sizes(257, 32, 19), errInflateSizes},
		{"no code length code", codeLens(), errInflateCodeLens},
		{"one code length code", codeLens(0, 0, 0, 1), errInflateCodeLens},
		{"incomplete code length code", codeLens(0, 0, 0, 1, 2), errInflateCodeLens},
		{"oversubscribed code length code", codeLens(1, 1, 1), errInflateCodeLens},
		{"repeat before the first", codeLens(1, 0, 0, 1).bits(1, 1), errInflateNoRepeat},
		{"repeat beyond the last", codeLens(0, 0, 1, 1).bits(1, 1).bits(127, 7).bits(1, 1).bits(127, 7), errInflateRepeat},
		{"no end of block", blocks().dynamic(inflateSparse(257, 'x', 'y'), one), errInflateNoEnd},
		{"oversubscribed literals", blocks().dynamic(with(short, 'a', 1), one), errInflateLitLen},
		{"incomplete literals", blocks().dynamic(with(short, 'x', 2), one), errInflateLitLen},
		{"one code of two bits", blocks().dynamic(append(make([]uint8, 256), 2), one), errInflateLitLen},
		{"the other of one literal", blocks().dynamic(append(make([]uint8, 256), 1), one).bits(1, 1), errInflateNoLength},
		{"oversubscribed distances", blocks().dynamic(short, []uint8{1, 1, 1}), errInflateDist},
		{"incomplete distances", blocks().dynamic(short, []uint8{1, 2}), errInflateDist},
		{"one distance of two bits", blocks().dynamic(short, []uint8{2}), errInflateDist},
		{"the other of one distance", blocks().dynamic(inflateSparse(258, 'x', endOfBlock, 257), one).literals("x").length(3).bits(1, 1), errInflateNoDist},
		{"a length and no distances", blocks().dynamic(inflateSparse(258, 'x', endOfBlock, 257), []uint8{0}).literals("x").length(3).bits(0, 1), errInflateNoDist},
		{"symbol 286", blocks().fixed(0).huffman([2]uint{0b11000110, 8}), errInflateNoLength},
		{"symbol 287", blocks().fixed(0).huffman([2]uint{0b11000111, 8}), errInflateNoLength},
		{"symbol 286 after others", blocks().fixed(0).literals(filler).huffman([2]uint{0b11000110, 8}), errInflateNoLength},
		{"distance 30", blocks().fixed(0).literals(filler).length(3).huffman([2]uint{30, 5}), errInflateNoDist},
		{"distance 31", blocks().fixed(0).literals(filler).length(3).huffman([2]uint{31, 5}), errInflateNoDist},
		{"distance before all", blocks().fixed(0).literals(filler).match(3, 41), errInflateFar},
	} {
		for _, behind := range []int{3, 40} { // the fast loop needs more than the tail
			payload := append(test.w.b[:len(test.w.b):len(test.w.b)], make([]byte, behind)...)
			if _, ok := inflateOracle(nil, payload); ok {
				t.Errorf("%s: compress/flate finds nothing wrong", test.name)
			}
			for _, f := range inflateEvery() {
				if _, err := f.message(t, NewDecoder(15, false), payload); err != test.err {
					t.Errorf("%s, %s: %v, want %v", test.name, f.name, err, test.err)
				}
			}
		}
	}
}

// Every message that lacks its end is refused, and so is one that was not cut
// off before the tail.
func TestInflateTruncated(t *testing.T) {
	text := inflateCorpora(200)["text"]
	whole := newInflateDeflater(9).message(text)
	payloads := [][]byte{append(bytes.Clone(whole), inflateTail...)}
	for n := 1; n < len(whole); n++ {
		payloads = append(payloads, whole[:n])
	}
	stored := new(inflateBits).stored(0, "Hello").b
	payloads = append(payloads, stored, stored[:4], stored[:7])
	for _, payload := range payloads {
		for _, f := range inflateEvery() {
			out, err := f.message(t, NewDecoder(15, false), payload)
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("% x, %s: %q, %v", payload, f.name, out, err)
			}
		}
	}
}
