package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

func TestManyWriters(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		const writers, each = 8, 40
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for j := range each {
					p := bytes.Repeat([]byte{byte(i)}, j*700+1)
					if i%4 == 3 {
						w, err := client.Writer(bg, Binary)
						if err != nil {
							t.Error(err)
							return
						}
						for len(p) > 0 {
							n := min(len(p), 9000)
							w.Write(p[:n])
							p = p[n:]
						}
						if err := w.Close(); err != nil {
							t.Error(err)
						}
					} else if err := client.Write(bg, Binary, p); err != nil {
						t.Error(err)
					}
					if j%10 == 0 {
						go client.Ping(t.Context())
					}
				}
			})
		}
		next := make([]int, writers)
		for range writers * each {
			_, p, err := reads(server).Read(bg)
			if err != nil {
				t.Fatal(err)
			}
			i := int(p[0])
			if want := next[i]*700 + 1; len(p) != want || bytes.Count(p, p[:1]) != want {
				t.Fatalf("writer %d: message of %d bytes is mixed up or out of order, want %d", i, len(p), want)
			}
			next[i]++
		}
		wg.Wait()
	})
}

func TestCancelledWrite(t *testing.T) {
	overBlockingRaw(t, true, Options{CloseTimeout: 100 * time.Millisecond}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go func() {
			io.ReadFull(peer, make([]byte, 100))
			cancel() // no transport takes all of the frame by itself
		}()
		err := c.Write(ctx, Binary, make([]byte, 16<<20))
		if !errors.Is(err, context.Canceled) || CloseCode(err) != StatusAbnormalClosure {
			t.Fatalf("got %v", err)
		}
		if err := c.Write(bg, Binary, nil); CloseCode(err) != StatusAbnormalClosure {
			t.Errorf("the next write: %v", err)
		}
		<-c.ended() // the peer waits for the rest
		if _, _, err := c.Read(bg); CloseCode(err) != StatusAbnormalClosure || !errors.Is(err, context.Canceled) {
			t.Errorf("the next read: %v", err)
		}
	})
}

// TestCancelledWriteBeforeItsFrame needs a transport that is full to the byte
// and stays so. A socket makes room as it likes.
func TestCancelledWriteBeforeItsFrame(t *testing.T) {
	a, peer := bufpipe.New(pipeSize)
	defer peer.Close()
	c := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	// The beginning of a frame, behind the connection's back.
	rest := frame(OpBinary, true, true, strings.Repeat("x", pipeSize))
	n, err := a.Write(rest[:pipeSize])
	if err != nil {
		t.Fatal(err)
	}
	rest = rest[n:]

	ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel()
	if err := c.Write(ctx, Text, []byte("lost")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	short, cancel1 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel1()
	gone, err := c.Writer(short, Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Write(make([]byte, fragmentSize)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	w, err := c.Writer(bg, Text)
	if err != nil {
		t.Fatal(err)
	}
	ctx2, cancel2 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel2()
	if err := c.Write(ctx2, Text, []byte("waits for the writer")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	done := make(chan error, 1)
	go func() {
		a.Write(rest)
		io.WriteString(w, "first")
		if err := w.Close(); err != nil {
			done <- err
		}
		done <- c.Write(bg, Text, []byte("after"))
	}()
	r := &frameReader{nc: peer}
	var texts []string
	for len(texts) < 2 {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Opcode == OpText {
			texts = append(texts, f.payload)
		}
	}
	if err := <-done; err != nil || fmt.Sprint(texts) != "[first after]" {
		t.Errorf("%q, %v", texts, err)
	}
}

// TestWriteWithOwnContext: the connection's own context ends when it begins to
// close. That must not cut the frame that the close frame is to follow.
func TestWriteWithOwnContext(t *testing.T) {
	overBlocking(t, Options{ReadLimit: 16 << 20}, func(t *testing.T, client, server *Conn) {
		go func() { server.Write(server.Context(), Binary, make([]byte, 16<<20)) }()
		_, r, err := client.Reader(bg) // now it is in the middle of the frame
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- server.Close(StatusTryAgainLater, "slow") }()
		<-server.Context().Done()
		if n, err := io.Copy(io.Discard, r); n != 16<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := third(client.Read(bg)); CloseCode(err) != StatusTryAgainLater {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := server.Write(server.Context(), Text, nil); CloseCode(err) != StatusTryAgainLater {
			t.Error(err)
		}
	})
}
