package netconn_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestNetConnStream(t *testing.T) {
	conntest.Over(t, websocket.Options{ReadLimit: 4 << 20}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		want := wstest.Pattern(3 << 20)
		sent := make(chan error, 1)
		go func() {
			rest := want
			for i := 1; len(rest) > 0; i++ {
				n := min(i*997, len(rest))
				if _, err := a.Write(rest[:n]); err != nil {
					sent <- err
					return
				}
				rest = rest[n:]
			}
			sent <- a.Close()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("a write to a closed connection succeeded")
		}
		if a.LocalAddr() != client.LocalAddr() || b.RemoteAddr() != server.RemoteAddr() {
			t.Error("addresses differ")
		}
	})
}

func TestNetConnDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := websocket.Pipe()
		defer client.CloseNow()
		defer server.CloseNow()
		c := client.NetConn(bg, websocket.Text)
		one := make([]byte, 1)
		read := func(want string, wantErr error, after time.Duration) {
			t.Helper()
			start := time.Now()
			n, err := c.Read(one)
			if got := string(one[:n]); got != want || !errors.Is(err, wantErr) || err != nil && wantErr == nil || time.Since(start) != after {
				t.Errorf("got %q, %v after %v; want %q, %v after %v", got, err, time.Since(start), want, wantErr, after)
			}
			var ne net.Error
			if wantErr == os.ErrDeadlineExceeded && !(errors.As(err, &ne) && ne.Timeout()) {
				t.Errorf("%v is not a timeout", err)
			}
		}
		c.SetReadDeadline(time.Now().Add(-time.Second))
		read("", os.ErrDeadlineExceeded, 0)
		read("", os.ErrDeadlineExceeded, 0)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		read("", os.ErrDeadlineExceeded, 5*time.Second)
		c.SetReadDeadline(time.Time{})

		// A message is read across deadlines that pass before, in and
		// between its bytes.
		server.Write(bg, websocket.Text, []byte("abcd"))
		read("a", nil, 0)
		c.SetReadDeadline(time.Now())
		read("", os.ErrDeadlineExceeded, 0)
		c.SetDeadline(time.Now().Add(time.Hour))
		read("b", nil, 0)
		c.SetReadDeadline(time.Now().Add(time.Second))
		time.Sleep(2 * time.Second) // passes while nobody reads
		c.SetReadDeadline(time.Now().Add(time.Hour))
		read("c", nil, 0)
		read("d", nil, 0)

		// A deadline reaches a read that is waiting already.
		time.AfterFunc(3*time.Second, func() { c.SetReadDeadline(time.Now().Add(time.Second)) })
		read("", os.ErrDeadlineExceeded, 4*time.Second)
		// and one that is taken back does not.
		c.SetReadDeadline(time.Now().Add(time.Second))
		time.AfterFunc(500*time.Millisecond, func() { c.SetReadDeadline(time.Time{}) })
		time.AfterFunc(20*time.Second, func() { server.Write(bg, websocket.Text, []byte("e")) })
		read("e", nil, 20*time.Second)

		c.SetWriteDeadline(time.Now())
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		c.SetWriteDeadline(time.Time{})
		if _, err := c.Write([]byte("y")); err != nil {
			t.Error(err)
		}
		if _, p, err := server.Read(bg); string(p) != "y" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

func TestNetConnWrongType(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		server.Write(bg, websocket.Text, []byte("x"))
		if _, err := client.NetConn(bg, websocket.Binary).Read(make([]byte, 1)); err == nil {
			t.Error("a text message on a binary stream")
		}
		if _, _, err := server.Read(bg); websocket.CloseCode(err) != websocket.StatusUnsupportedData {
			t.Error(err)
		}
	})
}

func TestNetConnContext(t *testing.T) {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	ctx, cancel := context.WithCancel(bg)
	c := client.NetConn(ctx, websocket.Text)
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Write(nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
