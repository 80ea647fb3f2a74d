package dial_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestCloses are answers to a handshake that list "close" beside "Upgrade",
// without their first line and the lines that depend on the key. net/http takes
// them for the end of the connection.
var dialTestCloses = map[string]string{
	"Jetty 9":        "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: close\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n",
	"one line":       "Upgrade: websocket\r\nConnection: close, Upgrade\r\n",
	"the other way":  "Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
	"other case":     "upgrade: websocket\r\nCONNECTION: uPGRADE ,\tClose ,\r\n",
	"two lines":      "Connection: Upgrade\r\nConnection: close\r\nUpgrade: websocket\r\n",
	"among others":   "Upgrade: websocket\r\nConnection: keep-alive, close, X-Hop\r\nX-Hop: 1\r\nConnection: Upgrade\r\n",
	"folded":         "Upgrade: websocket\r\nConnection: close,\r\n\tUpgrade\r\n",
	"bare LF":        "Upgrade: websocket\nConnection: close, Upgrade\n",
	"twice":          "Upgrade: websocket\r\nConnection: close, close, Upgrade, close\r\n",
	"with Keepalive": "Keep-Alive: timeout=5\r\nUpgrade: websocket\r\nConnection: close\r\nConnection: keep-alive, Upgrade\r\n",
}

// dialTestCloseServer answers with lines, and tail right behind it.
func dialTestCloseServer(t *testing.T, cfg *tls.Config, lines, tail string) (addr string) {
	return wstest.Listen(t, cfg, func(p *wstest.Peer) {
		if req := p.Request(); req != nil {
			io.WriteString(p, "HTTP/1.1 101 Switching Protocols\r\n"+lines+
				"Sec-WebSocket-Accept: "+websocket.AcceptKey(req.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n"+tail)
			p.Echo()
		}
	})
}

func TestDialConnectionClose(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	for name, lines := range dialTestCloses {
		t.Run(name, func(t *testing.T) {
			tail := dialTestPattern(5000)
			hosts := map[string]string{
				"a.test:80":       dialTestCloseServer(t, nil, lines, tail),
				"example.com:443": dialTestCloseServer(t, serverTLS, lines, tail),
			}
			check := func(url string, opts *websocket.DialOptions) {
				t.Helper()
				nc, early, resp := dialTestConn(t, url, opts)
				dialTestEcho(t, nc, early, tail)
				if !fields.HasToken(resp.Header, "Connection", "Upgrade") || resp.Close {
					t.Errorf("%s: got response %+v", url, resp)
				}
				if (resp.TLS != nil) != strings.HasPrefix(url, "wss") {
					t.Errorf("%s: response has TLS state %v", url, resp.TLS)
				}
			}
			check("ws://"+hosts["a.test:80"], nil)
			d := &wstest.Dialer{Hosts: hosts}
			own := wstest.Transport(d)
			own.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return dialTestTLSDialer(wstest.Transport(d), "")(ctx, network, addr)
			}
			bare := wstest.Transport(nil)
			bare.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := d.DialContext(ctx, network, addr)
				return wstest.NoDeadlines{Conn: nc}, err
			}
			transports := []*http.Transport{wstest.Transport(d), own, bare}
			for _, proxy := range []string{
				"http://" + wstest.Listen(t, nil, wstest.HTTPProxy(nil, wstest.Connected, hosts)),
				"https://" + wstest.Listen(t, serverTLS, wstest.HTTPProxy(nil, wstest.Connected, hosts)),
				"socks5://me:secret@" + wstest.Listen(t, nil, wstest.SOCKS(make(chan string, 10), hosts)),
			} {
				tr := wstest.Transport(nil)
				tr.Proxy = wstest.ProxyURL(t, proxy)
				transports = append(transports, tr)
			}
			for _, tr := range transports {
				check("ws://a.test/", dialTestOptions(tr))
				check("wss://example.com/", dialTestOptions(tr))
			}
		})
	}
}

// TestDialConnectionCloseForeign: behind a RoundTripper of the user's nothing
// can be done, and the error says so. Where there is no "Upgrade" it is the
// server's fault on any Transport.
func TestDialConnectionCloseForeign(t *testing.T) {
	opts := dialTestOptions(dialTestTripper(wstest.Transport(nil).RoundTrip))
	_, _, err := websocket.Dial(t.Context(), "ws://"+dialTestCloseServer(t, nil, dialTestCloses["one line"], ""), opts)
	dialTestRefused(t, err, 101, `header Connection lists "close", so net/http has removed it and closed the connection before Dial could see either; `+
		`that can be prevented with a Transport that is an *http.Transport, not with dial_test.dialTestTripper`)

	for _, opts := range []*websocket.DialOptions{nil, dialTestOptions(wstest.Transport(nil))} {
		_, _, err := websocket.Dial(t.Context(), "ws://"+dialTestCloseServer(t, nil, "Upgrade: websocket\r\nConnection: close\r\n", ""), opts)
		dialTestRefused(t, err, 101, `header Connection does not list "Upgrade"`)
	}
}

// TestDialConnectionCloseRefusal: a refusal that says close is one, and so is
// an interim response in front of it.
func TestDialConnectionCloseRefusal(t *testing.T) {
	resp, err := dialTestAnswer(t, nil, func(*http.Request) string {
		return "HTTP/1.1 103 Early Hints\r\nConnection: close, Upgrade\r\n\r\n" +
			"HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno"
	})
	dialTestRefused(t, err, 426, "426 Upgrade Required: no")
	if b, err := io.ReadAll(resp.Body); string(b) != "no" || err != nil || !resp.Close {
		t.Errorf("got body %q, %v, close %v", b, err, resp.Close)
	}
}

// TestDialDetour: a dialer of the user's makes a request, and even a dial, on
// the way, under the same trace. Their connections are not ours.
func TestDialDetour(t *testing.T) {
	addr := wstest.Listen(t, nil, (*wstest.Peer).Accept)
	other := wstest.Listen(t, nil, func(p *wstest.Peer) {
		req := p.Request()
		switch {
		case req == nil:
		case req.Header.Get("Upgrade") != "":
			io.WriteString(p, wstest.Switch(req, ""))
			p.Echo()
		default:
			io.WriteString(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
	detour := func(ctx context.Context) {
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+other, nil)
		resp, err := wstest.Transport(nil).RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
		nc, _, _, err := dialHandshake(ctx, "ws://"+other, dialTestOptions(wstest.Transport(nil)))
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { nc.Close() })
	}
	tr := wstest.Transport(nil)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		detour(ctx)
		return nc, err
	}
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		detour(r.Context())
		return nil, nil
	}
	nc, early, _ := dialTestConn(t, "ws://"+addr, dialTestOptions(tr))
	if reflect.TypeOf(nc) != reflect.TypeFor[*net.TCPConn]() || nc.RemoteAddr().String() != addr {
		t.Errorf("got a %T to %v, want one to %v", nc, nc.RemoteAddr(), addr)
	}
	dialTestEcho(t, nc, early, "")

	// Nor is what happens to them told of ours.
	silent := wstest.Listen(t, nil, func(p *wstest.Peer) { p.Request() })
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, _, err := websocket.Dial(ctx, "ws://"+silent, dialTestOptions(wstest.Transport(nil)))
		dialTestRefused(t, err, 0, "server closed the connection without an answer")
		return nil, io.ErrNoProgress
	}
	_, _, err := websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(tr))
	if e := (*websocket.HandshakeError)(nil); !errors.Is(err, io.ErrNoProgress) || errors.As(err, &e) {
		t.Errorf("got %v, want the error of the dialer", err)
	}
}
