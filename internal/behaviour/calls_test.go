package behaviour_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// TestCallsReturn cuts a connection whose peer does not read, while all kinds of
// calls are at work or begin: every one returns. Two large writes and a small
// one make a queue behind the transport.
func TestCallsReturn(t *testing.T) {
	const size = 200 << 10 // more than a Pipe holds
	t.Run("pipe", func(t *testing.T) {
		checkLeaks(t)
		for range times(200) {
			client, server := websocket.Pipe()
			cutAmidCalls(t, client, size)
			server.CloseNow()
		}
	})
	everywhere(t, func(t *testing.T, r rig) {
		hold := make(chan struct{})
		opts := calm()
		opts.CloseTimeout = 100 * time.Millisecond
		s := r.startSmall(t, opts, program{open: func(*lib) { <-hold }})
		for range times(2) {
			hold = make(chan struct{})
			_, l := s.connect()
			if r.loop() { // whose OnOpen would hold up OnClose
				close(hold)
			}
			cutAmidCalls(t, l.c(), 5*size)
			if !r.loop() {
				close(hold)
			}
			wait(t, "the end of the handler", l.done)
		}
	})
}

func cutAmidCalls(t *testing.T, c *websocket.Conn, size int) {
	t.Helper()
	bg := context.Background()
	big, small := make([]byte, size), []byte("small")
	prepared, err := websocket.NewPreparedMessage(websocket.Binary, small)
	if err != nil {
		t.Fatal(err)
	}
	cut := make(chan struct{})
	var calls sync.WaitGroup
	for _, call := range []func(){
		func() { c.Write(bg, websocket.Binary, big) },
		func() { c.Write(bg, websocket.Binary, big) },
		func() { c.Write(bg, websocket.Binary, small) },
		func() { c.WritePrepared(bg, prepared) },
		func() { c.Send(websocket.Binary, small) },
		func() { c.SendPrepared(prepared) },
		func() { c.Ping(bg) },
		func() {
			if w, err := c.Writer(bg, websocket.Text); err == nil {
				io.WriteString(w, "stream")
				w.Close()
			}
		},
		func() {
			for {
				select {
				case <-cut:
					<-c.Drained()
					return
				case <-c.Drained():
				case <-time.After(10 * time.Microsecond):
				}
				c.Buffered()
			}
		},
	} {
		calls.Go(call)
	}
	time.Sleep(rand.N(300 * time.Microsecond))
	c.CloseNow()
	close(cut)
	wait(t, "every call", do(func() bool { calls.Wait(); return true }))
	if err := c.Write(bg, websocket.Text, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a late Write returns %v", err)
	}
}

// TestServerCloseSaysSo has reads and writes tell that the server was closed.
func TestServerCloseSaysSo(t *testing.T) {
	for _, e := range []string{onHandler, onEvents} {
		for _, tr := range transports {
			r := rig{e, tr}
			t.Run(r.String(), func(t *testing.T) {
				checkLeaks(t)
				s := r.start(t, calm(), program{})
				p, l := s.connect()
				p.listen()
				if err := s.ws.Close(); err != nil {
					t.Errorf("Server.Close returned %v", err)
				}
				l.messages(t)
				err := l.c().Write(context.Background(), websocket.Text, nil)
				for what, err := range map[string]error{"reading": l.err, "a late Write": err, "the context's cause": context.Cause(l.c().Context())} {
					if err == nil || !strings.Contains(err.Error(), "the server was closed") {
						t.Errorf("%s says %v", what, err)
					}
				}
			})
		}
	}
}

// TestReaderCutOff has a Reader end with its context within a message: the next
// reading call returns the next message, not the rest of this one.
func TestReaderCutOff(t *testing.T) {
	nexts := []struct {
		name string
		next func(c *websocket.Conn) (string, error)
	}{
		{"Read", func(c *websocket.Conn) (string, error) {
			_, p, err := c.Read(context.Background())
			return string(p), err
		}},
		{"ReadAppend", func(c *websocket.Conn) (string, error) {
			_, p, err := c.ReadAppend(context.Background(), nil)
			return string(p), err
		}},
		{"Messages", func(c *websocket.Conn) (string, error) {
			for m, err := range c.Messages(context.Background()) {
				return string(m.Data), err
			}
			return "", io.EOF
		}},
		{"Reader", func(c *websocket.Conn) (string, error) {
			_, r, err := c.Reader(context.Background())
			if err != nil {
				return "", err
			}
			p, err := io.ReadAll(r)
			return string(p), err
		}},
	}
	// The first message begins with head, which is a fragment or a part of one.
	begin := frame{first: opText, payload: "head "}
	whole := text("head " + strings.Repeat("t", 200))
	for _, n := range nexts {
		for _, fragmented := range []bool{true, false} {
			t.Run(n.name, func(t *testing.T) {
				everywhere(t, func(t *testing.T, r rig) {
					if r.loop() {
						return // which has no reading methods
					}
					goOn := make(chan struct{})
					s := r.start(t, calm(), program{open: func(l *lib) {
						ctx, cancel := context.WithCancel(context.Background())
						defer cancel()
						_, rd, err := l.c().Reader(ctx)
						if err != nil {
							t.Errorf("Reader: %v", err)
							return
						}
						head := make([]byte, 5)
						if _, err := io.ReadFull(rd, head); err != nil || string(head) != "head " {
							t.Errorf("the reader: %q, %v", head, err)
						}
						time.AfterFunc(time.Millisecond, cancel)
						if p, err := io.ReadAll(rd); !errors.Is(err, context.Canceled) {
							t.Errorf("the reader: %q, %v", p, err)
						}
						close(goOn)
						if msg, err := n.next(l.c()); msg != "second" || err != nil {
							t.Errorf("behind the reader came %q, %v", msg, err)
						}
					}})
					p, l := s.connect()
					p.record()
					b, rest := p.bytes(begin), p.bytes(frame{first: opContinuation, payload: "more "}, frame{first: fin | opContinuation, payload: "tail"})
					if !fragmented {
						b = p.bytes(whole)
						b, rest = b[:len(b)-150], b[len(b)-150:]
					}
					p.write(b)
					wait(t, "the reader is cut off", goOn)
					p.write(rest)
					p.send(text("second"), text("third"), closing(1000, "bye"))
					closed(closing(1000, "bye")).check(t, p, l)
					delivered(t, l, []string{"third"})
				})
			})
		}
	}
}
