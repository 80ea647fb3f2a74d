package conntest

import (
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Over runs f with a connected pair over every transport.
func Over(t *testing.T, opts websocket.Options, f func(t *testing.T, client, server *websocket.Conn)) {
	t.Helper()
	OverKinds(t, wstest.Transports, opts, f)
}

// OverKinds is Over for these kinds of connection.
func OverKinds(t *testing.T, kinds []wstest.Kind, opts websocket.Options, f func(t *testing.T, client, server *websocket.Conn)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			a, b := k.Pair(t)
			client, server := New(t, a, true, opts), New(t, b, false, opts)
			defer client.CloseNow()
			defer server.CloseNow()
			f(t, client, server)
		})
	}
}

// OverRaw runs f over every transport with a connection in the given role, and the
// bare transport of its peer.
func OverRaw(t *testing.T, client bool, opts websocket.Options, f func(t *testing.T, c *websocket.Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range wstest.Transports {
		t.Run(k.Name, func(t *testing.T) {
			c, peer := Raw(t, k, client, opts)
			f(t, c, peer)
		})
	}
}

// Raw makes a connection in the given role, and the bare transport of its peer.
func Raw(t testing.TB, k wstest.Kind, client bool, opts websocket.Options) (c *websocket.Conn, peer net.Conn) {
	t.Helper()
	a, b := k.Pair(t)
	if !client {
		a, b = b, a
	}
	if n, ok := b.(wstest.NoDeadlines); ok { // the peer is not what is tested
		b = n.Conn
	}
	b.SetDeadline(time.Now().Add(20 * time.Second))
	c = New(t, a, client, opts)
	t.Cleanup(func() { // first of all, so that nothing waits for the peer to close
		c.CloseNow()
		b.Close()
	})
	return c, b
}
