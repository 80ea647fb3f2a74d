package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestCancelledReadLosesNothing cancels reads at every byte of a stream and
// in every way of reading.
func TestCancelledReadLosesNothing(t *testing.T) {
	wire := bytes.Join([][]byte{
		frame(OpText, true, true, "first"), frame(OpText, false, true, "sec"), frame(OpPing, true, true, "ping"),
		frame(OpContinuation, true, true, "ond"), frame(OpBinary, true, true, "third"),
	}, nil)
	ways := map[string]func(ctx context.Context, c *Conn) (string, error){
		"Read": func(ctx context.Context, c *Conn) (string, error) {
			_, p, err := c.Read(ctx)
			return string(p), err
		},
		"ReadAppend": func(ctx context.Context, c *Conn) (string, error) {
			_, p, err := c.ReadAppend(ctx, []byte("dst"))
			return strings.TrimPrefix(string(p), "dst"), err
		},
		"Messages": func(ctx context.Context, c *Conn) (string, error) {
			for m, err := range c.Messages(ctx) {
				return string(m.Data), err
			}
			return "", io.EOF
		},
		"Reader": nil,
	}
	for name, read := range ways {
		t.Run(name, func(t *testing.T) {
			overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
				if name == "Reader" {
					read = new(resumedReader).read
				}
				var got []string
				rest := ""
				for i := range wire {
					ctx, cancel := context.WithCancel(bg)
					fed := make(chan struct{})
					go func() {
						defer close(fed)
						peer.Write(wire[i : i+1])
						until(t, "byte read", func() bool { return c.Stats().BytesRead > uint64(i) })
						cancel()
					}()
					for {
						p, err := read(ctx, c)
						if err == nil {
							got = append(got, rest+p)
							rest = ""
							continue
						}
						if !errors.Is(err, context.Canceled) {
							t.Fatalf("byte %d: %v", i, err)
						}
						rest += p
						break
					}
					<-fed
				}
				if fmt.Sprint(got) != "[first second third]" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// TestReaderCutThenDrained: the rest of a message whose reader was cut off by its
// context is not taken for a message.
func TestReaderCutThenDrained(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		peer.Write(frame(OpText, false, true, "begin"))
		ctx, cancel := context.WithCancel(bg)
		_, r, err := c.Reader(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := r.Read(make([]byte, 5)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		peer.Write(append(frame(OpContinuation, true, true, "end"), frame(OpText, true, true, "next")...))
		if _, p, err := c.Read(bg); string(p) != "next" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
		if _, err := r.Read(make([]byte, 5)); !errors.Is(err, errStaleReader) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestConcurrentReader(t *testing.T) {
	overBlocking(t, Options{}, func(t *testing.T, client, server *Conn) {
		first := make(chan error, 1)
		go func() {
			_, _, err := server.Read(bg)
			first <- err
		}()
		until(t, "reader at work", server.in.readLock.busy)
		if _, _, err := server.Read(bg); !errors.Is(err, ErrConcurrentRead) {
			t.Errorf("second Read: %v", err)
		}
		if _, _, err := server.Reader(bg); !errors.Is(err, ErrConcurrentRead) {
			t.Errorf("second Reader: %v", err)
		}
		for _, err := range server.Messages(bg) {
			if !errors.Is(err, ErrConcurrentRead) {
				t.Errorf("second Messages: %v", err)
			}
		}
		client.Write(bg, Text, []byte("x"))
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// TestLoopDoesNotWaitForControlReader: while the body of a loop runs the control reader
// reads, for a ping; the loop must not wait for what that waits for.
func TestLoopDoesNotWaitForControlReader(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go c.Ping(t.Context())
		if _, err := (&frameReader{nc: peer}).next(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		n := 0
		go peer.Write(append(frame(OpText, true, true, "one"), frame(OpText, true, true, "two")...))
		for _, err := range c.Messages(ctx) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			if n++; n == 2 {
				until(t, "control reader at work", func() bool { return c.in.readLock.state.Load()&readLockControl != 0 })
				cancel()
			}
		}
		if n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestCloseRead: control frames are answered, reading methods tell what is the
// matter, and the context ends when the peer closes.
func TestCloseRead(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx := newProgramContext(t)
		first := c.CloseRead(ctx)
		second := c.CloseRead(ctx)
		fr := &frameReader{nc: peer}
		for range 3 {
			peer.Write(frame(OpPing, true, true, "x"))
			if f, err := fr.next(); err != nil || f.Opcode != OpPong {
				t.Fatalf("%+v, %v", f, err)
			}
			if _, _, err := c.Read(bg); err != errReadClosed {
				t.Error(err)
			}
			if _, _, err := c.Reader(bg); err != errReadClosed {
				t.Error(err)
			}
			for _, err := range c.Messages(bg) {
				if err != errReadClosed {
					t.Error(err)
				}
			}
			if err := newTestLoop(t, 1).Attach(c, funcHandler{}); err != errReadClosed {
				t.Error(err)
			}
		}
		if first.Err() != nil || second.Err() != nil {
			t.Fatal(first.Err(), second.Err())
		}
		peer.Write(closeFrame(true, 4001, "enough"))
		for _, ctx := range []context.Context{first, second} {
			mustReceive(t, ctx.Done())
			var e *CloseError
			if err := context.Cause(ctx); !errors.As(err, &e) || e.Code != 4001 || !e.Remote {
				t.Error(err)
			}
		}
		if f, err := fr.next(); err != nil || f.Opcode != OpClose {
			t.Errorf("%+v, %v", f, err)
		}
		until(t, "nothing is registered any more", func() bool { return ctx.registered.Load() == 0 })
		if err := context.Cause(c.CloseRead(bg)); CloseCode(err) != 4001 {
			if mustReceive(t, c.CloseRead(bg).Done()); CloseCode(c.readError()) != 4001 {
				t.Error(err)
			}
		}
	})
}

// TestCloseReadMessage: a message ends the connection, whether it comes later or
// was there before, and also if keepalive had met it.
func TestCloseReadMessage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string // what comes before the call
		met    bool   // keepalive has met it
		after  string
	}{
		{"later", "", false, "a message"},
		{"before", "a message", false, ""},
		{"met", "a message", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
				if tt.before != "" {
					peer.Write(text(tt.before))
				}
				if tt.met {
					c.in.wanted.Add(1)
					c.startControlReader()
					until(t, "it is met", func() bool { return c.in.flags.has(messageBlocks) })
					c.in.wanted.Add(-1)
				}
				ctx := c.CloseRead(bg)
				if tt.after != "" {
					peer.Write(text(tt.after))
				}
				f, err := (&frameReader{nc: peer}).next()
				if err != nil || f.Opcode != OpClose || !strings.HasPrefix(f.payload, "\x03\xf0") {
					t.Errorf("%+v, %v", f, err)
				}
				mustReceive(t, ctx.Done())
				if err := context.Cause(ctx); CloseCode(err) != StatusPolicyViolation {
					t.Error(err)
				}
				peer.Write(closeFrame(true, StatusPolicyViolation, ""))
				mustReceive(t, c.ended())
			})
		})
	}
}

// TestCloseReadContext: the connection ends with the caller's context.
func TestCloseReadContext(t *testing.T) {
	overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		cause := context.Cause(c.CloseRead(nil)) //lint:ignore SA1012 on purpose
		own := c.CloseRead(ctx)
		if cause != nil || own.Err() != nil {
			t.Fatal(cause, own.Err())
		}
		cancel()
		f, err := (&frameReader{nc: peer}).next()
		if err != nil || f.Opcode != OpClose || f.payload != "\x03\xe9" {
			t.Errorf("%+v, %v", f, err)
		}
		peer.Write(closeFrame(true, StatusGoingAway, ""))
		mustReceive(t, c.ended())
		if err := c.readError(); CloseCode(err) != StatusGoingAway {
			t.Error(err)
		}
	})
}

// TestCloseReadWhileReading: a call that is under way gets its message.
func TestCloseReadWhileReading(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		got := make(chan error, 1)
		go func() {
			_, p, err := c.Read(bg)
			if err == nil && string(p) != "one" {
				err = errors.New(string(p))
			}
			got <- err
		}()
		until(t, "somebody reads", c.in.readLock.busy)
		ctx := c.CloseRead(bg)
		peer.Write(text("one"))
		if err := mustReceive(t, got); err != nil {
			t.Error(err)
		}
		if ctx.Err() != nil {
			t.Error(context.Cause(ctx))
		}
		peer.Write(text("two"))
		mustReceive(t, ctx.Done())
		if err := context.Cause(ctx); CloseCode(err) != StatusPolicyViolation {
			t.Error(err)
		}
	})
}

// TestCloseReadOnLoop: messages still go to the handler.
func TestCloseReadOnLoop(t *testing.T) {
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, Options{})
			r := attach(t, newTestLoop(t, 1), c, funcHandler{})
			ctx := c.CloseRead(bg)
			peer.Write(text("x"))
			until(t, "it is delivered", func() bool { return c.Stats().MessagesRead == 1 })
			if ctx.Err() != nil {
				t.Error(context.Cause(ctx))
			}
			peer.Write(closeFrame(true, 1000, ""))
			mustReceive(t, ctx.Done())
			r.want(t, 1000, "x")
		})
	}
}

// TestCloseReadHandler: a handler that only writes ends as soon as the client
// closes, which succeeds, and as the request does.
func TestCloseReadHandler(t *testing.T) {
	left := make(chan error, 1)
	panics := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			left <- err
			return
		}
		ctx := c.CloseRead(r.Context())
		if panics {
			panic(http.ErrAbortHandler)
		}
		defer c.CloseNow()
		for ctx.Err() == nil {
			c.Write(ctx, Text, []byte("tick"))
			time.Sleep(time.Millisecond)
		}
		left <- context.Cause(ctx)
	}))
	defer srv.Close()
	dial := func() *Conn {
		c, _, err := Dial(bg, "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := dial()
	if _, _, err := c.Read(bg); err != nil {
		t.Fatal(err)
	}
	c.Close(StatusNormalClosure, "") // that it succeeds is the closing handshake's matter
	if err := mustReceive(t, left); CloseCode(err) != StatusNormalClosure {
		t.Error(err)
	}
	panics = true
	c = dial()
	if _, _, err := c.Read(bg); CloseCode(err) != StatusGoingAway {
		t.Error(err)
	}
}
