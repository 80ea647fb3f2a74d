package pump

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// TestRandom: whatever deadlines do, what counts as written arrives, once and in
// order.
func TestRandom(t *testing.T) {
	for seed := range uint64(200) {
		in(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			a, b := bufpipe.New(1 + rnd.IntN(100<<10))
			random(t, New(&bare{Conn: a}), New(&bare{Conn: b}), rnd, func() {
				if rnd.IntN(4) == 0 {
					synctest.Wait()
				}
			})
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestRandomReal is TestRandom with a clock that does not wait for the goroutines.
func TestRandomReal(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		a, b := net.Pipe()
		random(t, New(a), New(b), rnd, func() {})
	}
	none(t, "Conn).read", "Conn).write")
}

// random has both ends write under deadlines and read under deadlines, all at once.
func random(t *testing.T, a, b *Conn, rnd *rand.Rand, pause func()) {
	t.Helper()
	var all sync.WaitGroup
	for i, ends := range [][2]*Conn{{a, b}, {b, a}} {
		total := 1 + rnd.IntN(300<<10)
		data := pattern(total)
		writes, reads := rand.New(rand.NewPCG(rnd.Uint64(), 1)), rand.New(rand.NewPCG(rnd.Uint64(), 2))
		all.Go(func() {
			for sent := 0; sent < total; {
				ends[0].SetWriteDeadline(deadline(writes))
				p := data[sent:min(sent+1+writes.IntN(100<<10), total)]
				n, err := ends[0].Write(p)
				if n < len(p) != (err != nil) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("way %d: %d of %d bytes are written, error %v", i, n, len(p), err)
					return
				}
				sent += n
			}
		})
		all.Go(func() {
			var got []byte
			for len(got) < total {
				ends[1].SetReadDeadline(deadline(reads))
				size := 1 + reads.IntN(30)
				if reads.IntN(2) == 0 {
					size = 1 + reads.IntN(60<<10)
				}
				p := make([]byte, size)
				n, err := ends[1].Read(p)
				if err != nil && (n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
					t.Errorf("way %d: read %d bytes, %v", i, n, err)
					return
				}
				got = append(got, p[:n]...)
			}
			if !bytes.Equal(got, data) {
				t.Errorf("way %d: what has arrived is not what was written", i)
			}
		})
	}
	pause()
	all.Wait()
	a.SetDeadline(time.Time{})
	if err := a.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	b.SetReadDeadline(time.Time{})
	if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d bytes behind the end, %v", n, err)
	}
	b.Close()
}

// deadline is one that may have passed, may pass soon, or is not there.
func deadline(rnd *rand.Rand) time.Time {
	switch rnd.IntN(4) {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(1, 0)
	}
	return time.Now().Add(time.Duration(rnd.IntN(200)) * time.Microsecond)
}
