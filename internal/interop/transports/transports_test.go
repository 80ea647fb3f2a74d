package transports

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// TestPipe: net.Pipe has deadlines.
func TestPipe(t *testing.T) {
	a, b := net.Pipe()
	check(t, newConn(t, a, true), newConn(t, b, false))
}

// pipeConn makes a net.Conn of two pipes, one for each direction.
type pipeConn struct {
	*io.PipeReader
	*io.PipeWriter
}

// Close ends a Read and a Write that wait, on both ends.
func (p pipeConn) Close() error {
	return errors.Join(p.PipeReader.Close(), p.PipeWriter.Close())
}

// CloseWrite is for half-close; it may be left out.
func (p pipeConn) CloseWrite() error { return p.PipeWriter.Close() }

func (pipeConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (pipeConn) RemoteAddr() net.Addr             { return pipeAddr{} }
func (pipeConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (pipeConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (pipeConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// TestIOPipe: a pair of io.Pipe has no deadlines. NewConn gives it some.
func TestIOPipe(t *testing.T) {
	r1, w1 := io.Pipe()
	r2, w2 := io.Pipe()
	check(t, newConn(t, pipeConn{r1, w2}, true), newConn(t, pipeConn{r2, w1}, false))
}

// newConn is NewConn for a test. A connection that does not end loses nothing if it
// is closed in the end once more.
func newConn(t *testing.T, nc net.Conn, client bool) *websocket.Conn {
	t.Helper()
	c, err := websocket.NewConn(nc, &websocket.ConnOptions{Client: client})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// check has the two ends of a connection, on which nothing has been said, exchange
// messages, and holds them to contexts of 300 ms. It closes the connection.
func check(t *testing.T, client, server *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, ends := range [][2]*websocket.Conn{{client, server}, {server, client}} {
		// A Read whose context ends loses nothing.
		wantTimeout(t, "Read", func(ctx context.Context) error {
			_, _, err := ends[1].Read(ctx)
			return err
		})
		for _, size := range []int{0, 5, 100 << 10, 1 << 20} {
			want := bytes.Repeat([]byte{'x'}, size)
			sent := make(chan error, 1)
			go func() { sent <- ends[0].Write(ctx, websocket.Binary, want) }()
			_, got, err := ends[1].Read(ctx)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("read %d bytes, %v, want %d", len(got), err, size)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	}
	// Nobody reads on the server, so a Write waits, and ends with its context.
	wantTimeout(t, "Write", func(ctx context.Context) error {
		return client.Write(ctx, websocket.Binary, make([]byte, 64<<20))
	})
	begin := time.Now()
	client.CloseNow()
	server.CloseNow()
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("CloseNow took %v", d)
	}
	for _, c := range []*websocket.Conn{client, server} {
		if _, _, err := c.Read(ctx); err == nil {
			t.Error("a connection that was closed can be read from")
		}
	}
}

// wantTimeout calls f with a context of 300 ms, at whose end f has to return.
func wantTimeout(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := f(ctx)
	if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d > 20*time.Second {
		t.Errorf("%s: %v after %v, want the context's end", what, err, d)
	}
}
