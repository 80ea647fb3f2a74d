//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// A loop says once that its connections over TLS take goroutines which Loop.Listener
// would save, and nothing where it would not save them.
func TestLoopSaysThatTLSIsNotWatched(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pair   func(t testing.TB) (client, server net.Conn)
		client bool // the connection on the loop is the client's end
		want   int
	}{
		{"TLS", tlsPair, false, 1},
		{"TLS under the listener", func(t testing.TB) (net.Conn, net.Conn) {
			client, server := tlsPair(t)
			return client, transport.NewPollable(server)
		}, false, 1},
		{"TLS over a Unix socket", func(t testing.TB) (net.Conn, net.Conn) {
			a, b := wstest.UnixPair(t)
			return tlsOver(t, a, b)
		}, false, 1},
		{"TLS over TLS", func(t testing.TB) (net.Conn, net.Conn) {
			a, b := tlsPair(t)
			return tlsOver(t, a, b)
		}, false, 1},
		{"TLS of a client", tlsPair, true, 0},
		{"TLS over the listener", pollableTLSPair, false, 0},
		{"TLS over a pipe", func(t testing.TB) (net.Conn, net.Conn) {
			a, b := net.Pipe()
			return tlsOver(t, a, b)
		}, false, 0},
		{"pipe", func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() }, false, 0},
		{"TCP", tcpPair, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			l, err := NewLoop(&LoopOptions{Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for range 3 {
				peer, nc := tt.pair(t)
				defer peer.Close()
				c := newConn(nc, connConfig{client: tt.client, opts: Options{}.withDefaults()})
				defer c.CloseNow()
				if err := l.Attach(c, funcHandler{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := strings.Count(log.String(), "level=WARN"); n != tt.want {
				t.Errorf("%d warnings, want %d:\n%s", n, tt.want, &log)
			}
			if tt.want > 0 && !strings.Contains(log.String(), "Loop.Listener") {
				t.Errorf("the log does not say what to do:\n%s", &log)
			}
		})
	}
}
