package netconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// halfCloser is what a NetConn is besides a net.Conn.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// halfClose has n say "request" and close its writing half, as peer sees it.
func halfClose(t *testing.T, n halfCloser, peer *conntest.FrameReader) {
	t.Helper()
	if _, err := n.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	if f, err := peer.Next(); err != nil || f.Payload != "request" {
		t.Fatalf("%q, %v", f.Payload, err)
	}
	f, err := peer.Next()
	if err != nil || f.Opcode != websocket.OpClose {
		t.Fatalf("%+v, %v", f, err)
	}
	if f.Payload != "\x03\xe8" { // 1000
		t.Errorf("closed with %q", f.Payload)
	}
	if _, err := n.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a Write after CloseWrite returned %v", err)
	}
}

// TestNetConnCloseWrite: behind our close frame, all is read that the peer sends
// before its own, within deadlines.
func TestNetConnCloseWrite(t *testing.T) {
	for _, client := range []bool{true, false} {
		conntest.OverRaw(t, client, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
			n := c.NetConn(bg, websocket.Binary).(halfCloser)
			halfClose(t, n, &conntest.FrameReader{NC: peer})
			p := make([]byte, 5)
			n.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if _, err := n.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			n.SetReadDeadline(time.Time{})

			reply := string(wstest.Pattern(2 << 20))
			sent := make(chan error, 1)
			go func() {
				out := conntest.Frame(websocket.OpBinary, true, !client, reply)
				out = append(out, conntest.Frame(websocket.OpPing, true, !client, "")...) // has no answer any more
				out = append(out, conntest.Frame(websocket.OpBinary, true, !client, "end")...)
				out = append(out, conntest.CloseFrame(!client, websocket.StatusNormalClosure, "")...)
				_, err := peer.Write(out)
				sent <- err
			}()
			got, err := io.ReadAll(n)
			if err != nil || string(got) != reply+"end" {
				t.Errorf("%d bytes of %d, %v", len(got), len(reply)+3, err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			if _, err := n.Read(p); err != io.EOF {
				t.Error(err)
			}
			peer.Close() // a client waits for that
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			if _, err := n.Read(p); !errors.Is(err, net.ErrClosed) || err == io.EOF {
				t.Error(err)
			}
			if err := n.CloseWrite(); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// TestNetConnCloseWriteCut: a transport that ends without the peer's close frame is
// no end of the stream.
func TestNetConnCloseWriteCut(t *testing.T) {
	conntest.OverRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		n := c.NetConn(bg, websocket.Binary).(halfCloser)
		halfClose(t, n, &conntest.FrameReader{NC: peer})
		if _, err := peer.Write(append(conntest.Frame(websocket.OpBinary, true, true, "half"), conntest.Frame(websocket.OpBinary, true, true, "lost")[:8]...)); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		got, err := io.ReadAll(n)
		if err == nil || !bytes.HasPrefix(got, []byte("half")) {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// TestNetConnCloseWriteWhileSending: the peer, a NetConn too, has much on its way
// when the other half is closed.
func TestNetConnCloseWriteWhileSending(t *testing.T) {
	for _, byClient := range []bool{true, false} {
		conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
			if !byClient {
				client, server = server, client
			}
			a, b := client.NetConn(bg, websocket.Binary).(halfCloser), server.NetConn(bg, websocket.Binary)
			want := wstest.Pattern(3 << 20)
			sent := make(chan error, 1)
			go func() {
				_, err := b.Write(want)
				if err == nil {
					var rest []byte
					if rest, err = io.ReadAll(b); string(rest) != "request" {
						t.Errorf("the other half was %q", rest)
					}
				}
				sent <- errors.Join(err, b.Close())
			}()
			if _, err := a.Write([]byte("request")); err != nil {
				t.Fatal(err)
			}
			if err := a.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(a)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			if err := errors.Join(<-sent, a.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}
