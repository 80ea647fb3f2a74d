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
