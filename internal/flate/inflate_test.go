package flate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflateFeed is a way to have a message inflated.
type inflateFeed struct {
	name  string
	piece func() int // how much input the next call is offered; nil: all there is
	room  func() int // how much room is added when there is none; nil: plenty
	save  int        // Save after so many bytes or more; 0: never
	late  bool       // last is set in a call of its own, without input
}

// message has d inflate payload. Each call finds the output at another place
// (as long as that is cheap), between bytes that must not change, and behind
// output that is not the message's.
func (f inflateFeed) message(t testing.TB, d *Decoder, payload []byte) ([]byte, error) {
	t.Helper()
	const start, guard = 3, 16
	var saved, buf []byte
	out := bytes.Repeat([]byte{'#'}, start)
	capacity, rest, end := 0, payload, 0
	grow := func() {
		if f.room == nil {
			capacity = len(out) + 4*len(payload) + 600
		} else {
			capacity = len(out) + f.room() + len(out)>>16*len(out)/4
		}
	}
	grow()
	for calls, full := 0, false; ; calls++ {
		if calls > 5_000_000 {
			t.Fatal("Decode does not get on")
		}
		if !full { // else the rest of the piece is offered again
			end = len(rest)
			if f.piece != nil {
				end = min(end, f.piece())
			}
		}
		last := end == len(rest) && !(f.late && end > 0)

		if len(out) < 10_000 || capacity+guard != len(buf) {
			buf = bytes.Repeat([]byte{'#'}, capacity+guard)
			copy(buf, out)
		}
		was := len(out)
		var n int
		var err error
		out, n, err = d.Decode(buf[:was:capacity], start, rest[:end], last)
		if len(out) < was || &out[0] != &buf[0] || cap(out) != capacity {
			t.Fatalf("Decode returned other memory than it was given: length %d, was %d", len(out), was)
		}
		if !bytes.Equal(buf[capacity:], bytes.Repeat([]byte{'#'}, guard)) || string(buf[:start]) != "###" {
			t.Fatal("Decode wrote where it must not")
		}
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not ErrCorrupt", err)
			}
			if _, _, again := d.Decode(make([]byte, 0, 10), 0, []byte{0}, true); again != err {
				t.Fatalf("after %v comes %v", err, again)
			}
			return append(saved, out[start:]...), err
		}
		full = len(out) == capacity
		if n > end || n < end && !full {
			t.Fatalf("Decode used %d bytes of %d, with %d of %d bytes of room left", n, end, capacity-len(out), capacity-was)
		}
		rest, end = rest[n:], end-n
		if last && !full {
			return append(saved, out[start:]...), nil
		}
		if f.save > 0 && len(out)-start >= f.save {
			d.Save(out, start)
			saved = append(saved, out[start:]...)
			out = out[:start]
			full = full && end > 0
			capacity = start
		}
		if len(out) >= capacity {
			grow()
		}
	}
}

func exactly(n int) func() int { return func() int { return n } }

// upTo returns sizes of which small ones are as likely as large ones.
func upTo(rnd *rand.Rand, limit int) func() int {
	return func() int { return 1 + rnd.IntN(1+rnd.IntN(limit)) }
}

var inflateAtOnce = inflateFeed{name: "at once"}

// inflateFeeds are for messages of any size.
func inflateFeeds(seed uint64) []inflateFeed {
	rnd := rand.New(rand.NewPCG(seed, 1))
	return []inflateFeed{
		inflateAtOnce,
		{name: "late", late: true},
		{name: "in pieces", piece: upTo(rnd, 2000)},
		{name: "with little room", room: upTo(rnd, 2000)},
		{name: "in pieces with little room", piece: upTo(rnd, 300), room: upTo(rnd, 600), late: true},
		{name: "streamed", room: exactly(4096), save: 4096},
		{name: "streamed in pieces", piece: upTo(rnd, 3000), room: upTo(rnd, 3000), save: 1},
	}
}

// inflateTinyFeeds are for messages that are not long.
func inflateTinyFeeds() []inflateFeed {
	feeds := []inflateFeed{
		{name: "bytewise", piece: exactly(1)},
		{name: "bytewise, late", piece: exactly(1), late: true},
		{name: "one byte of room", room: exactly(1)},
		{name: "bytewise with one byte of room", piece: exactly(1), room: exactly(1)},
	}
	for _, save := range []int{1, 2, 3, 7, 64, 257, 300} {
		feeds = append(feeds,
			inflateFeed{name: fmt.Sprintf("saved after %d bytes", save), room: exactly(save), save: save},
			inflateFeed{name: fmt.Sprintf("bytewise, saved after %d bytes", save), piece: exactly(1), save: save})
	}
	return feeds
}

// inflateCorpora returns data of many kinds, each of size bytes.
func inflateCorpora(size int) map[string][]byte {
	rnd := rand.New(rand.NewPCG(uint64(size), 2))
	words := strings.Fields("the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new some could these two may first then do any like my now over such our man me even most made after also did many off before must well back through years where much your way down should because long each just state those people too mr how little good")
	word := func() string { return words[min(rnd.IntN(len(words)), rnd.IntN(len(words)))] }
	until := func(next func(b *bytes.Buffer)) []byte {
		var b bytes.Buffer
		for b.Len() < size {
			next(&b)
		}
		return b.Bytes()[:size]
	}
	random := until(func(b *bytes.Buffer) { b.WriteByte(byte(rnd.Uint32())) })
	return map[string][]byte{
		"json": until(func(b *bytes.Buffer) {
			fmt.Fprintf(b, `{"id":%d,"type":"%s","user":{"name":"%s %s","score":%.3f,"active":%t},"tags":["%s","%s"],"at":"2026-%02d-%02dT%02d:%02d:%02dZ"},`,
				rnd.IntN(1e6), word(), word(), word(), rnd.Float64()*100, rnd.IntN(2) == 0, word(), word(),
				1+rnd.IntN(12), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60))
		}),
		"html": until(func(b *bytes.Buffer) {
			fmt.Fprintf(b, "<tr class=\"%s\">\n  <td><a href=\"/%s/%d\">%s %s</a></td>\n</tr>\n", word(), word(), rnd.IntN(1000), word(), word())
		}),
		"text": until(func(b *bytes.Buffer) {
			b.WriteString(word())
			b.WriteString([]string{" ", " ", " ", " ", " ", " ", ", ", ". ", "\n"}[rnd.IntN(9)])
		}),
		"binary": until(func(b *bytes.Buffer) {
			x := rnd.Uint32()
			b.Write([]byte{byte(rnd.NormFloat64() * 20), 0, byte(x & 3), byte(x >> 8), 0xff, byte(b.Len() >> 8)})
		}),
		"random": random,
		"repeated": until(func(b *bytes.Buffer) { // matches of all distances
			at := rnd.IntN(size)
			b.Write(random[at:min(at+rnd.IntN(300), size)])
		}),
		"runs": until(func(b *bytes.Buffer) {
			pattern := random[:min(1+rnd.IntN(12), size)]
			b.Write(bytes.Repeat(pattern, 1+rnd.IntN(60)))
			b.WriteByte(byte(rnd.Uint32()))
		}),
		"zeros": make([]byte, size),
	}
}

// inflateDeflater makes the messages of a connection by compress/flate.
type inflateDeflater struct {
	buf bytes.Buffer
	w   *flate.Writer
}

func newInflateDeflater(level int) *inflateDeflater {
	d := new(inflateDeflater)
	w, err := flate.NewWriter(&d.buf, level)
	if err != nil {
		panic(err)
	}
	d.w = w
	return d
}

// message returns the payload of the next message (RFC 7692, section 7.2.1).
// Its parts are flushed one by one.
func (d *inflateDeflater) message(parts ...[]byte) []byte {
	d.buf.Reset()
	for _, p := range parts {
		d.w.Write(p)
		d.w.Flush()
	}
	return bytes.Clone(bytes.TrimSuffix(d.buf.Bytes(), inflateTail))
}

var inflateLevels = []int{flate.HuffmanOnly, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}

// inflateOracle has compress/flate inflate a payload, with what came before
// it, and reports whether it ends where it may.
func inflateOracle(before, payload []byte) (out []byte, ok bool) {
	if len(payload) == 0 {
		return nil, true
	}
	if out, ok = inflateStreams(before, payload); ok { // ends with BFINAL
		return out, true
	}
	// Otherwise the tail must lead to where another block can begin, and it is
	// that if two different ones come out behind it.
	whole := append(bytes.Clone(payload), inflateTail...)
	out, ok = inflateStreams(before, append(whole[:len(whole):len(whole)], 1, 0, 0, 0xff, 0xff))
	longer, ok2 := inflateStreams(before, append(whole, 1, 1, 0, 0xfe, 0xff, 'x'))
	return out, ok && ok2 && string(longer) == string(out)+"x"
}

// inflateStreams inflates streams that end with BFINAL, one behind another.
func inflateStreams(before, data []byte) (out []byte, ok bool) {
	in := bytes.NewReader(data)
	for in.Len() > 0 {
		all := append(bytes.Clone(before), out...)
		more, err := io.ReadAll(flate.NewReaderDict(in, all))
		out = append(out, more...)
		if err != nil {
			return out, false
		}
	}
	return out, true
}

// The output of compress/flate is inflated, however it is split.
func TestInflateWriterOutput(t *testing.T) {
	for _, size := range []int{1, 2, 10, 300, 5000, 100_000, 1 << 20} {
		for name, data := range inflateCorpora(size) {
			for _, level := range inflateLevels {
				if size >= 100_000 && level%5 != 1 || size >= 1<<20 && name != "json" && name != "binary" {
					continue // levels 1 and 6 will do, and so will two kinds of data
				}
				payload := newInflateDeflater(level).message(data[:size/3], data[size/3:])
				feeds := inflateFeeds(uint64(level))
				if size <= 300 {
					feeds = append(feeds, inflateTinyFeeds()...)
				}
				for _, takeover := range []bool{false, true} {
					for _, f := range feeds {
						out, err := f.message(t, NewDecoder(15, takeover), payload)
						if err != nil || !bytes.Equal(out, data) {
							t.Fatalf("%s of %d bytes, level %d, takeover %v, %s: %v", name, size, level, takeover, f.name, err)
						}
					}
				}
			}
		}
	}
}

// A message cut in two at each byte of it, and with each size of the room.
func TestInflateEveryCut(t *testing.T) {
	for name, data := range inflateCorpora(700) {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
			payload := newInflateDeflater(level).message(data)
			d := NewDecoder(15, false)
			for cut := 1; cut <= len(payload); cut++ {
				first := true
				f := inflateFeed{piece: func() int {
					if first {
						first = false
						return cut
					}
					return len(payload)
				}}
				if out, err := f.message(t, d, payload); err != nil || !bytes.Equal(out, data) {
					t.Fatalf("%s, level %d, cut at %d of %d: %v", name, level, cut, len(payload), err)
				}
			}
			for room := 1; room <= len(data)+1; room++ {
				f := inflateFeed{room: exactly(room), save: room % 2 * room}
				if out, err := f.message(t, d, payload); err != nil || !bytes.Equal(out, data) {
					t.Fatalf("%s, level %d, room %d: %v", name, level, room, err)
				}
			}
		}
	}
}

// Messages that refer to those before them, through a ring that goes round.
func TestInflateTakeover(t *testing.T) {
	for name, data := range inflateCorpora(400_000) {
		for _, level := range []int{0, 1, 6, 9} {
			rnd := rand.New(rand.NewPCG(uint64(level), 3))
			deflater := newInflateDeflater(level)
			d := NewDecoder(15, true)
			feeds := inflateFeeds(4)
			for rest, i := data, 0; len(rest) > 0; i++ {
				n := min(len(rest), []int{0, 1, 10, 1000, 5000, 32767, 32768, 32769, 50_000}[rnd.IntN(9)])
				f := feeds[rnd.IntN(len(feeds))]
				payload := deflater.message(rest[:n])
				if out, err := f.message(t, d, payload); err != nil || !bytes.Equal(out, rest[:n]) {
					t.Fatalf("%s, level %d, message %d of %d bytes, %s: %v", name, level, i, n, f.name, err)
				}
				rest = rest[n:]
				if i%10 == 9 { // no state changes
					if out, err := f.message(t, d, nil); err != nil || len(out) > 0 {
						t.Fatalf("an empty payload: %q, %v", out, err)
					}
				}
			}
		}
	}
}

// Without takeover, nothing of one message is there for the next.
func TestInflateNoTakeover(t *testing.T) {
	deflater := newInflateDeflater(9)
	text := inflateCorpora(3000)["text"]
	first, second := deflater.message(text), deflater.message(text)
	for _, f := range inflateFeeds(5) {
		d := NewDecoder(15, false)
		if out, err := f.message(t, d, first); err != nil || !bytes.Equal(out, text) {
			t.Fatalf("%s: %v", f.name, err)
		}
		if _, err := f.message(t, d, second); err != errInflateFar {
			t.Fatalf("%s: a distance into the message before: %v", f.name, err)
		}
		d.Init(15, true)
		for _, payload := range [][]byte{first, second} {
			if out, err := f.message(t, d, payload); err != nil || !bytes.Equal(out, text) {
				t.Fatalf("%s: after Init: %v", f.name, err)
			}
		}
	}
}
