package conntest

import (
	"net"
	"testing"

	"github.com/fullduplex-go/websocket"
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

// Attached returns both ends of a connection on a and b, whose server's end is on l.
// The test's cleanup ends them.
func Attached(t testing.TB, l *websocket.Loop, a, b net.Conn, h websocket.EventHandler, opts websocket.Options) (client, server *websocket.Conn) {
	t.Helper()
	client, server = New(t, a, true, opts), New(t, b, false, opts)
	t.Cleanup(func() { client.CloseNow(); server.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}
