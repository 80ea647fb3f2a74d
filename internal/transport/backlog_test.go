package transport

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// TestBacklog compares a backlog with a slice.
func TestBacklog(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		l := GetBacklog()
		var want []byte
		for range 400 {
			p := bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(1<<rnd.IntN(16)))
			frame := append([]byte("header"), p...)
			switch rnd.IntN(6) {
			case 0:
				l.Copy(p)
				want = append(want, p...)
			case 1:
				l.Share(p)
				want = append(want, p...)
			case 2:
				if n := l.SetTail(append(l.Tail(len(frame)), frame...)); n != len(frame) {
					t.Fatalf("%d bytes were added, not %d", n, len(frame))
				}
				want = append(want, frame...)
			case 3:
				next := GetBacklog()
				next.Copy(frame)
				next.Share(p)
				cut := rnd.IntN(next.Len() + 1)
				next.Consume(cut)
				l.Append(next)
				want = append(want, slices.Concat(frame, p)[cut:]...)
			case 4:
				if l.Len() > 0 {
					n := l.Len() - rnd.IntN(min(l.Len(), 1000))
					l.Truncate(n)
					want = want[:n]
				}
			default:
				n := rnd.IntN(l.Len() + 1)
				l.Consume(n)
				want = want[n:]
			}
			if l.Len() != len(want) {
				t.Fatalf("%d bytes, not %d", l.Len(), len(want))
			}
			if v := l.Vector(make([][]byte, 0, 3)); !bytes.HasPrefix(want, bytes.Join(v, nil)) || len(v) == 0 != (len(want) == 0) {
				t.Fatal("the parts are something else")
			}
			if only := l.Only(); only != nil && !bytes.Equal(only, want) {
				t.Fatal("the only part is something else")
			}
		}
		if n := l.Len() / 3; n > 0 {
			b := l.piece(n)
			if !bytes.HasPrefix(want[n:], b.B) || len(b.B) != min(len(want)-n, maxBacklogPart) {
				t.Fatal("a piece is something else")
			}
			buffer.Put(b)
		}
		if got := bytes.Join(l.All(), nil); !bytes.Equal(got, want) {
			t.Fatal("the content is something else")
		}
		PutBacklog(l)
	}
}
