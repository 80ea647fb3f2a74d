package websocket

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"unsafe"

	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
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

// TestPreparedIsEncodedOnce: once per window and level that is in use, and each
// connection is given the same memory.
func TestPreparedIsEncodedOnce(t *testing.T) {
	m, err := NewPreparedMessage(Text, deflatetest.Text(1000, 1))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []*compression{
		nil,
		{Level: 4, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 9, RecvBits: 15},
		{Level: 4, SendBits: 15, RecvBits: 9, SendTakeover: true, RecvTakeover: true},
		{Level: 1, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 15, RecvBits: 15, Threshold: 1001},
	}
	frames := make(map[*byte]int)
	for range 3 {
		for _, k := range kinds {
			a, b := net.Pipe()
			defer b.Close()
			c := newConn(a, connConfig{opts: Options{}.withDefaults(), agreement: compressing(k)})
			defer c.CloseNow()
			var f outFrame
			m.frame(c, &f)
			frames[unsafe.SliceData(f.p)]++
			if f.pack != packNone != (k != nil && k.SendTakeover) {
				t.Errorf("%+v: packing %d", k, f.pack)
			}
		}
	}
	if len(frames) != 4 { // plain, and three of the compressed kinds differ
		t.Errorf("%d encodings", len(frames))
	}
	n := 0
	for v := m.encoded.Load(); v != nil; v = v.next {
		n++
	}
	if n != 3 {
		t.Errorf("compressed %d times", n)
	}
}

// TestPreparedGetsNoSmaller: then it goes out plain, with takeover, too.
func TestPreparedGetsNoSmaller(t *testing.T) {
	p := make([]byte, 1000)
	rnd := rand.NewChaCha8([32]byte{1})
	rnd.Read(p)
	m, err := NewPreparedMessage(Binary, p)
	if err != nil {
		t.Fatal(err)
	}
	client, server := compressedPair(t, compression{Level: 4, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true})
	var f outFrame
	if m.frame(server, &f); f.pack != packNone || unsafe.SliceData(f.p) != unsafe.SliceData(m.plain) {
		t.Error("something else than the plain frame", f.pack)
	}
	if err := server.SendPrepared(m); err != nil {
		t.Fatal(err)
	}
	if _, got, err := client.Read(bg); !bytes.Equal(got, p) || err != nil {
		t.Error(len(got), err)
	}
}

// TestSendAllocs: Send and SendPrepared allocate nothing as long as the peer
// keeps up.
func TestSendAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop things at random under the race detector")
	}
	for _, k := range kinds {
		if k.name != "tcp" && k.name != "loop tcp" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			c, peer := k.raw(t, false, Options{PingInterval: -1})
			msg := deflatetest.Text(1000, 1)
			m, err := NewPreparedMessage(Text, msg)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			for name, send := range map[string]func() error{
				"Send":          func() error { return c.Send(Text, msg) },
				"SendPrepared":  func() error { return c.SendPrepared(m) },
				"WritePrepared": func() error { return c.WritePrepared(bg, m) },
			} {
				n := testing.AllocsPerRun(200, func() {
					if err := send(); err != nil {
						t.Fatal(err)
					}
					for got := 0; got < len(m.plain); {
						n, err := peer.Read(buf)
						if err != nil {
							t.Fatal(err)
						}
						got += n
					}
				})
				if n != 0 {
					t.Errorf("%s: %v allocations", name, n)
				}
			}
		})
	}
}
