package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

func TestAttachRefused(t *testing.T) {
	overLoop(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		if err := l.Attach(c, nil); err == nil {
			t.Error("a nil handler was taken")
		}
		ctx, cancel := context.WithCancel(bg)
		read := make(chan error)
		go func() { read <- third(c.Read(ctx)) }()
		until(t, "reader at work", c.in.readLock.busy)
		if err := l.Attach(c, never(t)); !errors.Is(err, ErrConcurrentRead) {
			t.Error("while a Read is under way:", err)
		}
		cancel()
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		go c.Close(4000, "")
		<-c.Context().Done()
		if err := l.Attach(c, never(t)); CloseCode(err) != 4000 {
			t.Error("while it is closing:", err)
		}
		c.CloseNow()
		answerClose(peer)
		<-c.ended()
		if err := l.Attach(c, never(t)); CloseCode(err) != 4000 {
			t.Error("when it has ended:", err)
		}
		ctx, cancel = context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil {
			t.Error("something is left:", err)
		}
	})
}

func TestAttachTwice(t *testing.T) {
	overLoop(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		r := attach(t, l, c, funcHandler{})
		if err := l.Attach(c, never(t)); err == nil {
			t.Error("attached twice")
		}
		peer.Write(append(text("a"), closeFrame(true, 1000, "")...))
		r.want(t, 1000, "a")
	})
}

// TestAttachWhenEnded: the connection ends after Attach has made it the loop's,
// and before the loop has begun with it. OnOpen comes first all the same.
func TestAttachWhenEnded(t *testing.T) {
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newTestLoop(t, 1)
			// The only worker is in a handler of another connection meanwhile.
			other, otherPeer := k.raw(t, false, Options{})
			in, out := make(chan struct{}), make(chan struct{})
			attach(t, l, other, funcHandler{Message: func(*Conn, MessageType, []byte) { close(in); <-out }})
			otherPeer.Write(text("a"))
			<-in
			c, _ := k.raw(t, false, Options{})
			r := record(t, funcHandler{})
			s := &loopHandler{loop: l, handler: r}
			if err := l.enter(); err != nil {
				t.Fatal(err)
			}
			tr, err := l.engine.register(c, s)
			if err != nil {
				t.Fatal(err)
			}
			c.switchTransport(tr)
			c.CloseNow()
			l.start(c, s)
			close(out)
			r.want(t, StatusAbnormalClosure)
		})
	}
}

// TestAttachInsideWriter: a message that is written as a stream goes on.
func TestAttachInsideWriter(t *testing.T) {
	overLoop(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		w, err := c.Writer(bg, Binary)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte{'1'}, fragmentSize))
		r := attach(t, l, c, funcHandler{})
		wrote := make(chan error, 1)
		go func() { wrote <- c.Write(bg, Text, []byte("behind")) }()
		w.Write(bytes.Repeat([]byte{'2'}, fragmentSize))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
		fr := &frameReader{nc: peer}
		for _, want := range []rawFrame{
			{Header{Opcode: OpBinary, Length: fragmentSize}, "1"}, {Header{Opcode: OpContinuation, Length: fragmentSize}, "2"},
			{Header{Opcode: OpContinuation, Fin: true}, ""}, {Header{Opcode: OpText, Fin: true, Length: 6}, "behind"},
		} {
			f, err := fr.next()
			if err != nil || f.Header != want.Header || want.payload != "" && f.payload[0] != want.payload[0] {
				t.Fatalf("%+v, %v, want %+v", f.Header, err, want.Header)
			}
		}
		peer.Write(closeFrame(true, 1000, ""))
		r.want(t, 1000)
	})
}

// TestAttachInsideMessage: a Read was cancelled at every point of a stream,
// before the loop takes over.
func TestAttachInsideMessage(t *testing.T) {
	wire := bytes.Join([][]byte{text("first"), frame(OpText, false, true, "sec"), frame(OpPing, true, true, "?"), frame(OpContinuation, true, true, "ond")}, nil)
	for _, k := range loopTransports {
		k.loop = false
		t.Run(k.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			for n := range wire {
				c, peer := k.raw(t, false, Options{})
				peer.Write(wire[:n])
				ctx, cancel := context.WithCancel(bg)
				go func() {
					until(t, "read", func() bool { return c.Stats().BytesRead == uint64(n) })
					cancel()
				}()
				var log []string
				for {
					_, p, err := c.Read(ctx)
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Fatal(err)
						}
						break
					}
					log = append(log, string(p))
				}
				r := attach(t, l, c, funcHandler{})
				peer.Write(append(wire[n:len(wire):len(wire)], closeFrame(true, 1000, "")...))
				r.want(t, 1000, []string{"first", "second"}[len(log):]...)
			}
		})
	}
}

// TestAttachBehindHandshake: what came in one packet with the handshake, in
// every proportion.
func TestAttachBehindHandshake(t *testing.T) {
	wire := bytes.Join([][]byte{text("first"), text("second")}, nil)
	for _, k := range loopTransports {
		k.loop = false
		t.Run(k.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			for n := range len(wire) + 1 {
				peer, nc := k.pair(t)
				c := newConn(nc, connConfig{opts: Options{}.withDefaults(), early: bytes.Clone(wire[:n])})
				r := attach(t, l, c, funcHandler{})
				peer.Write(append(wire[n:len(wire):len(wire)], closeFrame(true, 1000, "")...))
				r.want(t, 1000, "first", "second")
				peer.Close()
			}
		})
	}
}

// TestAttachCompressed: as TestAttachInsideMessage, with a few kinds of
// compression, and messages both ways after that.
func TestAttachCompressed(t *testing.T) {
	for i, p := range deflatetest.Kinds {
		for _, k := range loopTransports {
			t.Run(fmt.Sprint(i, " ", k.name), func(t *testing.T) {
				q := p
				q.SendBits, q.RecvBits = p.RecvBits, p.SendBits
				q.SendTakeover, q.RecvTakeover = p.RecvTakeover, p.SendTakeover
				opts := Options{ReadLimit: 8 << 20}.withDefaults()
				a, b := k.pair(t)
				client := newConn(a, connConfig{client: true, opts: opts, agreement: compressing(&p)})
				server := newConn(b, connConfig{opts: opts, agreement: compressing(&q)})
				defer client.CloseNow()
				msg := deflatetest.Text(40_000, 3)
				w, err := client.Writer(bg, Text)
				if err != nil {
					t.Fatal(err)
				}
				w.Write(msg[:30_000])
				ctx, cancel := context.WithCancel(bg)
				go func() {
					until(t, "begun", func() bool { return server.Stats().BytesRead > 0 })
					cancel()
				}()
				if _, _, err := server.Read(ctx); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				l := newTestLoop(t, 1)
				got := make(chan []byte, 1)
				if err := l.Attach(server, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
					got <- bytes.Clone(p)
					if err := c.Write(bg, typ, p); err != nil {
						t.Error(err)
					}
				}}); err != nil {
					t.Fatal(err)
				}
				w.Write(msg[30_000:])
				w.Close()
				for _, want := range [][]byte{msg, deflatetest.Text(5000, 1), deflatetest.Text(300_000, 2), {}} {
					if len(want) != len(msg) {
						if err := client.Write(bg, Text, want); err != nil {
							t.Fatal(err)
						}
					}
					if p := mustReceive(t, got); !bytes.Equal(p, want) {
						t.Fatalf("%d bytes arrived as %d", len(want), len(p))
					}
					if _, p, err := client.Read(bg); err != nil || !bytes.Equal(p, want) {
						t.Fatalf("%d bytes came back as %d: %v", len(want), len(p), err)
					}
				}
			})
		}
	}
}
