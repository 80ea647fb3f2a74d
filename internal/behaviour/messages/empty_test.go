package messages_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// halting is a connection of which every read that waits is preceded by empty ones.
type halting struct {
	net.Conn
	empty int32
	calls atomic.Int32
}

func (h *halting) Read(p []byte) (int, error) {
	if h.calls.Add(1)%(h.empty+1) != 0 {
		return 0, nil
	}
	return h.Conn.Read(p)
}

// neverEnding is a reader that returns nothing, ever.
type neverEnding struct{ net.Conn }

func (neverEnding) Read([]byte) (int, error) { return 0, nil }

func TestEmptyReads(t *testing.T) {
	for name, over := range map[string]func(net.Conn) net.Conn{
		"plain":        func(nc net.Conn) net.Conn { return &halting{Conn: nc, empty: 99} },
		"no deadlines": func(nc net.Conn) net.Conn { return deaf{&halting{Conn: nc, empty: 99}, io.EOF} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := bufpipe.New(wstest.PipeSize)
			c := conntest.New(t, over(a), false, websocket.Options{})
			peer := conntest.New(t, b, true, websocket.Options{})
			defer c.CloseNow()
			defer peer.CloseNow()
			go conntest.EchoAll(c)
			for _, size := range []int{0, 1, 100, 5000, 500 << 10} {
				if err := peer.Write(bg, websocket.Binary, wstest.Pattern(size)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := peer.Read(bg); len(p) != size || err != nil {
					t.Fatalf("%d bytes, %v, want %d", len(p), err, size)
				}
			}
		})
	}
}

func TestEndlessEmptyReads(t *testing.T) {
	a, b := bufpipe.New(wstest.PipeSize)
	defer b.Close()
	c := conntest.New(t, neverEnding{a}, false, websocket.Options{})
	defer c.CloseNow()
	err := wstest.Third(c.Read(bg))
	if !errors.Is(err, io.ErrNoProgress) || !strings.Contains(err.Error(), "100 calls of Read of a messages_test.neverEnding have returned neither bytes nor an error") {
		t.Errorf("error is %v", err)
	}
}

// TestEmptyReadsInHandshakes: they do no harm in any handshake.
func TestEmptyReadsInHandshakes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := conntest.NewLoop(t, 1)
	served := make(chan error, 1)
	go func() {
		served <- l.Serve(haltingListener{ln}, nil, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) { c.Write(bg, typ, p) }})
	}()
	defer func() {
		l.Close()
		<-served
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		return &halting{Conn: nc, empty: 99}, err
	}}
	c, _, err := websocket.Dial(t.Context(), "ws://"+ln.Addr().String(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(bg, websocket.Text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
}

type haltingListener struct{ net.Listener }

func (l haltingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &halting{Conn: nc, empty: 99}, err
}

// TestEmptyWriteOnPipe: the other end of a net.Pipe writes nothing.
func TestEmptyWriteOnPipe(t *testing.T) {
	a, b := net.Pipe()
	c := conntest.New(t, a, false, websocket.Options{})
	defer c.CloseNow()
	go func() {
		b.Write(nil)
		b.Write(conntest.Text("x"))
		io.Copy(io.Discard, b)
	}()
	if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
}
