package websocket

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// What a receiver makes of compressed messages, and what it refuses.

// inBothRolesCompressed is inBothRoles for receivers that take RSV1.
func inBothRolesCompressed(t *testing.T, f func(t *testing.T, r receiver, masked bool)) {
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		r.rsv = RSV1
		f(t, r, masked)
	})
}

func TestReceiverDeflate(t *testing.T) {
	text := strings.Repeat("Zürich ", 9)
	z := deflatetest.Deflated(text)
	for _, tt := range []struct {
		name   string
		frames []wireFrame
		want   []string
	}{
		// RFC 7692, section 7.2.3.
		{"example 1", []wireFrame{{0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"}}, []string{`text "Hello"`}},
		{"example 1 in fragments", []wireFrame{{0x41, "\xf2\x48\xcd"}, {0x80, "\xc9\xc9\x07\x00"}}, []string{`text "Hello"`}},
		{"example 3, stored", []wireFrame{{0xc1, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"}}, []string{`text "Hello"`}},
		{"example 4, with BFINAL", []wireFrame{{0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"}}, []string{`text "Hello"`}},
		{"example 5, two blocks", []wireFrame{{0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"}}, []string{`text "Hello"`}},
		{"empty", []wireFrame{{0xc1, "\x00"}, {0xc2, ""}, {0x41, ""}, {0x80, "\x00"}, {0x41, "\x00"}, {0x80, ""}}, []string{`text ""`, `binary ""`, `text ""`, `text ""`}},
		{"beside messages that are not compressed", []wireFrame{{0x81, "plain"}, {0xc2, z}, {0x02, "pl"}, {0x80, "ain"}, {0xc1, z}},
			[]string{`text "plain"`, fmt.Sprintf("binary %q", text), `binary "plain"`, fmt.Sprintf("text %q", text)}},
		{"characters and control frames across fragments", []wireFrame{{0x41, z[:5]}, {0x89, "p"}, {0x00, z[5:6]}, {0x00, ""}, {0x8a, ""}, {0x00, z[6:]}, {0x80, ""}},
			[]string{`ping "p"`, `pong ""`, fmt.Sprintf("text %q", text)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBothRolesCompressed(t, func(t *testing.T, r receiver, masked bool) {
				p := playEveryWay(t, r, encode(masked, tt.frames...))
				if got, want := p.outcome(), strings.Join(tt.want, "\n")+"\n"; got != want {
					t.Errorf("got\n%swant\n%s", got, want)
				}
			})
		})
	}
}

func TestReceiverDeflateViolations(t *testing.T) {
	z := deflatetest.Deflated("Hello")
	const corrupt = "RFC 7692, section 7.2.2"
	bits := func(b ...byte) string { return string(b) }
	for _, tt := range []struct {
		name    string
		frames  []wireFrame
		rest    int // bytes behind the one that is too much
		code    StatusCode
		section string
	}{
		{"RSV1 on a ping", []wireFrame{{0xc9, ""}}, 0, 1002, "5.2"},
		{"RSV1 on a pong", []wireFrame{{0xca, ""}}, 0, 1002, "5.2"},
		{"RSV1 on a close frame", []wireFrame{{0xc8, ""}}, 0, 1002, "5.2"},
		{"RSV1 on a ping inside a message", []wireFrame{{0x41, z[:3]}, {0xc9, ""}}, 0, 1002, "5.2"},
		{"RSV1 on a continuation", []wireFrame{{0x41, z[:3]}, {0xc0, ""}}, 0, 1002, "5.2"},
		{"RSV1 on a continuation of a plain message", []wireFrame{{0x01, "a"}, {0x40, ""}}, 0, 1002, "5.2"},
		{"RSV2", []wireFrame{{0xa1, ""}}, 0, 1002, "5.2"},
		{"RSV3", []wireFrame{{0x92, ""}}, 0, 1002, "5.2"},
		{"RSV1 and 2", []wireFrame{{0xe1, ""}}, 0, 1002, "5.2"},
		{"a block of the reserved type", []wireFrame{{0xc1, bits(0x06)}}, 0, 1007, corrupt},
		{"a stored block with a wrong complement", []wireFrame{{0xc1, bits(0, 5, 0, 0xfb, 0xff) + "abcde"}}, 5, 1007, corrupt},
		{"a match before the first byte", []wireFrame{{0xc2, bits(0x02, 0x02, 0x02)}}, 1, 1007, corrupt},
		{"the end inside a block", []wireFrame{{0xc2, z[:4]}}, 0, 1007, corrupt},
		{"the end inside a block, in a fragment", []wireFrame{{0x42, z[:2]}, {0x00, z[2:4]}, {0x80, ""}}, 0, 1007, corrupt},
		{"text that is not UTF-8", []wireFrame{{0x41, bits(0, 2, 0, 0xfd, 0xff) + "a\xff"}}, 0, 1007, "8.1"},
		{"the same with more to come in the frame", []wireFrame{{0x41, bits(0, 200, 0, 55, 0xff) + "a\xff" + strings.Repeat("b", 100)}}, 100, 1007, "8.1"},
		{"text that ends inside a character", []wireFrame{{0xc1, deflatetest.Deflated("a\xe2\x82")}}, 0, 1007, "8.1"},
		{"bad text before corrupt data", []wireFrame{{0xc1, bits(0, 1, 0, 0xfe, 0xff) + "\xff\x06"}}, 1, 1007, "8.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBothRolesCompressed(t, func(t *testing.T, r receiver, masked bool) {
				wire := encode(masked, tt.frames...)
				p := playEveryWay(t, r, wire)
				wantViolation(t, p.err, tt.code, tt.section)
				if p.fed != len(wire)-tt.rest {
					t.Errorf("refused at byte %d of %d, want %d behind it", p.fed, len(wire), tt.rest)
				}
			})
		})
	}
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		for _, b0 := range []byte{0xc1, 0xc2, 0x41} {
			p := playEveryWay(t, r, encode(masked, wireFrame{b0, ""}))
			wantViolation(t, p.err, StatusProtocolError, "5.2") // nobody has agreed on it
		}
	})
}

// TestReceiverDeflateLimit: what counts is what comes out.
func TestReceiverDeflateLimit(t *testing.T) {
	text := strings.Repeat("0123456789", 30)
	z := deflatetest.Deflated(text)
	empty := strings.Repeat("\x00\x00\x00\xff\xff", 200) // stored blocks of nothing
	for _, tt := range []struct {
		limit  int64
		frames []wireFrame
		ok     bool
	}{
		{300, []wireFrame{{0xc1, z}, {0xc2, z}}, true},
		{299, []wireFrame{{0xc1, z}}, false},
		{300, []wireFrame{{0x41, z[:3]}, {0x00, z[3:12]}, {0x80, z[12:]}}, true},
		{299, []wireFrame{{0x41, z[:3]}, {0x00, z[3:12]}, {0x80, z[12:]}}, false},
		{1, []wireFrame{{0xc1, empty + deflatetest.Deflated("x")}}, true},
		{0, []wireFrame{{0xc1, empty + "\x00"}}, true},
		{0, []wireFrame{{0xc1, empty + deflatetest.Deflated("x")}}, false},
		{300, []wireFrame{{0xc1, z}, {0x01, text[:299]}, {0x80, "x"}, {0xc1, z}}, true}, // each for itself
	} {
		inBothRolesCompressed(t, func(t *testing.T, r receiver, masked bool) {
			r.limit = tt.limit
			wire := encode(masked, tt.frames...)
			p := playEveryWay(t, r, wire)
			if tt.ok {
				if p.err != nil || !p.r.idle() {
					t.Errorf("limit %d: %v", tt.limit, p.err)
				}
				return
			}
			wantViolation(t, p.err, StatusMessageTooBig, "7.4.1")
			want := fmt.Sprintf("message of %d bytes or more is over the read limit of %d ", tt.limit+1, tt.limit)
			if !errors.Is(p.err, ErrMessageTooBig) || !strings.Contains(p.err.Error(), want) {
				t.Errorf("got %v, want %q", p.err, want)
			}
		})
	}
}

// slowInflate has compress/flate inflate a message, and reports whether it is
// one: it ends with a block that has BFINAL set, or the tail that the peer
// left out leads to where another block can begin, whichever that is.
func slowInflate(payload string) (out string, ok bool) {
	streams := func(data string) (out string, ok bool) {
		in := strings.NewReader(data)
		for in.Len() > 0 {
			more, err := io.ReadAll(flate.NewReaderDict(in, []byte(out)))
			out += string(more)
			if err != nil {
				return out, false
			}
		}
		return out, true
	}
	if out, ok = streams(payload); ok {
		return out, true
	}
	whole := payload + "\x00\x00\xff\xff"
	out, ok = streams(whole + "\x01\x00\x00\xff\xff")
	longer, ok2 := streams(whole + "\x01\x01\x00\xfe\xffx")
	if ok && ok2 && longer == out+"x" {
		return out, true
	}
	out, _ = streams(whole)
	return out, false
}

// checkDeflated has a receiver get a compressed message in fragments that end
// at cuts, in every kind of pieces, and compares with compress/flate.
func checkDeflated(t *testing.T, payload string, cuts []byte, client, text bool, limit int64) string {
	t.Helper()
	op, typ := byte(0x42), OpBinary
	if text {
		op, typ = 0x41, OpText
	}
	var frames []wireFrame
	rest := payload
	for _, cut := range cuts[:min(len(cuts), 10)] {
		n := min(int(cut), len(rest))
		frames = append(frames, wireFrame{op, rest[:n]}, wireFrame{0x89, rest[:min(n, 3)]})
		rest, op = rest[n:], 0
	}
	wire := encode(!client, append(frames, wireFrame{op | 0x80, rest})...)

	want, whole := slowInflate(payload)
	bad := len(want)
	if text {
		bad = firstBad([]byte(want))
	}
	verdict := "ok"
	switch {
	case bad < len(want) && int64(bad) < limit:
		verdict = "8.1"
	case int64(len(want)) > limit:
		verdict = "7.4.1"
	case !whole:
		verdict = "RFC 7692, section 7.2.2"
	case text && !strings.HasPrefix(strings.ToValidUTF8(want, "\xff"), want):
		verdict = "8.1"
	}
	r := receiver{client: client, limit: limit, rsv: RSV1}
	var each []int
	for i := range wire {
		each = append(each, i)
	}
	for _, p := range []*player{
		play(t, r, false, wire), play(t, r, true, wire), play(t, r, false, wire, each...), play(t, r, true, wire, each...),
		play(t, r, true, wire, len(wire)/2), play(t, r, false, wire, len(wire)/3, len(wire)/2),
	} {
		var pe *ProtocolError
		switch {
		case errors.As(p.err, &pe):
			if pe.Section != verdict {
				t.Fatalf("%x: %v, want %s", wire, pe, verdict)
			}
		case verdict != "ok":
			t.Fatalf("%x: accepted, want %s", wire, verdict)
		case p.log[len(p.log)-1] != fmt.Sprintf("%v %q", typ, want):
			t.Fatalf("%x: %.100q, want %.100q", wire, p.log, want)
		}
	}
	return verdict
}

// TestReceiverDeflateModel is a fuzz target that knows what compressed
// messages look like.
func TestReceiverDeflateModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		payload := randomDeflated(rnd)
		cuts := make([]byte, rnd.IntN(4))
		for i := range cuts {
			cuts[i] = byte(rnd.IntN(20))
		}
		limit := []int64{0, 20, 100, 1 << 20}[rnd.IntN(4)|rnd.IntN(4)]
		seen[checkDeflated(t, payload, cuts, seed&1 == 0, seed&2 == 0, limit)]++
	}
	for _, s := range []string{"ok", "8.1", "7.4.1", "RFC 7692, section 7.2.2"} {
		if seen[s] < 20 {
			t.Errorf("only %d of the inputs are a case of %q: %v", seen[s], s, seen)
		}
	}
}

func randomDeflated(rnd *rand.Rand) string {
	texts := []string{"", "a", "Hello, hello, hello", "üüü", "\xc3", "\xbc", "€🙂", "\xf0\x9f", "\x99\x82", strings.Repeat("long ", 30)}
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, rnd.IntN(12)-2)
	for range 1 + rnd.IntN(5) {
		io.WriteString(w, texts[rnd.IntN(len(texts))])
		if rnd.IntN(3) == 0 {
			w.Flush()
		}
	}
	if rnd.IntN(8) == 0 {
		w.Close()
	} else {
		w.Flush()
		b.Truncate(b.Len() - 4)
	}
	p := b.Bytes()
	switch rnd.IntN(6) {
	case 0:
		p[rnd.IntN(len(p))] ^= 1 << rnd.IntN(8)
	case 1:
		p = p[:rnd.IntN(len(p))]
	}
	return string(p)
}

func FuzzReceiverDeflate(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(randomDeflated(rand.New(rand.NewPCG(seed, 4))), []byte{byte(seed), 2}, seed&1 == 0, seed&2 == 0, uint32(seed*seed))
	}
	f.Fuzz(func(t *testing.T, payload string, cuts []byte, client, text bool, limit uint32) {
		if len(payload) > 1000 {
			return
		}
		if out, _ := slowInflate(payload); len(out) < 1<<14 { // the model takes its time
			checkDeflated(t, payload, cuts, client, text, int64(limit%(1<<17)))
		}
	})
}

// compressedServer returns a connection that compresses as p says, and the bare
// transport of its peer.
func compressedServer(t testing.TB, pair func(testing.TB) (net.Conn, net.Conn), opts Options, p compression) (c *Conn, peer net.Conn) {
	peer, nc := pair(t)
	c = newConn(nc, connConfig{opts: opts.withDefaults(), agreement: compressing(&p)})
	t.Cleanup(func() {
		c.CloseNow()
		peer.Close()
	})
	return c, peer
}

// TestCompressedSkipped: when a compressed message is over the limit, its other
// frames are discarded as they are.
func TestCompressedSkipped(t *testing.T) {
	r := receiver{client: true, limit: 10, rsv: RSV1}
	d := deflatetest.NewDeflater()
	first, second := d.Part(strings.Repeat("a", 100), false), d.Part("b", true)
	for i, p := range []string{first, second} {
		h := Header{Fin: i == 1, Opcode: OpContinuation, Length: int64(len(p))}
		if i == 0 {
			h.Opcode, h.RSV = OpBinary, RSV1
		}
		if _, ev, _, err := r.next(h.Append(nil)); ev != evData || err != nil {
			t.Fatalf("frame %d: %v, %v", i, ev, err)
		}
		if i == 0 {
			r.dec = newExtensions(compressing(&deflatetest.Kinds[1]).extensions).dec
			if _, _, err := r.inflate(make([]byte, 0, 100), 0, []byte(p)); err == nil || !r.skip() {
				t.Fatalf("frame %d: error %v, cannot go on", i, err)
			}
		}
		if r.more {
			t.Fatalf("frame %d has to be inflated", i)
		}
		if err := r.discard([]byte(p)[len(p)-int(r.left):]); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if end, err := r.endFrame(); end != (i == 1) || err != nil {
			t.Fatalf("frame %d: end %v, %v", i, end, err)
		}
	}
}
