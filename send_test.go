package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// isClosed reports whether a channel of Drained is closed.
func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// nth is a message of the given size that can be told from others.
func nth(i, size int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(i)), bytes.Repeat([]byte{byte(i)}, size-4)...)
}

// isNth reports whether p is nth(i, len(p)).
func isNth(p []byte, i int) bool {
	return len(p) >= 4 && bytes.Equal(p, nth(i, len(p)))
}

// sendUntilFull sends numbered messages, by Send and by SendPrepared, until one
// is refused, and returns how many were not.
func sendUntilFull(t *testing.T, c *Conn, size int) (n int) {
	t.Helper()
	for ; n < 1e5; n++ {
		if got := c.Buffered(); got > c.opts.SendBuffer {
			t.Fatalf("%d bytes are queued, of %d", got, c.opts.SendBuffer)
		}
		p := nth(n, size)
		var err error
		if n%2 == 0 {
			err = c.Send(Binary, p)
			clear(p) // it must not have been kept
		} else {
			var m *PreparedMessage
			if m, err = NewPreparedMessage(Binary, p); err == nil {
				clear(p)
				err = c.SendPrepared(m)
			}
		}
		if err == ErrBackpressure {
			time.Sleep(20 * time.Millisecond) // a goroutine may still find room in the transport
			if c.Buffered()+size > c.opts.SendBuffer-maxHeaderSize {
				return n
			}
			n--
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the queue has no bound")
	return 0
}

// TestSendBackpressure: to a peer that does not read, Send never waits and
// queues no more than it may. What it has taken arrives, whole and in order;
// what it has refused does not.
func TestSendBackpressure(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		t.Run(fmt.Sprintf("client=%v", client), func(t *testing.T) {
			t.Parallel()
			overRaw(t, client, Options{SendBuffer: 64 << 10, PingInterval: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
				const size = 10_000
				n := sendUntilFull(t, c, size)
				drained := c.Drained()
				// On a busy system the transport still takes some.
				for tries := 0; ; tries++ {
					err := c.Send(Binary, nth(n, size))
					if err == nil {
						n++
					} else if err != ErrBackpressure || tries > 1e5 {
						t.Fatalf("after %d tries: %v, drained %v, %d bytes queued", tries, err, isClosed(drained), c.Buffered())
					}
					if err != nil && !isClosed(drained) && c.Buffered() > 64<<10-size-100 {
						break
					}
					drained = c.Drained()
					time.Sleep(100 * time.Microsecond)
				}
				r := frameReader{nc: peer}
				for i := range n {
					f, err := r.next()
					if err != nil || f.Opcode != OpBinary || len(f.payload) != size || !isNth([]byte(f.payload), i) {
						t.Fatal(i, f.Header, err)
					}
				}
				mustReceive(t, drained)
				if got := c.Buffered(); got != 0 {
					t.Errorf("drained with %d bytes buffered", got)
				}
				if err := c.Send(Text, []byte("again")); err != nil {
					t.Fatal(err)
				}
				if f, err := r.next(); f.payload != "again" || err != nil {
					t.Fatal(f, err)
				}
				until(t, "they were counted", func() bool { return c.Stats().MessagesWritten == uint64(n)+1 })
			})
		})
	}
}

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
						p := nth(i, 4+rnd.IntN(8_000))
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
				if _, p, err := reads(dir.to).Read(bg); err != nil || !isNth(p, i) {
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
	go func() { written <- c.Write(bg, Binary, nth(0, 100)) }()
	until(t, "it writes", func() bool { return busy(c) })
	for i := 1; i <= 2; i++ {
		if err := c.Send(Binary, nth(i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	go func() { written <- c.Write(bg, Binary, nth(3, 100)) }()
	until(t, "another one waits", func() bool { return waiters(c) == 1 })
	if err := c.Send(Binary, nth(4, 100)); err != nil {
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
		if f, err := r.next(); err != nil || !isNth([]byte(f.payload), i) {
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
	if err := c.Send(Binary, nth(5, 100)); err != nil {
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

// TestSendThenClose: what Send has taken leaves ahead of the close frame.
func TestSendThenClose(t *testing.T) {
	overRaw(t, false, Options{SendBuffer: 256 << 10, CloseTimeout: 10 * time.Second}, func(t *testing.T, c *Conn, peer net.Conn) {
		n := sendUntilFull(t, c, 30_000)
		drained := c.Drained()
		closed := make(chan error, 1)
		go func() { closed <- c.Close(StatusNormalClosure, "") }()
		mustReceive(t, drained) // there is nothing to wait for any more
		if err := c.Send(Text, nil); CloseCode(err) != StatusNormalClosure {
			t.Error(err)
		}
		if !isClosed(c.Drained()) {
			t.Error("Drained waits for a connection that is closing")
		}
		r := frameReader{nc: peer}
		for i := range n {
			if f, err := r.next(); err != nil || !isNth([]byte(f.payload), i) {
				t.Fatal(i, f.Header, err)
			}
		}
		if f, err := r.next(); err != nil || f.Opcode != OpClose {
			t.Fatal(f, err)
		}
		peer.Write(closeFrame(true, StatusNormalClosure, ""))
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// TestSendBehindStreamThenClose: what waits for a message that will never be
// completed is given up, and the close frame goes out.
func TestSendBehindStreamThenClose(t *testing.T) {
	overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		w, err := c.Writer(bg, Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, strings.Repeat("x", fragmentSize))
		if err := c.Send(Text, []byte("behind")); err != nil {
			t.Fatal(err)
		}
		go c.Close(StatusNormalClosure, "")
		r := frameReader{nc: peer}
		for _, op := range []Opcode{OpText, OpClose} {
			if f, err := r.next(); err != nil || f.Opcode != op {
				t.Fatal(f.Header, err)
			}
		}
		if err := w.Close(); CloseCode(err) != StatusNormalClosure {
			t.Error(err)
		}
		until(t, "nothing buffered", func() bool { return c.Buffered() == 0 })
	})
}

// TestSendToTheDead: a peer that goes away with a queue for it.
func TestSendToTheDead(t *testing.T) {
	t.Parallel()
	overRaw(t, false, Options{SendBuffer: 32 << 10}, func(t *testing.T, c *Conn, peer net.Conn) {
		sendUntilFull(t, c, 8_000)
		drained := c.Drained()
		peer.Close() // with input unread, a reset
		mustReceive(t, drained)
		// The system may have taken the queue before: then it is the next write that fails.
		until(t, "the end", func() bool {
			err := c.Send(Text, []byte("more"))
			return err != nil && !errors.Is(err, ErrBackpressure)
		})
		mustReceive(t, c.ended())
		if err := c.Send(Text, []byte("late")); CloseCode(err) != StatusAbnormalClosure {
			t.Error(err)
		}
	})
}

// TestSendMisuse: each call returns an error, and the connection goes on.
func TestSendMisuse(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	server.opts = &Options{SendBuffer: 1000}
	tooBig, err := NewPreparedMessage(Binary, make([]byte, 1000))
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range []error{
		server.Send(3, nil),
		server.Send(Text, []byte("\xff")),
		server.SendPrepared(nil),
		server.WritePrepared(bg, nil),
		server.WritePrepared(nil, tooBig), //lint:ignore SA1012 that is the point
		server.SendPrepared(tooBig),
		server.Send(Binary, make([]byte, 1000)),
	} {
		if err == nil || errors.Is(err, ErrMessageTooBig) != (i >= 5) {
			t.Error(i, err)
		}
	}
	for _, p := range []struct {
		typ MessageType
		p   string
	}{{0, ""}, {Text, "\xc0"}, {8, ""}} {
		if _, err := NewPreparedMessage(p.typ, []byte(p.p)); err == nil {
			t.Error("prepared", p)
		}
	}
	if !isClosed(server.Drained()) {
		t.Error("Drained waits for nothing")
	}
	if err := server.Send(Text, []byte("well")); err != nil {
		t.Error(err)
	}
	if _, p, err := client.Read(bg); string(p) != "well" || err != nil {
		t.Error(string(p), err)
	}
}

// TestSendFromEverywhere: senders, writers, pings and a reader that pauses.
// Nothing is lost that was taken, nothing doubled, each sender's order is kept.
func TestSendFromEverywhere(t *testing.T) {
	overTransports(t, Options{SendBuffer: 32 << 10}, func(t *testing.T, client, server *Conn) {
		const senders, each = 6, 150
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := 0; i < each; {
					p := append([]byte{byte(s)}, nth(i, 1000)...)
					var err error
					switch m, _ := NewPreparedMessage(Binary, p); s % 3 {
					case 0:
						err = server.Send(Binary, p)
					case 1:
						err = server.SendPrepared(m)
					default:
						err = server.Write(bg, Binary, p)
					}
					switch err {
					case nil:
						i++
					case ErrBackpressure:
						<-server.Drained()
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		var next [senders]int
		for n := range senders * each {
			_, p, err := reads(client).Read(bg)
			if err != nil {
				t.Fatal(err)
			}
			if s := p[0]; !isNth(p[1:], next[s]) {
				t.Fatalf("sender %d: something else than message %d", s, next[s])
			} else {
				next[s]++
			}
			if n%200 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		all.Wait()
		mustReceive(t, server.Drained())
	})
}
