package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

func TestReadMethodsAgree(t *testing.T) {
	// Each way of reading gets one message of a cycle, in turn.
	overBlocking(t, Options{}, func(t *testing.T, client, server *Conn) {
		sizes := []int{0, 3, 200, 5000, 20000, 70000}
		go func() {
			for range 4 {
				for _, n := range sizes {
					client.Write(bg, Binary, pattern(n))
				}
			}
			client.Close(StatusNormalClosure, "")
		}()
		var got [][]byte
		buf := []byte("prefix")
		for i := 0; i < 4*len(sizes); i++ {
			switch i % 4 {
			case 0:
				_, p, err := server.Read(bg)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			case 1:
				_, p, err := server.ReadAppend(bg, buf)
				if err != nil || !bytes.HasPrefix(p, buf) {
					t.Fatal(err)
				}
				got = append(got, p[len(buf):])
			case 2:
				for m, err := range server.Messages(bg) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, bytes.Clone(m.Data))
					break
				}
			case 3:
				_, r, err := server.Reader(bg)
				if err != nil {
					t.Fatal(err)
				}
				p, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			}
		}
		for i, p := range got {
			if !bytes.Equal(p, pattern(sizes[i%len(sizes)])) {
				t.Errorf("message %d: %d bytes, want %d", i, len(p), sizes[i%len(sizes)])
			}
		}
		if _, _, err := server.Read(bg); CloseCode(err) != StatusNormalClosure {
			t.Error(err)
		}
	})
}

func TestReaderLeftInTheMiddle(t *testing.T) {
	overBlocking(t, Options{}, func(t *testing.T, client, server *Conn) {
		go func() {
			for i := range 4 {
				w, _ := client.Writer(bg, Text)
				for range 3 {
					fmt.Fprintf(w, "%d%s", i, pattern(20000))
				}
				w.Close()
			}
		}()
		var readers []io.Reader
		for i := range 3 {
			_, r, err := server.Reader(bg)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
			p := make([]byte, 1)
			if _, err := io.ReadFull(r, p); err != nil || int(p[0]-'0') != i {
				t.Fatalf("message %d begins with %q, %v", i, p, err)
			}
		}
		if _, err := readers[0].Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Error("a reader whose message was left still reads:", err)
		}
		_, p, err := server.Read(bg)
		if err != nil || p[0] != '3' || len(p) != 3*20001 {
			t.Fatal(len(p), err)
		}
	})
}

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

// TestLoan reads messages and control frames, and closes, while the body of a
// loop holds on to its message.
func TestLoan(t *testing.T) {
	overBlocking(t, Options{}, func(t *testing.T, client, server *Conn) {
		go func() {
			for i := range 6 {
				client.Write(bg, Text, bytes.Repeat([]byte{byte('0' + i)}, 50))
			}
			echo(client)
		}()
		until(t, "all there", func() bool { return client.Stats().MessagesWritten == 6 })
		check := func(p []byte, c byte) {
			t.Helper()
			if !bytes.Equal(p, bytes.Repeat([]byte{c}, 50)) {
				t.Errorf("loaned bytes have changed: %q, want %q", p, c)
			}
		}
		for m := range server.Messages(bg) {
			check(m.Data, '0')
			_ = append(m.Data, "scribble over what follows"...)
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '1')
			}
			check(m.Data, '0')
			for inner := range server.Messages(bg) {
				check(inner.Data, '2')
				for innermost := range server.Messages(bg) {
					check(innermost.Data, '3')
					check(inner.Data, '2')
					break
				}
				if _, p, err := server.Read(bg); err != nil {
					t.Fatal(err)
				} else {
					check(p, '4')
				}
				check(inner.Data, '2')
				break
			}
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '5')
			}
			if _, err := server.Ping(bg); err != nil {
				t.Fatal(err)
			}
			if err := server.Close(StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			check(m.Data, '0')
			break
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

// TestMessagesEnd: how the peer closes decides whether a loop ends with an
// error.
func TestMessagesEnd(t *testing.T) {
	for code, isError := range map[StatusCode]bool{
		StatusNormalClosure: false, StatusGoingAway: false, StatusNoStatus: false,
		StatusProtocolError: true, StatusInternalError: true, StatusServiceRestart: true, 4000: true,
	} {
		a, b := bufpipe.New(1000)
		c := newConn(a, connConfig{opts: Options{}.withDefaults()})
		b.Write(closeFrame(true, code, ""))
		var got error
		for _, err := range c.Messages(bg) {
			got = err
		}
		if (got != nil) != isError || isError && CloseCode(got) != code {
			t.Errorf("%v: %v", code, got)
		}
		if _, err := c.NetConn(bg, Text).Read(make([]byte, 1)); (err == io.EOF) == isError {
			t.Errorf("%v: a stream ends with %v", code, err)
		}
		c.CloseNow()
		b.Close()
	}
}
