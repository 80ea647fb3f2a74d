package websocket

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestSenderHeaders(t *testing.T) {
	for _, client := range []bool{false, true} {
		s := sender{client: client}
		for i, tt := range []struct {
			op   Opcode
			fin  bool
			want Opcode
		}{
			{OpText, true, OpText},
			{OpBinary, true, OpBinary},
			{OpText, false, OpText},
			{OpText, false, OpContinuation},
			{OpPing, true, OpPing}, // inside the message, and no part of it
			{OpText, false, OpContinuation},
			{OpPong, true, OpPong},
			{OpText, true, OpContinuation},
			{OpBinary, false, OpBinary},
			{OpBinary, true, OpContinuation},
			{OpBinary, true, OpBinary},
			{OpText, false, OpText},
			{OpClose, true, OpClose},
			{OpText, true, OpContinuation},
			{OpText, true, OpText},
		} {
			h := s.next(tt.op, tt.fin, i*1000)
			want := Header{Fin: tt.fin, Opcode: tt.want, Masked: client, Key: h.Key, Length: int64(i * 1000)}
			if h != want {
				t.Errorf("client %v, frame %d: %+v, want %+v", client, i, h, want)
			}
			if !client && h.Key != [4]byte{} {
				t.Errorf("frame %d: the server has a masking key", i)
			}
		}
	}
}

// Keys are fresh and unpredictable as far as a test can tell: none twice but
// by chance, every bit as often 0 as 1, no byte used in two keys. The bounds
// are wide enough for billions of runs.
func TestMaskKeys(t *testing.T) {
	const routines, each = 4, 4096
	drawn := make([][][4]byte, routines)
	var wg sync.WaitGroup
	for i := range drawn {
		wg.Go(func() {
			s := sender{client: true}
			for range each {
				drawn[i] = append(drawn[i], s.next(OpBinary, true, 0).Key)
			}
		})
	}
	wg.Wait()

	seen := map[[4]byte]bool{}
	var ones [32]int
	repeats, overlaps := 0, 0
	for _, keys := range drawn {
		for i, key := range keys {
			if seen[key] {
				repeats++
			}
			seen[key] = true
			v := uint32(key[0])<<24 | uint32(key[1])<<16 | uint32(key[2])<<8 | uint32(key[3])
			for b := range ones {
				ones[b] += int(v >> b & 1)
			}
			if i > 0 && bytes.Equal(keys[i-1][1:], key[:3]) {
				overlaps++
			}
		}
	}
	const total = routines * each
	if repeats > 5 || overlaps > 3 { // expected: 0.03 and 0.001
		t.Errorf("of %d keys %d came again, and %d overlap", total, repeats, overlaps)
	}
	for b, n := range ones {
		if math.Abs(float64(n-total/2)) > 8*math.Sqrt(total)/2 { // eight standard deviations
			t.Errorf("bit %d is set in %d of %d keys", b, n, total)
		}
	}
	// Nor does one key follow from another by a difference: the distances of
	// neighbours, counted in bits, are those of a fair coin as well.
	distance := 0
	for _, keys := range drawn {
		for i := 1; i < len(keys); i++ {
			for j := range keys[i] {
				distance += bits.OnesCount8(keys[i][j] ^ keys[i-1][j])
			}
		}
	}
	if mean := float64(distance) / (routines * (each - 1)); math.Abs(mean-16) > 0.2 { // 9 standard deviations
		t.Errorf("two keys in a row differ in %.2f bits on average, want 16", mean)
	}
}

// roundTripSizes holds all small sizes, the borders of the length forms, and
// a sample up to 70,000.
func roundTripSizes() (sizes []int) {
	for n := range 301 {
		sizes = append(sizes, n)
	}
	for n := 65533; n <= 65538; n++ {
		sizes = append(sizes, n)
	}
	for n := 301; n < 70_000; n += 9973 {
		sizes = append(sizes, n)
	}
	return append(sizes, 70_000)
}

func TestAppendFrame(t *testing.T) {
	for _, client := range []bool{false, true} {
		s := sender{client: client}
		r := receiver{client: !client, limit: 70_000}
		for _, size := range roundTripSizes() {
			p := wstest.Noise(size, uint64(size))
			was := bytes.Clone(p)
			h := s.next(OpBinary, true, size)
			prefix := "what is there already"
			wire := appendFrame([]byte(prefix), h, p)
			if !bytes.Equal(p, was) || string(wire[:len(prefix)]) != prefix {
				t.Fatalf("size %d: appendFrame changed more than it should", size)
			}
			wire = wire[len(prefix):]
			head := h.Append(nil)
			if len(wire) != len(head)+size || !bytes.Equal(wire[:len(head)], head) {
				t.Fatalf("size %d: frame of %d bytes begins with % x, want % x", size, len(wire), wire[:min(len(wire), 14)], head)
			}
			if client && size >= 16 && bytes.Equal(wire[len(head):], p) {
				t.Fatalf("size %d: the client's payload is not masked", size)
			}
			if room := appendFrame(make([]byte, 0, 70_100), h, p); !bytes.Equal(room, wire) {
				t.Fatalf("size %d: the frame depends on the room for it", size)
			}
			for _, cut := range []int{0, 1, len(head) - 1, len(head), len(wire) / 2} {
				got := play(t, r, cut&1 == 0, wire, cut)
				want := fmt.Sprintf("binary %q", p)
				if got.err != nil || len(got.log) != 1 || got.log[0] != want {
					t.Fatalf("size %d, cut at %d: received %.80q, %v", size, cut, got.log, got.err)
				}
				if size > 140 && size != 65536 {
					break
				}
			}
		}
	}
}

// What a sender sends in fragments, with control frames among them, a
// receiver takes for one message.
func TestSenderToReceiver(t *testing.T) {
	for _, client := range []bool{false, true} {
		s := sender{client: client}
		var wire []byte
		for i, part := range []string{"", "Zür", "ich \xf0\x9f", "", "\x99\x82"} {
			wire = appendFrame(wire, s.next(OpText, i == 4, len(part)), []byte(part))
			if i == 2 {
				wire = appendFrame(wire, s.next(OpPing, true, 2), []byte("hi"))
			}
		}
		bye := appendClosePayload(nil, StatusGoingAway, "bye")
		wire = appendFrame(wire, s.next(OpClose, true, len(bye)), bye)
		p := playEveryWay(t, receiver{client: !client, limit: 100}, wire)
		want := "ping \"hi\"\ntext \"Zürich 🙂\"\nclose \"\\x03\\xe9bye\"\n"
		if got := p.outcome(); got != want {
			t.Errorf("client %v: got\n%swant\n%s", client, got, want)
		}
	}
}

func TestSenderAllocs(t *testing.T) {
	p, buf, msg := wstest.Noise(5000, 1), make([]byte, 0, 3*5100), make([]byte, 5000)
	for _, client := range []bool{false, true} {
		s := sender{client: client}
		r := receiver{client: !client, limit: 5000}
		if allocs := testing.AllocsPerRun(200, func() {
			wire := appendFrame(buf, s.next(OpPing, true, 125), p[:125])
			wire = appendFrame(wire, s.next(OpBinary, true, len(p)), p)
			for len(wire) > 0 {
				n, ev, _, err := r.next(wire)
				if wire = wire[n:]; err != nil {
					t.Fatal(err)
				}
				if ev == evData {
					if err := r.payloadTo(msg, wire[:r.left]); err != nil {
						t.Fatal(err)
					}
					wire = wire[len(msg):]
					if end, err := r.endFrame(); !end || err != nil {
						t.Fatal(end, err)
					}
				}
			}
		}); allocs != 0 {
			t.Errorf("client %v: a ping and a message cost %v allocations", client, allocs)
		}
		if !bytes.Equal(msg, p) {
			t.Error("the message is another")
		}
		clear(msg)
	}
}
