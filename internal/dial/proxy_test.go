package dial_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestSite has a server for a.test:80 and one with TLS for
// example.com:443, and knows which requests they got.
func dialTestSite(t *testing.T) (hosts map[string]string, requests chan *http.Request) {
	serverTLS, _ := wstest.TLS()
	requests = make(chan *http.Request, 10)
	serve := func(p *wstest.Peer) {
		if req := p.Request(); req != nil {
			requests <- req
			io.WriteString(p, wstest.Switch(req, ""))
			p.Echo()
		}
	}
	return map[string]string{
		"a.test:80":       wstest.Listen(t, nil, serve),
		"example.com:443": wstest.Listen(t, serverTLS, serve),
	}, requests
}

func TestDialHTTPProxy(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	hosts, requests := dialTestSite(t)
	for _, tt := range []struct{ url, target string }{
		{"ws://a.test/p?q", "a.test:80"},
		{"wss://example.com/p?q", "example.com:443"},
	} {
		for _, scheme := range []string{"http", "https", ""} {
			connects := make(chan *http.Request, 10)
			cfg := serverTLS
			if scheme != "https" {
				cfg = nil
			}
			addr := wstest.Listen(t, cfg, wstest.HTTPProxy(connects, wstest.Connected, hosts))
			d := new(wstest.Dialer)
			tr := wstest.Transport(d)
			var asked, hooked string
			tr.Proxy = func(r *http.Request) (*url.URL, error) {
				asked = r.URL.String()
				return &url.URL{Scheme: scheme, Host: addr, User: url.UserPassword("me", "pa:ss")}, nil
			}
			tr.ProxyConnectHeader = http.Header{"X-Static": {"1"}}
			tr.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
				hooked = fmt.Sprint(proxy.Host, " ", req.Method, " ", req.Host, " ", resp.StatusCode)
				return nil
			}
			opts := dialTestOptions(tr)
			opts.Header = http.Header{"Cookie": {"not=for the proxy"}}
			nc, early, _ := dialTestConn(t, tt.url, opts)
			dialTestEcho(t, nc, early, "")

			if want := strings.Replace(tt.url, "ws", "http", 1); asked != want {
				t.Errorf("Proxy was asked for %s, want %s", asked, want)
			}
			if want := addr + " CONNECT " + tt.target + " 200"; hooked != want {
				t.Errorf("OnProxyConnectResponse saw %q, want %q", hooked, want)
			}
			req := wstest.ReceiveFor(t, connects, "no CONNECT")
			if req.Method != "CONNECT" || req.RequestURI != tt.target || req.Host != tt.target {
				t.Errorf("%s by %q: proxy got %s %s for %s", tt.url, scheme, req.Method, req.RequestURI, req.Host)
			}
			if req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:pa:ss")) ||
				req.Header.Get("X-Static") != "1" || req.Header.Get("Cookie") != "" || req.Header.Get("Upgrade") != "" {
				t.Errorf("%s by %q: proxy got headers %v", tt.url, scheme, req.Header)
			}
			req = wstest.ReceiveFor(t, requests, "no request")
			if req.RequestURI != "/p?q" || req.Header.Get("Proxy-Authorization") != "" || req.Header.Get("X-Static") != "" {
				t.Errorf("%s by %q: server got %s, headers %v", tt.url, scheme, req.RequestURI, req.Header)
			}
			if len(tr.ProxyConnectHeader) != 1 {
				t.Errorf("ProxyConnectHeader was changed: %v", tr.ProxyConnectHeader)
			}
			if nc.Close(); d.Open() != 0 {
				t.Errorf("%s by %q: a connection is open after Close", tt.url, scheme)
			}
		}
	}
}

// TestDialProxyVariants are answers and settings that open a tunnel too.
func TestDialProxyVariants(t *testing.T) {
	hosts, _ := dialTestSite(t)
	shared := make(http.Header)
	for _, tt := range []struct {
		name, answer string
		change       func(*http.Transport)
	}{
		{"interim responses", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + wstest.Connected, nil},
		{"another 2xx", "HTTP/1.1 204 No Content\r\n\r\n", nil},
		{"headers of content that there is not", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n", nil},
		{"header function", wstest.Connected, func(tr *http.Transport) {
			tr.ProxyConnectHeader = http.Header{"X-Static": {"ignored"}}
			tr.GetProxyConnectHeader = func(_ context.Context, proxy *url.URL, target string) (http.Header, error) {
				shared.Set("X-Target", target+" by "+proxy.Scheme)
				return shared, nil
			}
		}},
		{"header function without a header", wstest.Connected, func(tr *http.Transport) {
			tr.GetProxyConnectHeader = func(context.Context, *url.URL, string) (http.Header, error) { return nil, nil }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connects := make(chan *http.Request, 1)
			tr := wstest.Transport(nil)
			tr.Proxy = wstest.ProxyURL(t, "http://me@"+wstest.Listen(t, nil, wstest.HTTPProxy(connects, tt.answer, hosts)))
			if tt.change != nil {
				tt.change(tr)
			}
			nc, early, _ := dialTestConn(t, "ws://a.test/", dialTestOptions(tr))
			dialTestEcho(t, nc, early, "")
			req := wstest.ReceiveFor(t, connects, "no CONNECT")
			if req.Header.Get("X-Static") != "" || tt.name == "header function" && req.Header.Get("X-Target") != "a.test:80 by http" {
				t.Errorf("proxy got headers %v", req.Header)
			}
			if req.Header.Get("Proxy-Authorization") == "" || shared.Get("Proxy-Authorization") != "" {
				t.Errorf("proxy got headers %v, and the user's have become %v", req.Header, shared)
			}
		})
	}
}

func TestDialProxyRefuses(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	broken := errors.New("broken")
	for _, tt := range []struct {
		name, answer string
		change       func(*http.Transport)
		want         string
		status       int // of a HandshakeError, if not negative
	}{
		{"with a status", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", nil,
			"PROXY refused CONNECT to TARGET: 407 Proxy Authentication Required: the proxy does not accept the Proxy-Authorization that was sent", 407},
		{"with a way to authenticate", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Digest realm=x\r\nProxy-Authenticate: NTLM\r\n\r\n", nil,
			"that was sent; it knows Digest realm=x, NTLM", 407},
		{"for lack of a user", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", func(tr *http.Transport) {
			proxy := tr.Proxy
			tr.Proxy = func(r *http.Request) (*url.URL, error) {
				u, err := proxy(r)
				return &url.URL{Scheme: u.Scheme, Host: u.Host}, err
			}
		}, "407 Proxy Authentication Required: the proxy wants a user and a password, which belong into its URL", 407},
		{"with another status", "HTTP/1.1 502 Bad Gateway\r\n\r\n", nil, "PROXY refused CONNECT to TARGET: 502 Bad Gateway", 502},
		{"with a status and a body", "HTTP/1.1 403 Forbidden\r\nContent-Length: 9999\r\n\r\nno", nil,
			"PROXY refused CONNECT to TARGET: 403 Forbidden: the proxy's rules do not allow this host or port", 403},
		{"by a hook", wstest.Connected, func(tr *http.Transport) {
			tr.OnProxyConnectResponse = func(context.Context, *url.URL, *http.Request, *http.Response) error { return broken }
		}, "broken", -1},
		{"by a header function", wstest.Connected, func(tr *http.Transport) {
			tr.GetProxyConnectHeader = func(context.Context, *url.URL, string) (http.Header, error) { return nil, broken }
		}, "broken", -1},
		{"by closing", "", nil, "PROXY closed the connection without an answer to CONNECT", 0},
		{"with nonsense", "what?\r\n\r\n", nil, "malformed HTTP", -1},
		{"without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10), nil, "exceeds 65536 bytes", -1},
		{"by asking nobody", "", func(tr *http.Transport) {
			tr.Proxy = func(*http.Request) (*url.URL, error) { return nil, broken }
		}, "broken", -1},
		{"of a kind that there is not", "", func(tr *http.Transport) {
			tr.Proxy = wstest.ProxyURL(t, "gopher://me:secret@h")
		}, `proxy h: scheme "gopher" is not supported`, -1},
		{"by not being there", "", func(tr *http.Transport) {
			tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, broken }
		}, "broken", -1},
	} {
		for _, scheme := range []string{"http", "https"} {
			for _, target := range []string{"ws://a.test/", "wss://a.test/"} {
				cfg := serverTLS
				if scheme == "http" {
					cfg = nil
				}
				addr := wstest.Listen(t, cfg, wstest.HTTPProxy(make(chan *http.Request, 1), tt.answer, nil))
				d := new(wstest.Dialer)
				tr := wstest.Transport(d)
				tr.Proxy = wstest.ProxyURL(t, scheme+"://me:secret@"+addr)
				if tt.change != nil {
					tt.change(tr)
				}
				var (
					resp *http.Response
					err  error
				)
				wstest.NoGoroutines(t, func() { _, resp, err = websocket.Dial(t.Context(), target, dialTestOptions(tr)) })
				port := map[string]string{"ws://a.test/": "80", "wss://a.test/": "443"}[target]
				want := strings.NewReplacer("PROXY", "proxy "+addr, "TARGET", "a.test:"+port).Replace(tt.want)
				if e := (*websocket.HandshakeError)(nil); errors.As(err, &e) != (tt.status >= 0) || e != nil && (e.Status != tt.status || e.Proxy != addr) {
					t.Errorf("%s, %s by %s: got %#v, want status %d of %s", tt.name, target, scheme, e, tt.status, addr)
				}
				if resp != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s, %s by %s: got %v, want %q", tt.name, target, scheme, err, want)
				}
				if tt.want == "broken" && !errors.Is(err, broken) {
					t.Errorf("%s: %v does not wrap the error", tt.name, err)
				}
				if n := d.Open(); n != 0 {
					t.Errorf("%s, %s by %s: %d connections are open", tt.name, target, scheme, n)
				}
			}
		}
	}
}

// TestDialProxyTrace: the proxy's TLS handshake is reported like any other.
func TestDialProxyTrace(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	hosts, _ := dialTestSite(t)
	tr := wstest.Transport(nil)
	tr.TLSHandshakeTimeout = 10 * time.Second
	tr.TLSClientConfig.NextProtos = []string{"h2"} // which is no good for CONNECT
	serverTLS = serverTLS.Clone()
	serverTLS.NextProtos = []string{"h2", "http/1.1"}
	tr.Proxy = wstest.ProxyURL(t, "https://"+wstest.Listen(t, serverTLS, wstest.HTTPProxy(make(chan *http.Request, 10), wstest.Connected, hosts)))
	started, done := 0, 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		TLSHandshakeStart: func() { started++ },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if s.HandshakeComplete && err == nil && s.NegotiatedProtocol == "" {
				done++
			}
		},
	})
	nc, early, _, err := dialHandshake(ctx, "ws://a.test", dialTestOptions(tr))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	dialTestEcho(t, nc, early, "")
	if started != 1 || done != 1 {
		t.Errorf("TLS handshake started %d and done %d times, want once", started, done)
	}

	// With a TLS dialer of the user's, that is what reaches the proxy.
	tr.DialTLSContext = dialTestTLSDialer(tr, "")
	tr.TLSClientConfig = nil
	nc, early, _ = dialTestConn(t, "ws://a.test", dialTestOptions(tr))
	dialTestEcho(t, nc, early, "")

	tr.DialTLSContext = nil // and without it, the certificate is unknown
	if _, _, err := websocket.Dial(t.Context(), "ws://a.test", dialTestOptions(tr)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown certificate: got %v", err)
	}
}

func TestDialSOCKS5(t *testing.T) {
	hosts, requests := dialTestSite(t)
	targets := make(chan string, 10)
	addr := wstest.Listen(t, nil, wstest.SOCKS(targets, hosts))
	for _, scheme := range []string{"socks5", "socks5h"} {
		for _, tt := range []struct{ url, target string }{{"ws://a.test/p", "a.test:80"}, {"wss://example.com/p", "example.com:443"}} {
			d := new(wstest.Dialer)
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, scheme+"://me:secret@"+addr)
			nc, early, _ := dialTestConn(t, tt.url, dialTestOptions(tr))
			dialTestEcho(t, nc, early, "")
			if got := wstest.ReceiveFor(t, targets, "no CONNECT"); got != tt.target {
				t.Errorf("proxy was asked for %s, want %s", got, tt.target)
			}
			if req := wstest.ReceiveFor(t, requests, "no request"); req.RequestURI != "/p" {
				t.Errorf("server was asked for %s", req.RequestURI)
			}
			if nc.Close(); d.Open() != 0 {
				t.Error("a connection is open after Close")
			}
		}
	}
	d := new(wstest.Dialer)
	tr := wstest.Transport(d)
	tr.Proxy = wstest.ProxyURL(t, "socks5://me:wrong@"+addr)
	_, _, err := websocket.Dial(t.Context(), "ws://a.test", dialTestOptions(tr))
	if err == nil || !strings.Contains(err.Error(), "proxy "+addr+": SOCKS5: it does not accept user and password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: got %v", err)
	}
	if n := d.Open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestDialProxyPerRequest: each hop of a chain asks for a proxy anew.
func TestDialProxyPerRequest(t *testing.T) {
	hosts, _ := dialTestSite(t)
	connects := make(chan *http.Request, 10)
	proxy := wstest.ProxyURL(t, "http://"+wstest.Listen(t, nil, wstest.HTTPProxy(connects, wstest.Connected, hosts)))
	from := wstest.Listen(t, nil, func(p *wstest.Peer) {
		p.Request()
		io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: ws://a.test/\r\nContent-Length: 0\r\n\r\n")
	})
	tr := wstest.Transport(nil)
	var asked []string
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		asked = append(asked, r.URL.Host)
		if r.URL.Host == from {
			return nil, nil
		}
		return proxy(r)
	}
	nc, early, _ := dialTestConn(t, "ws://"+from, dialTestOptions(tr))
	dialTestEcho(t, nc, early, "")
	if req := wstest.ReceiveFor(t, connects, "no CONNECT"); req.Host != "a.test:80" || len(connects) != 0 {
		t.Errorf("proxy was asked for %s, and %d others", req.Host, len(connects))
	}
	if len(asked) != 2 {
		t.Errorf("Proxy was asked for %q", asked)
	}
}

// TestDialProxyFromEnvironment runs itself as another process, because
// net/http reads the environment once.
func TestDialProxyFromEnvironment(t *testing.T) {
	t.Parallel()
	if direct := os.Getenv("DIALTEST_DIRECT"); direct != "" {
		tr := wstest.Transport(&wstest.Dialer{Hosts: map[string]string{"direct.test:80": direct, "sub.direct.test:80": direct}})
		tr.Proxy = http.ProxyFromEnvironment
		for _, host := range []string{"a.test", "direct.test", "sub.direct.test"} {
			nc, early, _ := dialTestConn(t, "ws://"+host, dialTestOptions(tr))
			dialTestEcho(t, nc, early, "")
		}
		return
	}
	if runtime.GOOS == "js" {
		t.Skip("no processes")
	}
	hosts, _ := dialTestSite(t)
	connects := make(chan *http.Request, 10)
	proxy := wstest.Listen(t, nil, wstest.HTTPProxy(connects, wstest.Connected, hosts))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDialProxyFromEnvironment$")
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if name = strings.ToLower(name); !strings.HasSuffix(name, "_proxy") && name != "request_method" {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "HTTP_PROXY=http://me:secret@"+proxy, "NO_PROXY=direct.test", "DIALTEST_DIRECT="+hosts["a.test:80"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	req := wstest.ReceiveFor(t, connects, "no CONNECT")
	if req.Host != "a.test:80" || req.Header.Get("Proxy-Authorization") == "" || len(connects) != 0 {
		t.Errorf("proxy was asked for %s, and %d others", req.Host, len(connects))
	}
}
