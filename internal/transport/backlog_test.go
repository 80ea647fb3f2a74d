package transport

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestBacklog compares a backlog with a slice.
func TestBacklog(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		l := GetBacklog()
		var want []byte
		for range 400 {
			p := bytes.Repeat([]byte{byte(rnd.Uint32())}, rnd.IntN(1<<rnd.IntN(16)))
			switch rnd.IntN(3) {
			case 0:
				l.Copy(p)
				want = append(want, p...)
			case 1:
				l.Share(p)
				want = append(want, p...)
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
		if got := bytes.Join(l.Vector(make([][]byte, 0, 1000)), nil); !bytes.Equal(got, want) {
			t.Fatal("the content is something else")
		}
		PutBacklog(l)
	}
}
