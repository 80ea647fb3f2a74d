package conntest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// New makes a connection on nc, the client's end if client is set.
func New(t testing.TB, nc net.Conn, client bool, opts websocket.Options) *websocket.Conn {
	t.Helper()
	return NewWith(t, nc, &websocket.ConnOptions{Client: client, Options: opts})
}

// NewWith is New with all options.
func NewWith(t testing.TB, nc net.Conn, opts *websocket.ConnOptions) *websocket.Conn {
	t.Helper()
	c, err := websocket.NewConn(nc, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Attach returns both ends of a connection on a pair, whose server's end is on l. The
// test's cleanup ends them.
func Attach(t testing.TB, l *websocket.Loop, pair func(testing.TB) (client, server net.Conn), h websocket.EventHandler, opts websocket.Options) (client, server *websocket.Conn) {
	t.Helper()
	a, b := pair(t)
	client, server = New(t, a, true, opts), New(t, b, false, opts)
	t.Cleanup(func() { client.CloseNow(); server.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// MustEcho sends a message and wants it back.
func MustEcho(t testing.TB, c *websocket.Conn, msg string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Write(ctx, websocket.Text, []byte(msg)); err != nil {
		t.Error(err)
		return
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != msg {
		t.Errorf("%q came back as %q, %v", msg, got, err)
	}
}

// LoopKinds are the kinds of connection for the tests of loops. A loop can watch those
// that are on a socket.
var LoopKinds = []wstest.Kind{
	wstest.Transports[0],
	{Name: "tcp", Pair: wstest.TCPPair},
	{Name: "tls", Pair: func(t testing.TB) (client, server net.Conn) {
		a, b := wstest.TCPPair(t)
		return wstest.TLSOver(t, Pollable(t, a), Pollable(t, b))
	}},
}

// Pollable returns nc as Loop.Listener does, so that a loop can watch it under TLS.
func Pollable(t testing.TB, nc net.Conn) net.Conn {
	t.Helper()
	nc, err := new(websocket.Loop).Listener(one{nc: nc}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// one is a listener with one connection.
type one struct {
	net.Listener
	nc net.Conn
}

func (l one) Accept() (net.Conn, error) { return l.nc, nil }
