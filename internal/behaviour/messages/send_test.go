package messages_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
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

// sendUntilFull sends numbered messages, by Send and by SendPrepared, until one
// is refused, and returns how many were not. The connection has the bound as its
// SendBuffer.
func sendUntilFull(t *testing.T, c *websocket.Conn, bound, size int) (n int) {
	t.Helper()
	for ; n < 1e5; n++ {
		if got := c.Buffered(); got > bound {
			t.Fatalf("%d bytes are queued, of %d", got, bound)
		}
		p := wstest.Nth(n, size)
		var err error
		if n%2 == 0 {
			err = c.Send(websocket.Binary, p)
			clear(p) // it must not have been kept
		} else {
			var m *websocket.PreparedMessage
			if m, err = websocket.NewPreparedMessage(websocket.Binary, p); err == nil {
				clear(p)
				err = c.SendPrepared(m)
			}
		}
		if err == websocket.ErrBackpressure {
			time.Sleep(20 * time.Millisecond) // a goroutine may still find room in the transport
			if c.Buffered()+size > bound-14 /* a header */ {
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
			conntest.OverAllRaw(t, client, websocket.Options{SendBuffer: 64 << 10, PingInterval: -1}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
				const size = 10_000
				n := sendUntilFull(t, c, 64<<10, size)
				drained := c.Drained()
				// On a busy system the transport still takes some.
				for tries := 0; ; tries++ {
					err := c.Send(websocket.Binary, wstest.Nth(n, size))
					if err == nil {
						n++
					} else if err != websocket.ErrBackpressure || tries > 1e5 {
						t.Fatalf("after %d tries: %v, drained %v, %d bytes queued", tries, err, isClosed(drained), c.Buffered())
					}
					if err != nil && !isClosed(drained) && c.Buffered() > 64<<10-size-100 {
						break
					}
					drained = c.Drained()
					time.Sleep(100 * time.Microsecond)
				}
				r := conntest.FrameReader{NC: peer}
				for i := range n {
					f, err := r.Next()
					if err != nil || f.Opcode != websocket.OpBinary || len(f.Payload) != size || !wstest.IsNth([]byte(f.Payload), i) {
						t.Fatal(i, f.Header, err)
					}
				}
				wstest.Receive(t, drained)
				if got := c.Buffered(); got != 0 {
					t.Errorf("drained with %d bytes buffered", got)
				}
				if err := c.Send(websocket.Text, []byte("again")); err != nil {
					t.Fatal(err)
				}
				if f, err := r.Next(); f.Payload != "again" || err != nil {
					t.Fatal(f, err)
				}
				wstest.Until(t, "they were counted", func() bool { return c.Stats().MessagesWritten == uint64(n)+1 })
			})
		})
	}
}

// TestSendThenClose: what Send has taken leaves ahead of the close frame.
func TestSendThenClose(t *testing.T) {
	conntest.OverAllRaw(t, false, websocket.Options{SendBuffer: 256 << 10, CloseTimeout: 10 * time.Second}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		n := sendUntilFull(t, c, 256<<10, 30_000)
		drained := c.Drained()
		closed := make(chan error, 1)
		go func() { closed <- c.Close(websocket.StatusNormalClosure, "") }()
		wstest.Receive(t, drained) // there is nothing to wait for any more
		if err := c.Send(websocket.Text, nil); websocket.CloseCode(err) != websocket.StatusNormalClosure {
			t.Error(err)
		}
		if !isClosed(c.Drained()) {
			t.Error("Drained waits for a connection that is closing")
		}
		r := conntest.FrameReader{NC: peer}
		for i := range n {
			if f, err := r.Next(); err != nil || !wstest.IsNth([]byte(f.Payload), i) {
				t.Fatal(i, f.Header, err)
			}
		}
		if f, err := r.Next(); err != nil || f.Opcode != websocket.OpClose {
			t.Fatal(f, err)
		}
		peer.Write(conntest.CloseFrame(true, websocket.StatusNormalClosure, ""))
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

// TestSendBehindStreamThenClose: what waits for a message that will never be
// completed is given up, and the close frame goes out.
func TestSendBehindStreamThenClose(t *testing.T) {
	conntest.OverAllRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		w, err := c.Writer(bg, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, strings.Repeat("x", (16<<10)))
		if err := c.Send(websocket.Text, []byte("behind")); err != nil {
			t.Fatal(err)
		}
		go c.Close(websocket.StatusNormalClosure, "")
		r := conntest.FrameReader{NC: peer}
		for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpClose} {
			if f, err := r.Next(); err != nil || f.Opcode != op {
				t.Fatal(f.Header, err)
			}
		}
		if err := w.Close(); websocket.CloseCode(err) != websocket.StatusNormalClosure {
			t.Error(err)
		}
		wstest.Until(t, "nothing buffered", func() bool { return c.Buffered() == 0 })
	})
}

// TestSendToTheDead: a peer that goes away with a queue for it.
func TestSendToTheDead(t *testing.T) {
	t.Parallel()
	conntest.OverAllRaw(t, false, websocket.Options{SendBuffer: 32 << 10}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		sendUntilFull(t, c, 32<<10, 8_000)
		drained := c.Drained()
		peer.Close() // with input unread, a reset
		wstest.Receive(t, drained)
		// The system may have taken the queue before: then it is the next write that fails.
		wstest.Until(t, "the end", func() bool {
			err := c.Send(websocket.Text, []byte("more"))
			return err != nil && !errors.Is(err, websocket.ErrBackpressure)
		})
		wstest.Receive(t, c.Context().Done())
		if err := c.Send(websocket.Text, []byte("late")); websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
			t.Error(err)
		}
	})
}

// TestSendMisuse: each call returns an error, and the connection goes on.
func TestSendMisuse(t *testing.T) {
	a, b := wstest.Transports[0].Pair(t)
	client, server := conntest.New(t, a, true, websocket.Options{}), conntest.New(t, b, false, websocket.Options{SendBuffer: 1000})
	defer client.CloseNow()
	defer server.CloseNow()
	tooBig, err := websocket.NewPreparedMessage(websocket.Binary, make([]byte, 1000))
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range []error{
		server.Send(3, nil),
		server.Send(websocket.Text, []byte("\xff")),
		server.SendPrepared(nil),
		server.WritePrepared(bg, nil),
		server.WritePrepared(nil, tooBig), //lint:ignore SA1012 that is the point
		server.SendPrepared(tooBig),
		server.Send(websocket.Binary, make([]byte, 1000)),
	} {
		if err == nil || errors.Is(err, websocket.ErrMessageTooBig) != (i >= 5) {
			t.Error(i, err)
		}
	}
	for _, p := range []struct {
		typ websocket.MessageType
		p   string
	}{{0, ""}, {websocket.Text, "\xc0"}, {8, ""}} {
		if _, err := websocket.NewPreparedMessage(p.typ, []byte(p.p)); err == nil {
			t.Error("prepared", p)
		}
	}
	if !isClosed(server.Drained()) {
		t.Error("Drained waits for nothing")
	}
	if err := server.Send(websocket.Text, []byte("well")); err != nil {
		t.Error(err)
	}
	if _, p, err := client.Read(bg); string(p) != "well" || err != nil {
		t.Error(string(p), err)
	}
}

// TestSendFromEverywhere: senders, writers, pings and a reader that pauses.
// Nothing is lost that was taken, nothing doubled, each sender's order is kept.
func TestSendFromEverywhere(t *testing.T) {
	conntest.OverAll(t, websocket.Options{SendBuffer: 32 << 10}, func(t *testing.T, client, server *websocket.Conn) {
		const senders, each = 6, 150
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := 0; i < each; {
					p := append([]byte{byte(s)}, wstest.Nth(i, 1000)...)
					var err error
					switch m, _ := websocket.NewPreparedMessage(websocket.Binary, p); s % 3 {
					case 0:
						err = server.Send(websocket.Binary, p)
					case 1:
						err = server.SendPrepared(m)
					default:
						err = server.Write(bg, websocket.Binary, p)
					}
					switch err {
					case nil:
						i++
					case websocket.ErrBackpressure:
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
			_, p, err := conntest.Reads(client).Read(bg)
			if err != nil {
				t.Fatal(err)
			}
			if s := p[0]; !wstest.IsNth(p[1:], next[s]) {
				t.Fatalf("sender %d: something else than message %d", s, next[s])
			} else {
				next[s]++
			}
			if n%200 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		all.Wait()
		wstest.Receive(t, server.Drained())
	})
}
