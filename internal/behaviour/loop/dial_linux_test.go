//go:build !ws_unix && !ws_plain

package loop_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// TestLoopPollsDialled: connections of Dial have no goroutine on a loop, whatever
// way they took.
func TestLoopPollsDialled(t *testing.T) {
	echo := &websocket.Server{Handler: func(c *websocket.Conn) {
		for {
			typ, p, err := c.Read(bg)
			if err != nil || c.Write(bg, typ, p) != nil {
				return
			}
		}
	}}
	echo.ReadLimit = 1 << 20
	defer echo.Close()
	serve := func(ln net.Listener, secure bool) string {
		s := httptest.NewUnstartedServer(echo)
		if ln != nil {
			s.Listener.Close()
			s.Listener = ln
		}
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return strings.Replace(s.URL, "http", "ws", 1)
	}
	clear, secure := serve(nil, false), serve(nil, true)
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	serve(ln, true)

	serverTLS, _ := wstest.TLS()
	known := make(map[string]string) // to the proxies
	for _, u := range []string{clear, secure} {
		_, host, _ := strings.Cut(u, "://")
		known[host] = host
	}
	handle := wstest.HTTPProxy(nil, wstest.Connected, known)
	proxy := func(scheme, at string) func(*http.Transport) {
		return func(tr *http.Transport) { tr.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: at}) }
	}
	byProxy, byTLSProxy := proxy("http", wstest.Listen(t, nil, handle)), proxy("https", wstest.Listen(t, serverTLS, handle))

	for _, tt := range []struct {
		name, url string
		n         int
		change    func(*http.Transport)
	}{
		{"ws", clear, 20, nil},
		{"wss", secure, 200, nil},
		{"ws by a proxy", clear, 20, byProxy},
		{"wss by a proxy", secure, 20, byProxy},
		{"ws by a proxy with TLS", clear, 20, byTLSProxy},
		{"wss by a proxy with TLS", secure, 20, byTLSProxy},
		{"wss on a Unix socket", secure, 20, func(tr *http.Transport) {
			tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			}
		}},
		{"wss by a dialer without context", secure, 20, func(tr *http.Transport) { tr.Dial = net.Dial }}, //lint:ignore SA1019 users may have set it
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := conntest.Insecure()
			opts.ReadLimit = 1 << 20
			if tt.change != nil {
				tt.change(opts.HTTPClient.Transport.(*http.Transport))
			}
			l := conntest.NewLoop(t, 2)
			got := make(chan string, tt.n)
			closed := make(chan error, tt.n)
			h := conntest.Handler{
				Message: func(_ *websocket.Conn, _ websocket.MessageType, p []byte) { got <- string(p) },
				Close:   func(_ *websocket.Conn, err error) { closed <- err },
			}
			conns := make([]*websocket.Conn, tt.n)
			for i := range conns {
				c, _, err := websocket.Dial(t.Context(), tt.url, opts)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if err := l.Attach(c, h); err != nil {
					t.Fatal(err)
				}
				conns[i] = c
			}
			for _, msg := range []string{"hello", strings.Repeat("many records", 20_000)} {
				for _, c := range conns {
					if err := c.Write(bg, websocket.Text, []byte(msg)); err != nil {
						t.Fatal(err)
					}
				}
				for range conns {
					if p := wstest.Receive(t, got); p != msg {
						t.Fatalf("%d bytes came back as %d", len(msg), len(p))
					}
				}
			}
			for _, g := range wstest.Goroutines() {
				if strings.Contains(g, "(*loopHandler).serve") || strings.Contains(g, "net/http.(*persistConn)") {
					t.Fatalf("a connection that was dialled has a goroutine:\n%s", g)
				}
			}
			ctx, cancel := context.WithTimeout(bg, 10*time.Second)
			defer cancel()
			if err := l.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			for range conns {
				if err := wstest.Receive(t, closed); websocket.CloseCode(err) != websocket.StatusGoingAway {
					t.Error(err)
				}
			}
		})
	}
}
