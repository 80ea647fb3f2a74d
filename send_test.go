package websocket

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestSendOrder: messages of one goroutine leave in order, however they are
// sent, and the connection's own frames do no harm.
func TestSendOrder(t *testing.T) {
	overTransports(t, Options{SendBuffer: 8 << 20}, func(t *testing.T, client, server *Conn) {
		for _, dir := range []struct{ from, to *Conn }{{server, client}, {client, server}} {
			const n = 600
			errs := make(chan error, 1)
			go func() {
				rnd := rand.New(rand.NewPCG(1, 2))
				errs <- func() error {
					for i := range n {
						p := wstest.Nth(i, 4+rnd.IntN(8_000))
						m, err := NewPreparedMessage(Binary, p)
						if err != nil {
							return err
						}
						switch rnd.IntN(5) {
						case 0:
							err = dir.from.Write(bg, Binary, p)
						case 1:
							err = dir.from.WritePrepared(bg, m)
						case 2:
							err = dir.from.SendPrepared(m)
						case 3:
							w, werr := dir.from.Writer(bg, Binary)
							if werr != nil {
								return werr
							}
							w.Write(p)
							err = w.Close()
						default:
							err = dir.from.Send(Binary, p)
						}
						if err != nil {
							return fmt.Errorf("message %d: %w", i, err)
						}
						if i%50 == 0 {
							dir.from.queuePing(uint64(i))
						}
					}
					return nil
				}()
			}()
			for i := range n {
				if _, p, err := reads(dir.to).Read(bg); err != nil || !wstest.IsNth(p, i) {
					t.Fatal(i, len(p), err)
				}
			}
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSendDoesNotWait: not for a Write that waits for the peer, nor for a
// message that is being streamed.
func TestSendDoesNotWait(t *testing.T) {
	s, c, peer := newShut(t, false)
	written := make(chan error, 1)
	go func() { written <- c.Write(bg, Binary, wstest.Nth(0, 100)) }()
	until(t, "it writes", func() bool { return busy(c) })
	for i := 1; i <= 2; i++ {
		if err := c.Send(Binary, wstest.Nth(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { written <- c.Write(bg, Binary, wstest.Nth(3, 100)) }()
	until(t, "another one waits", func() bool { return waiters(c) == 1 })
	if err := c.Send(Binary, wstest.Nth(4, 100)); err != nil {
		t.Fatal(err)
	}
	if got := c.Buffered(); got < 400 {
		t.Errorf("%d bytes are buffered", got)
	}
	if err := c.Send(Binary, make([]byte, c.opts.SendBuffer-200)); err != ErrBackpressure {
		t.Error(err)
	}
	close(s.open)
	r := frameReader{nc: peer}
	for _, i := range []int{0, 1, 2, 4, 3} { // Send does not wait for those who wait
		if f, err := r.next(); err != nil || !wstest.IsNth([]byte(f.payload), i) {
			t.Fatal(i, f, err)
		}
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}

	w, err := c.Writer(bg, Text)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, strings.Repeat("x", fragmentSize))
	if err := c.Send(Binary, wstest.Nth(5, 100)); err != nil {
		t.Fatal(err)
	}
	c.queuePing(1)
	until(t, "it has left", func() bool {
		c.out.lock()
		defer c.out.unlock()
		return (c.out.queue == nil || c.out.queue.control.size() == 0) && !c.out.write.held()
	})
	if got := c.Buffered(); got == 0 {
		t.Error("nothing is buffered behind the stream")
	}
	io.WriteString(w, "y")
	w.Close()
	want := []Opcode{OpText, OpPing, OpContinuation, OpBinary}
	for i, op := range want {
		if f, err := r.next(); err != nil || f.Opcode != op {
			t.Fatal(i, f.Header, err)
		}
	}
	mustReceive(t, c.Drained())
}
