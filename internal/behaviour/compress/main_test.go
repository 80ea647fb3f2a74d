package compress_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

var bg = context.Background()

// compressing makes a connection on nc that compresses as p says, the client's end if
// client is set. Its threshold is one byte unless p has another.
func compressing(t testing.TB, nc net.Conn, client bool, opts websocket.Options, p extension.Deflate) *websocket.Conn {
	t.Helper()
	opts.Compression = &websocket.CompressionOptions{Level: p.Level, Threshold: max(p.Threshold, 1)}
	server, peer := p, deflatetest.Mirror(p)
	if client {
		server, peer = peer, server
	}
	agreed := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", server.SendBits, peer.SendBits)
	if !server.SendTakeover {
		agreed += "; server_no_context_takeover"
	}
	if !peer.SendTakeover {
		agreed += "; client_no_context_takeover"
	}
	return conntest.NewWith(t, nc, &websocket.ConnOptions{Client: client, Options: opts, Extensions: agreed})
}

// compressedPair returns both ends of a connection that compresses as p says, seen from
// the client. The server's end has the options.
func compressedPair(t testing.TB, p extension.Deflate, opts websocket.Options) (client, server *websocket.Conn) {
	t.Helper()
	a, b := bufpipe.New(1 << 20)
	client = compressing(t, a, true, websocket.Options{ReadLimit: 8 << 20}, p)
	opts.ReadLimit = 8 << 20
	server = compressing(t, b, false, opts, deflatetest.Mirror(p))
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
	})
	return client, server
}

// compressedServer returns a connection that compresses as p says, and the bare
// transport of its peer.
func compressedServer(t testing.TB, pair func(testing.TB) (net.Conn, net.Conn), opts websocket.Options, p extension.Deflate) (c *websocket.Conn, peer net.Conn) {
	t.Helper()
	peer, nc := pair(t)
	c = compressing(t, nc, false, opts, p)
	t.Cleanup(func() {
		c.CloseNow()
		peer.Close()
	})
	return c, peer
}

// inflatingPeer returns the peer of a connection that sends as p says.
func inflatingPeer(t testing.TB, nc net.Conn, p extension.Deflate) *deflatetest.Peer {
	r := &conntest.FrameReader{NC: nc}
	return deflatetest.NewPeer(t, p, func() (byte, string, error) {
		f, err := r.Next()
		if err != nil {
			return 0, "", err
		}
		return f.Header.Append(nil)[0], f.Payload, nil
	})
}
