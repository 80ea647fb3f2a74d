package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/flate"
)

// wireFrame is a frame before it is masked: its first byte as on the wire,
// such as 0x81 for a whole text message or 0x01 for the start of one, and its
// payload.
type wireFrame struct {
	b0      byte
	payload string
}

// encode puts frames on the wire, from a client or from a server, without
// the help of the code under test.
func encode(masked bool, frames ...wireFrame) (wire []byte) {
	for i, f := range frames {
		header, payload := []byte{f.b0, byte(len(f.payload))}, []byte(f.payload)
		switch n := len(payload); {
		case n > 65535:
			header = binary.BigEndian.AppendUint64([]byte{f.b0, 127}, uint64(n))
		case n > 125:
			header = binary.BigEndian.AppendUint16([]byte{f.b0, 126}, uint16(n))
		}
		if masked {
			header = maskedHeader(header, i)
			payload = slowMask(payload, [4]byte(header[len(header)-4:]), 0)
		}
		wire = append(append(wire, header...), payload...)
	}
	return wire
}

// maskedHeader sets the MASK bit of a header and appends a key, another one
// for each i.
func maskedHeader(header []byte, i int) []byte {
	header[1] |= 0x80
	return append(header, byte(0x35+i), byte(0xa7*i+1), byte(0x80-i), byte(0x5b^i))
}

// player feeds a receiver, as a transport would, and writes down what comes
// out.
type player struct {
	r     receiver
	apart bool // unmask the payload into other memory; inflate it in small steps
	t     testing.TB

	fed int      // bytes
	hdr Header   // of the last data frame that began
	msg []byte   // what has come of the message under way
	log []string // messages and control frames
	err error
}

// feed passes in, which it leaves as it is.
func (p *player) feed(in []byte) {
	p.t.Helper()
	if p.err != nil {
		return
	}
	p.fed += len(in)
	in = bytes.Clone(in)
	for again := true; again; again = len(in) > 0 {
		p.r.reset() // frees nothing while something is under way
		n, ev, ctl, err := p.r.next(in)
		if n < 0 || n > len(in) {
			p.t.Fatalf("next took %d of %d bytes", n, len(in))
		}
		in = in[n:]
		if err != nil {
			p.fail(err)
			return
		}
		switch ev {
		case evMore:
			if len(in) > 0 {
				p.t.Fatalf("next wants more and has left %d bytes", len(in))
			}
		case evControl:
			if int64(len(ctl)) != p.r.hdr.Length {
				p.t.Fatalf("%v frame of %d bytes has a payload of %d", p.r.hdr.Opcode, p.r.hdr.Length, len(ctl))
			}
			p.log = append(p.log, fmt.Sprintf("%v %q", p.r.hdr.Opcode, ctl))
		case evData:
			p.hdr = p.r.hdr
			src := in[:min(int64(len(in)), p.r.left)]
			in = in[len(src):]
			payload := p.payload
			if p.r.more || p.r.dec != nil {
				payload = p.inflate
			}
			if err := payload(src); err != nil {
				p.fail(err)
				return
			}
			if p.r.left > 0 {
				break
			}
			typ := p.r.msg
			end, err := p.r.endFrame()
			if err != nil {
				p.fail(err)
				return
			}
			if end {
				p.log = append(p.log, fmt.Sprintf("%v %q", typ, p.msg))
				p.msg = p.msg[:0]
			}
		}
	}
}

func (p *player) payload(src []byte) (err error) {
	if p.apart {
		was, dst := bytes.Clone(src), make([]byte, len(src))
		err = p.r.payloadTo(dst, src)
		if !bytes.Equal(src, was) {
			p.t.Fatal("payloadTo changed its source")
		}
		src = dst
	} else {
		err = p.r.payload(src)
	}
	p.msg = append(p.msg, src...)
	return err
}

// inflate is payload for a compressed message.
func (p *player) inflate(src []byte) error {
	r := &p.r
	if r.dec == nil {
		r.dec = flate.NewDecoder(flate.MaxWindowBits, false)
	}
	base := len(p.msg)
	for len(src) > 0 || r.left == 0 && r.more {
		dst := slices.Grow(p.msg, 100)
		if p.apart {
			dst, base = make([]byte, 0, 1+len(p.msg)%7), 0
		}
		was := bytes.Clone(src)
		out, n, err := r.inflate(dst, base, src)
		if err == nil && len(out) < cap(out) && n < len(src) {
			p.t.Fatalf("inflate has room, and left %d bytes", len(src)-n)
		}
		if !bytes.Equal(src[n:], was[n:]) {
			p.t.Fatal("inflate changed what it did not take")
		}
		src = src[n:]
		if p.apart {
			p.msg = append(p.msg, out...)
			r.dec.Save(out, 0)
		} else {
			p.msg = out
		}
		if err != nil {
			return err
		}
	}
	if !p.apart {
		r.dec.Save(p.msg, base) // comes to nothing if the message is over
	}
	return nil
}

// fail writes err down and checks that it is the last word.
func (p *player) fail(err error) {
	p.err = err
	for _, in := range [][]byte{nil, {0x81, 0}, {0x81, 0x80, 1, 2, 3, 4}, {0x88, 0}} {
		if n, ev, ctl, again := p.r.next(in); n != 0 || ev != evMore || ctl != nil || again != err {
			p.t.Fatalf("after %v: next(% x) = %d, %d, % x, %v", err, in, n, ev, ctl, again)
		}
	}
}

// outcome is all that counts, as text.
func (p *player) outcome() string {
	var b strings.Builder
	for _, s := range p.log {
		fmt.Fprintln(&b, s)
	}
	if p.err != nil {
		var pe *ProtocolError
		if !errors.As(p.err, &pe) {
			p.t.Fatalf("%v is not a ProtocolError", p.err)
		}
		fmt.Fprintf(&b, "error %d, section %s\n", pe.Code, pe.Section)
	} else if !p.r.idle() {
		fmt.Fprintf(&b, "under way: %q\n", p.msg)
	}
	return b.String()
}

// play feeds wire to a receiver that begins as r, in pieces that end at cuts.
func play(t testing.TB, r receiver, apart bool, wire []byte, cuts ...int) *player {
	t.Helper()
	p := &player{r: r, apart: apart, t: t}
	done := 0
	for _, cut := range cuts {
		p.feed(wire[done:cut])
		done = cut
	}
	p.feed(wire[done:])
	return p
}

// playEveryWay feeds wire whole, byte by byte and cut at every point, and
// checks that the outcome is always the same. It returns the player that got
// it byte by byte, which knows at which byte an error came.
func playEveryWay(t testing.TB, r receiver, wire []byte) *player {
	t.Helper()
	var each []int
	for i := range wire {
		each = append(each, i+1)
	}
	one := play(t, r, false, wire, each...)
	want, text := one.outcome(), fmt.Sprint(one.err)
	check := func(apart bool, cuts ...int) {
		t.Helper()
		p := play(t, r, apart, wire, cuts...)
		if got := p.outcome(); got != want || fmt.Sprint(p.err) != text {
			t.Fatalf("% x\ncut at %v:\n%s%v\nbyte by byte:\n%s%v", wire, cuts, got, p.err, want, text)
		}
	}
	check(true, each...)
	check(false)
	check(true)
	for i := range wire {
		check(false, i)
		check(true, i)
		for j := i; j < len(wire) && len(wire) <= 32; j++ {
			check(j&1 == 0, i, j)
		}
	}
	return one
}

// inBothRoles runs f for a server, which gets masked frames, and a client.
func inBothRoles(t *testing.T, f func(t *testing.T, r receiver, masked bool)) {
	t.Run("server", func(t *testing.T) { f(t, receiver{limit: 1 << 20}, true) })
	t.Run("client", func(t *testing.T) { f(t, receiver{limit: 1 << 20, client: true}, false) })
}

func TestReceiverStreams(t *testing.T) {
	long, full := strings.Repeat("Zürich ", 20), strings.Repeat("x", 125)
	for _, tt := range []struct {
		name   string
		frames []wireFrame
		want   []string
	}{
		{"text", []wireFrame{{0x81, "Hello"}}, []string{`text "Hello"`}},
		{"binary", []wireFrame{{0x82, "\x00\xff\xc3"}}, []string{`binary "\x00\xff\xc3"`}},
		{"empty messages", []wireFrame{{0x81, ""}, {0x82, ""}, {0x81, ""}}, []string{`text ""`, `binary ""`, `text ""`}},
		{"16-bit length", []wireFrame{{0x81, long}, {0x82, "end"}}, []string{fmt.Sprintf("text %q", long), `binary "end"`}},
		{"fragments", []wireFrame{{0x01, "Hel"}, {0x00, "l"}, {0x80, "o"}, {0x82, "x"}}, []string{`text "Hello"`, `binary "x"`}},
		{"empty fragments", []wireFrame{{0x01, ""}, {0x00, ""}, {0x00, "Hi"}, {0x00, ""}, {0x80, ""}}, []string{`text "Hi"`}},
		{"nothing but empty fragments", []wireFrame{{0x02, ""}, {0x00, ""}, {0x80, ""}, {0x81, "x"}}, []string{`binary ""`, `text "x"`}},
		{"control frames among fragments",
			[]wireFrame{{0x89, "before"}, {0x01, "Hel"}, {0x89, ""}, {0x8a, "pong"}, {0x00, ""}, {0x89, "2"}, {0x80, "lo"}, {0x8a, ""}},
			[]string{`ping "before"`, `ping ""`, `pong "pong"`, `ping "2"`, `text "Hello"`, `pong ""`}},
		{"the longest control frames", []wireFrame{{0x89, full}, {0x8a, full}}, []string{fmt.Sprintf("ping %q", full), fmt.Sprintf("pong %q", full)}},
		{"characters across fragments",
			[]wireFrame{{0x01, "\xf0"}, {0x00, "\x9f"}, {0x89, "\xff"}, {0x00, ""}, {0x00, "\x99"}, {0x00, "\x82\xc3"}, {0x80, "\xbc"}},
			[]string{`ping "\xff"`, `text "🙂ü"`}},
		{"characters anywhere", []wireFrame{{0x01, "aü€\xf0\x90"}, {0x80, "\x8d\x88\u0000\uFFFF\U0010FFFF"}}, []string{`text "aü€𐍈\x00\uffff\U0010ffff"`}},
		{"close in the end", []wireFrame{{0x81, "Hello"}, {0x88, "\x03\xe8bye"}}, []string{`text "Hello"`, `close "\x03\xe8bye"`}},
		{"close without a code", []wireFrame{{0x88, ""}}, []string{`close ""`}},
		{"close with nothing but a code", []wireFrame{{0x88, "\x0f\xa0"}}, []string{`close "\x0f\xa0"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
				p := playEveryWay(t, r, encode(masked, tt.frames...))
				if p.err != nil || !slices.Equal(p.log, tt.want) || !p.r.idle() {
					t.Errorf("got %q, error %v, idle %v; want %q", p.log, p.err, p.r.idle(), tt.want)
				}
			})
		})
	}
}

// A receiver is idle where a connection may be left alone for long: between
// messages, and not inside a frame.
func TestReceiverIdle(t *testing.T) {
	frames := []wireFrame{{0x89, "ping"}, {0x81, "Hello"}, {0x01, ""}, {0x8a, ""}, {0x00, "x"}, {0x89, "p"}, {0x80, ""}, {0x82, ""}, {0x88, ""}}
	open := []bool{false, false, true, true, true, true, false, false, false} // a message is, behind the frame
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		idle := map[int]bool{0: true}
		for i := range frames {
			idle[len(encode(masked, frames[:i+1]...))] = !open[i]
		}
		wire := encode(masked, frames...)
		for cut := range len(wire) + 1 {
			if p := play(t, r, false, wire[:cut]); p.err != nil || p.r.idle() != idle[cut] {
				t.Errorf("behind %d bytes: idle() = %v, error %v; want %v", cut, p.r.idle(), p.err, idle[cut])
			}
		}
	})
}

// An extension gives reserved bits a meaning, but only its own.
func TestReceiverNegotiatedBits(t *testing.T) {
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		for _, allowed := range []uint8{0, RSV1, RSV2, RSV1 | RSV3} {
			for set := range byte(8) {
				r.rsv = allowed
				p := playEveryWay(t, r, encode(masked, wireFrame{0x82 | set<<4, "x"}))
				if set<<4&^allowed != 0 {
					wantViolation(t, p.err, StatusProtocolError, "5.2")
				} else if p.err != nil || len(p.log) != 1 || p.hdr.RSV != set<<4 {
					t.Errorf("bits %#x of %#x: %q, %v, header %+v", set<<4, allowed, p.log, p.err, p.hdr)
				}
			}
		}
	})
}

// A close frame ends the input, but its end is no error.
func TestReceiverNothingBehindClose(t *testing.T) {
	p := play(t, receiver{limit: 10}, false, encode(true, wireFrame{0x01, "a"}, wireFrame{0x88, "\x03\xe8"}))
	for range 3 {
		if n, ev, _, err := p.r.next(nil); n != 0 || ev != evMore || err != nil {
			t.Fatalf("nothing behind a close frame: %d, %d, %v", n, ev, err)
		}
	}
	if n, _, _, err := p.r.next([]byte{0}); n != 0 || err == nil {
		t.Errorf("a byte behind a close frame: took %d, error %v", n, err)
	}
}

// TestReceiverRest: what only something under way needs is held from its first
// byte to its last.
func TestReceiverRest(t *testing.T) {
	inBothRoles(t, func(t *testing.T, r receiver, masked bool) {
		var wire []byte
		ends := make(map[int]bool) // where nothing is under way
		for _, frames := range [][]wireFrame{
			{{0x82, "one"}},
			{{0x89, "ping"}},
			{{0x01, "\xe2"}, {0x8a, ""}, {0x00, "\x82"}, {0x80, "\xac"}},
			{{0x82, strings.Repeat("long", 100)}},
		} {
			wire = append(wire, encode(masked, frames...)...)
			ends[len(wire)] = true
		}
		p := &player{r: r, t: t}
		for i := range wire {
			p.feed(wire[i : i+1])
			p.r.reset()
			if held := p.r.partial != nil; p.err != nil || held == ends[i+1] {
				t.Fatalf("byte %d: held %v, %v", i+1, held, p.err)
			}
		}
	})
}
