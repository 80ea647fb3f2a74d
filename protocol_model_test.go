package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// verdict is what RFC 6455 says of an input.
type verdict struct {
	log     []string // messages and control frames, as a player has them
	code    int      // of the violation, or 0
	section string
	at      int    // bytes of input by which the violation is certain, for one of text
	partial []byte // what there is of an unfinished message
	between bool   // the input ends between messages, not inside a frame
}

// judge is a reference model of the receiver: it has the whole input, works
// through it frame by frame from the start and saves no work.
func judge(wire []byte, client bool, limit uint64) (v verdict) {
	message, opcode := []byte(nil), 0 // opcode 0: no message is under way
	closed := false
	fail := func(at, code int, section string) verdict {
		v.code, v.section, v.at = code, section, at
		return v
	}
	for pos := 0; ; {
		rest := wire[pos:]
		v.partial, v.between = message, len(rest) == 0 && opcode == 0
		if len(rest) == 0 {
			return v
		}
		// 5.5.1: "The application MUST NOT send any more data frames after
		// sending a Close frame", and nothing else has a use either.
		if closed {
			return fail(pos+1, 1002, "5.5.1")
		}
		// 5.2, field by field, as far as a frame stands for itself.
		if len(rest) < 2 {
			return v
		}
		fin, rsv, op := rest[0]/128 == 1, rest[0]/16%8, int(rest[0]%16)
		masked, length := rest[1]/128 == 1, uint64(rest[1]%128)
		if op >= 3 && op <= 7 || op >= 11 {
			return fail(pos+2, 1002, "5.2")
		}
		if op >= 8 && (!fin || length > 125) {
			return fail(pos+2, 1002, "5.5")
		}
		size := 2
		switch length {
		case 126:
			size = 4
		case 127:
			size = 10
		}
		if len(rest) < size {
			return v
		}
		if size > 2 {
			length = 0
			for _, c := range rest[2:size] {
				length = length*256 + uint64(c)
			}
			if length > 1<<63-1 || size == 4 && length < 126 || size == 10 && length < 65536 {
				return fail(pos+size, 1002, "5.2")
			}
		}
		var key []byte
		if masked {
			if len(rest) < size+4 {
				return v
			}
			key = rest[size : size+4]
			size += 4
		}
		// What depends on the connection and on the frames before.
		pos += size
		rest = rest[size:]
		if rsv != 0 {
			return fail(pos, 1002, "5.2")
		}
		if masked == client {
			return fail(pos, 1002, "5.1")
		}
		if op < 8 {
			if op == 0 && opcode == 0 || op != 0 && opcode != 0 {
				return fail(pos, 1002, "5.4")
			}
			if uint64(len(message))+length > limit {
				return fail(pos, 1009, "7.4.1")
			}
			if opcode == 0 {
				opcode = op
			}
		}
		// The payload, or what there is of it.
		payload := bytes.Clone(rest)
		whole := uint64(len(rest)) >= length
		if whole {
			payload = payload[:length]
		}
		if masked {
			for i := range payload {
				payload[i] ^= key[i%4]
			}
		}
		if op >= 8 {
			if !whole {
				v.between = false
				return v
			}
			pos += len(payload)
			if op == 8 {
				if code, _, ok := modelClosePayload(payload); !ok {
					section := "5.5.1"
					if code == 1002 && len(payload) >= 2 {
						section = "7.4"
					}
					return fail(pos, code, section)
				}
				closed = true
			}
			v.log = append(v.log, fmt.Sprintf("%s %q", map[int]string{8: "close", 9: "ping", 10: "pong"}[op], payload))
			continue
		}
		before := len(message)
		message = append(message, payload...)
		if opcode == 1 {
			if bad := firstBad(message); bad < len(message) {
				return fail(pos+bad-before+1, 1007, "8.1")
			}
		}
		if !whole {
			v.partial, v.between = message, false
			return v
		}
		pos += len(payload)
		if !fin {
			continue
		}
		if opcode == 1 && !utf8.Valid(message) {
			return fail(pos, 1007, "8.1")
		}
		v.log = append(v.log, fmt.Sprintf("%s %q", map[int]string{1: "text", 2: "binary"}[opcode], message))
		message, opcode = nil, 0
	}
}

// firstBad returns the index of the first byte of p that no valid text can
// have there, or the length of p. By definition text[:n] is a start of
// something valid if some completion of it is, and the last character lacks
// three bytes at most. The range of each of them is among those that begin
// at 0x80 or end at 0xBF.
func firstBad(p []byte) int {
	start := 0 // of the character under way
	for i := range p {
		char := string(p[start : i+1])
		if utf8.ValidString(char) {
			start = i + 1
			continue
		}
		ok := false
		for _, rest := range []string{"\x80", "\xbf", "\x80\x80", "\xbf\x80", "\x80\x80\x80", "\xbf\x80\x80"} {
			ok = ok || utf8.ValidString(char+rest)
		}
		if !ok {
			return i
		}
	}
	return len(p)
}

// checkAgainstModel has a receiver get wire in pieces, whose sizes come from
// pattern over and over, and compares with what the model says.
func checkAgainstModel(t *testing.T, wire []byte, client bool, limit int64, pattern []byte) {
	t.Helper()
	want := judge(wire, client, uint64(limit))
	bytewise := len(pattern) > 0 && bytes.Count(pattern, []byte{1}) == len(pattern)
	p := &player{r: receiver{client: client, limit: limit}, apart: len(pattern)&1 == 1, t: t}
	for done, i := 0, 0; done < len(wire); i++ {
		size := len(wire)
		if len(pattern) > 0 {
			size = int(pattern[i%len(pattern)])
			if size == 0 && i < len(pattern) {
				p.feed(nil)
			}
			size = max(size, 1)
		}
		next := min(done+size, len(wire))
		p.feed(wire[done:next])
		done = next
	}

	outcome := strings.Join(p.log, "\n")
	code, section := 0, ""
	if pe, ok := p.err.(*ProtocolError); ok {
		code, section = int(pe.Code), pe.Section
	} else if p.err != nil {
		t.Fatalf("the error is no ProtocolError but %v", p.err)
	}
	if outcome != strings.Join(want.log, "\n") || code != want.code || section != want.section {
		t.Fatalf("client %v, limit %d, pieces %v, % x:\ngot  %s\n%v\nwant %s\nerror %d of section %s",
			client, limit, pattern, wire, outcome, p.err, strings.Join(want.log, "\n"), want.code, want.section)
	}
	if bytewise && code == 1007 && p.fed != want.at {
		t.Fatalf("% x: refused at byte %d, want %d", wire, p.fed, want.at)
	}
	if p.err == nil && (!bytes.Equal(p.msg, want.partial) || p.r.idle() != want.between) {
		t.Fatalf("% x: %q is under way, idle %v; want %q, %v", wire, p.msg, p.r.idle(), want.partial, want.between)
	}
}

// randomWire makes up frames, most of them good, and spoils some.
func randomWire(rnd *rand.Rand, client bool) (wire []byte) {
	texts := []string{"", "a", "Hello", "ü", "\xc3", "\xbc", "€🙂", "\xf0\x9f", "\x99\x82", "\xed", "\xed\x9f\xbf", strings.Repeat("long ", 30)}
	closes := []string{"", "\x03\xe8", "\x03\xe9bye", "\x0f\xa0ü", "\x03\xed", "\x03", "\x03\xe8\xff"}
	open := false
	for range 1 + rnd.IntN(8) {
		f := wireFrame{0x80 | byte(8+rnd.IntN(2)+rnd.IntN(2)), texts[rnd.IntN(len(texts)-1)]}
		if f.b0 == 0x88 && rnd.IntN(2) == 0 {
			f.b0 = 0x89
		}
		if f.b0 == 0x88 {
			f.payload = closes[rnd.IntN(len(closes))]
		}
		if rnd.IntN(3) > 0 {
			f.b0, f.payload = byte(1+rnd.IntN(2)), texts[rnd.IntN(len(texts))]
			if open {
				f.b0 = 0
			}
			if open = rnd.IntN(2) == 0; !open {
				f.b0 |= 0x80
			}
		}
		switch rnd.IntN(40) {
		case 0:
			f.b0 ^= 1 << rnd.IntN(8)
		case 1:
			f.payload += string([]byte{byte(rnd.Uint32())})
		}
		frame := encode(!client, f)
		if rnd.IntN(40) == 0 && len(frame) < 100 { // lengths in a longer form
			form := [][]byte{{126, 0}, {127, 0, 0, 0, 0, 0, 0, 0}}[rnd.IntN(2)]
			frame = append(append([]byte{frame[0], frame[1]&0x80 | form[0]}, form[1:]...), append([]byte{frame[1] & 0x7f}, frame[2:]...)...)
		}
		wire = append(wire, frame...)
	}
	switch rnd.IntN(10) {
	case 0:
		wire[rnd.IntN(len(wire))] ^= 1 << rnd.IntN(8)
	case 1:
		wire = wire[:rnd.IntN(len(wire))]
	case 2:
		wire = binary.BigEndian.AppendUint64(append(wire, 0x82, 127|byte(rnd.IntN(2))<<7), rnd.Uint64()>>rnd.IntN(64))
	}
	return wire
}

// TestReceiverModel is a fuzz target that knows what frames look like.
func TestReceiverModel(t *testing.T) {
	seen := map[string]int{} // how often the model said what
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		client, limit := seed&1 == 0, []int64{0, 5, 20, 1 << 20}[rnd.IntN(4)|rnd.IntN(4)]
		wire := randomWire(rnd, client)
		v := judge(wire, client, uint64(limit))
		seen[fmt.Sprint(v.code, " ", v.section)]++
		checkAgainstModel(t, wire, client, limit, nil)
		checkAgainstModel(t, wire, client, limit, []byte{1})
		checkAgainstModel(t, wire, client, limit, []byte{byte(rnd.IntN(9)), byte(rnd.IntN(20)), byte(rnd.IntN(3))})
	}
	for _, s := range []string{"0 ", "1002 5.1", "1002 5.2", "1002 5.4", "1002 5.5", "1002 5.5.1", "1002 7.4", "1007 5.5.1", "1007 8.1", "1009 7.4.1"} {
		if seen[s] < 5 {
			t.Errorf("only %d of the inputs are a case of %q: %v", seen[s], s, seen)
		}
	}
}

func FuzzReceiver(f *testing.F) {
	for seed := range uint64(60) {
		client := seed&1 == 0
		f.Add(randomWire(rand.New(rand.NewPCG(seed, 2)), client), client, int64(seed*seed), []byte{byte(seed % 7), 1})
	}
	f.Add(unhex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), false, int64(5), []byte{1})
	f.Add(unhex("01 03 48 65 6c 80 02 6c 6f 88 02 03 e8 89 00"), true, int64(1<<20), []byte(nil))
	f.Add(unhex("02 01 00 80 7f 7f ff ff ff ff ff ff ff"), true, int64(1<<63-1), []byte{3, 0})
	f.Fuzz(func(t *testing.T, wire []byte, client bool, limit int64, pattern []byte) {
		checkAgainstModel(t, wire, client, max(limit, 0), pattern)
		checkAgainstModel(t, wire, client, max(limit, 0), []byte{1})
	})
}
