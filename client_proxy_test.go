package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
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
	"strconv"
	"strings"
	"testing"
	"time"
)

// dialTestHTTPProxy serves one connection of an HTTP proxy: it answers CONNECT
// with answer and, if that is a 200, connects to the address that hosts has
// for the target.
func dialTestHTTPProxy(requests chan<- *http.Request, answer string, hosts map[string]string) func(*dialTestPeer) {
	return func(p *dialTestPeer) {
		req := p.request()
		if req == nil {
			return
		}
		select {
		case requests <- req:
		default: // nobody looks at so many
		}
		if req.Method != http.MethodConnect {
			io.WriteString(p, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(p, answer)
		if strings.HasPrefix(answer, "HTTP/1.1 20") || strings.HasPrefix(answer, "HTTP/1.1 1") {
			p.splice(hosts[req.Host])
		}
	}
}

// splice connects the client to addr.
func (p *dialTestPeer) splice(addr string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer nc.Close()
	go func() {
		io.Copy(p.Conn, nc)
		p.Conn.Close()
	}()
	io.Copy(nc, p.br)
}

const dialTestConnected = "HTTP/1.1 200 Connection established\r\n\r\n"

// dialTestSite has a server for a.test:80 and one with TLS for
// example.com:443, and knows which requests they got.
func dialTestSite(t *testing.T) (hosts map[string]string, requests chan *http.Request) {
	serverTLS, _ := dialTestTLS()
	requests = make(chan *http.Request, 10)
	serve := func(p *dialTestPeer) {
		if req := p.request(); req != nil {
			requests <- req
			io.WriteString(p, dialTestSwitch(req, ""))
			p.echo()
		}
	}
	return map[string]string{
		"a.test:80":       dialTestListen(t, nil, serve),
		"example.com:443": dialTestListen(t, serverTLS, serve),
	}, requests
}

func TestDialHTTPProxy(t *testing.T) {
	serverTLS, _ := dialTestTLS()
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
			addr := dialTestListen(t, cfg, dialTestHTTPProxy(connects, dialTestConnected, hosts))
			d := new(dialTestDialer)
			tr := dialTestTransport(d)
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
			nc, conf, _ := dialTestConn(t, tt.url, opts)
			dialTestEcho(t, nc, conf.early, "")

			if want := strings.Replace(tt.url, "ws", "http", 1); asked != want {
				t.Errorf("Proxy was asked for %s, want %s", asked, want)
			}
			if want := addr + " CONNECT " + tt.target + " 200"; hooked != want {
				t.Errorf("OnProxyConnectResponse saw %q, want %q", hooked, want)
			}
			req := dialTestWait(t, connects, "no CONNECT")
			if req.Method != "CONNECT" || req.RequestURI != tt.target || req.Host != tt.target {
				t.Errorf("%s by %q: proxy got %s %s for %s", tt.url, scheme, req.Method, req.RequestURI, req.Host)
			}
			if req.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:pa:ss")) ||
				req.Header.Get("X-Static") != "1" || req.Header.Get("Cookie") != "" || req.Header.Get("Upgrade") != "" {
				t.Errorf("%s by %q: proxy got headers %v", tt.url, scheme, req.Header)
			}
			req = dialTestWait(t, requests, "no request")
			if req.RequestURI != "/p?q" || req.Header.Get("Proxy-Authorization") != "" || req.Header.Get("X-Static") != "" {
				t.Errorf("%s by %q: server got %s, headers %v", tt.url, scheme, req.RequestURI, req.Header)
			}
			if len(tr.ProxyConnectHeader) != 1 {
				t.Errorf("ProxyConnectHeader was changed: %v", tr.ProxyConnectHeader)
			}
			if nc.Close(); d.open() != 0 {
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
		{"interim responses", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + dialTestConnected, nil},
		{"another 2xx", "HTTP/1.1 204 No Content\r\n\r\n", nil},
		{"headers of content that there is not", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n", nil},
		{"header function", dialTestConnected, func(tr *http.Transport) {
			tr.ProxyConnectHeader = http.Header{"X-Static": {"ignored"}}
			tr.GetProxyConnectHeader = func(_ context.Context, proxy *url.URL, target string) (http.Header, error) {
				shared.Set("X-Target", target+" by "+proxy.Scheme)
				return shared, nil
			}
		}},
		{"header function without a header", dialTestConnected, func(tr *http.Transport) {
			tr.GetProxyConnectHeader = func(context.Context, *url.URL, string) (http.Header, error) { return nil, nil }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			connects := make(chan *http.Request, 1)
			tr := dialTestTransport(nil)
			tr.Proxy = dialTestProxy(t, "http://me@"+dialTestListen(t, nil, dialTestHTTPProxy(connects, tt.answer, hosts)))
			if tt.change != nil {
				tt.change(tr)
			}
			nc, cfg, _ := dialTestConn(t, "ws://a.test/", dialTestOptions(tr))
			dialTestEcho(t, nc, cfg.early, "")
			req := dialTestWait(t, connects, "no CONNECT")
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
	serverTLS, _ := dialTestTLS()
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
		{"by a hook", dialTestConnected, func(tr *http.Transport) {
			tr.OnProxyConnectResponse = func(context.Context, *url.URL, *http.Request, *http.Response) error { return broken }
		}, "broken", -1},
		{"by a header function", dialTestConnected, func(tr *http.Transport) {
			tr.GetProxyConnectHeader = func(context.Context, *url.URL, string) (http.Header, error) { return nil, broken }
		}, "broken", -1},
		{"by closing", "", nil, "PROXY closed the connection without an answer to CONNECT", 0},
		{"with nonsense", "what?\r\n\r\n", nil, "malformed HTTP", -1},
		{"without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10), nil, "exceeds 65536 bytes", -1},
		{"by asking nobody", "", func(tr *http.Transport) {
			tr.Proxy = func(*http.Request) (*url.URL, error) { return nil, broken }
		}, "broken", -1},
		{"of a kind that there is not", "", func(tr *http.Transport) {
			tr.Proxy = dialTestProxy(t, "gopher://me:secret@h")
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
				addr := dialTestListen(t, cfg, dialTestHTTPProxy(make(chan *http.Request, 1), tt.answer, nil))
				d := new(dialTestDialer)
				tr := dialTestTransport(d)
				tr.Proxy = dialTestProxy(t, scheme+"://me:secret@"+addr)
				if tt.change != nil {
					tt.change(tr)
				}
				var (
					resp *http.Response
					err  error
				)
				dialTestGone(t, func() { _, resp, err = Dial(t.Context(), target, dialTestOptions(tr)) })
				port := map[string]string{"ws://a.test/": "80", "wss://a.test/": "443"}[target]
				want := strings.NewReplacer("PROXY", "proxy "+addr, "TARGET", "a.test:"+port).Replace(tt.want)
				if e := (*HandshakeError)(nil); errors.As(err, &e) != (tt.status >= 0) || e != nil && (e.Status != tt.status || e.Proxy != addr) {
					t.Errorf("%s, %s by %s: got %#v, want status %d of %s", tt.name, target, scheme, e, tt.status, addr)
				}
				if resp != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s, %s by %s: got %v, want %q", tt.name, target, scheme, err, want)
				}
				if tt.want == "broken" && !errors.Is(err, broken) {
					t.Errorf("%s: %v does not wrap the error", tt.name, err)
				}
				if n := d.open(); n != 0 {
					t.Errorf("%s, %s by %s: %d connections are open", tt.name, target, scheme, n)
				}
			}
		}
	}
}

// TestDialProxyTrace: the proxy's TLS handshake is reported like any other.
func TestDialProxyTrace(t *testing.T) {
	serverTLS, _ := dialTestTLS()
	hosts, _ := dialTestSite(t)
	tr := dialTestTransport(nil)
	tr.TLSHandshakeTimeout = 10 * time.Second
	tr.TLSClientConfig.NextProtos = []string{"h2"} // which is no good for CONNECT
	serverTLS = serverTLS.Clone()
	serverTLS.NextProtos = []string{"h2", "http/1.1"}
	tr.Proxy = dialTestProxy(t, "https://"+dialTestListen(t, serverTLS, dialTestHTTPProxy(make(chan *http.Request, 10), dialTestConnected, hosts)))
	started, done := 0, 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		TLSHandshakeStart: func() { started++ },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			if s.HandshakeComplete && err == nil && s.NegotiatedProtocol == "" {
				done++
			}
		},
	})
	nc, cfg, _, err := dialHandshake(ctx, "ws://a.test", dialTestOptions(tr))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	dialTestEcho(t, nc, cfg.early, "")
	if started != 1 || done != 1 {
		t.Errorf("TLS handshake started %d and done %d times, want once", started, done)
	}

	// With a TLS dialer of the user's, that is what reaches the proxy.
	tr.DialTLSContext = dialTestTLSDialer(tr, "")
	tr.TLSClientConfig = nil
	nc, cfg, _ = dialTestConn(t, "ws://a.test", dialTestOptions(tr))
	dialTestEcho(t, nc, cfg.early, "")

	tr.DialTLSContext = nil // and without it, the certificate is unknown
	if _, _, err := Dial(t.Context(), "ws://a.test", dialTestOptions(tr)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown certificate: got %v", err)
	}
}

// dialTestSOCKS serves one connection of a SOCKS5 proxy (RFC 1928) that wants
// a user and a password (RFC 1929).
func dialTestSOCKS(targets chan<- string, hosts map[string]string) func(*dialTestPeer) {
	return func(p *dialTestPeer) {
		read := func(n int) []byte {
			b := make([]byte, n)
			io.ReadFull(p.br, b)
			return b
		}
		methods := read(int(read(2)[1]))
		if !bytes.Contains(methods, []byte{2}) {
			p.Write([]byte{5, 0xff})
			return
		}
		p.Write([]byte{5, 2})
		user := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(user) != "me" || string(password) != "secret" {
			p.Write([]byte{1, 1})
			return
		}
		p.Write([]byte{1, 0})
		if head := read(4); head[1] != 1 || head[3] != 3 {
			return // neither CONNECT nor a name
		}
		host := string(read(int(read(1)[0])))
		target := net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(read(2)))))
		targets <- target
		p.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
		p.splice(hosts[target])
	}
}

func TestDialSOCKS5(t *testing.T) {
	hosts, requests := dialTestSite(t)
	targets := make(chan string, 10)
	addr := dialTestListen(t, nil, dialTestSOCKS(targets, hosts))
	for _, scheme := range []string{"socks5", "socks5h"} {
		for _, tt := range []struct{ url, target string }{{"ws://a.test/p", "a.test:80"}, {"wss://example.com/p", "example.com:443"}} {
			d := new(dialTestDialer)
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, scheme+"://me:secret@"+addr)
			nc, cfg, _ := dialTestConn(t, tt.url, dialTestOptions(tr))
			dialTestEcho(t, nc, cfg.early, "")
			if got := dialTestWait(t, targets, "no CONNECT"); got != tt.target {
				t.Errorf("proxy was asked for %s, want %s", got, tt.target)
			}
			if req := dialTestWait(t, requests, "no request"); req.RequestURI != "/p" {
				t.Errorf("server was asked for %s", req.RequestURI)
			}
			if nc.Close(); d.open() != 0 {
				t.Error("a connection is open after Close")
			}
		}
	}
	d := new(dialTestDialer)
	tr := dialTestTransport(d)
	tr.Proxy = dialTestProxy(t, "socks5://me:wrong@"+addr)
	_, _, err := Dial(t.Context(), "ws://a.test", dialTestOptions(tr))
	if err == nil || !strings.Contains(err.Error(), "proxy "+addr+": SOCKS5: it does not accept user and password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong password: got %v", err)
	}
	if n := d.open(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestDialProxyPerRequest: each hop of a chain asks for a proxy anew.
func TestDialProxyPerRequest(t *testing.T) {
	hosts, _ := dialTestSite(t)
	connects := make(chan *http.Request, 10)
	proxy := dialTestProxy(t, "http://"+dialTestListen(t, nil, dialTestHTTPProxy(connects, dialTestConnected, hosts)))
	from := dialTestListen(t, nil, func(p *dialTestPeer) {
		p.request()
		io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: ws://a.test/\r\nContent-Length: 0\r\n\r\n")
	})
	tr := dialTestTransport(nil)
	var asked []string
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		asked = append(asked, r.URL.Host)
		if r.URL.Host == from {
			return nil, nil
		}
		return proxy(r)
	}
	nc, cfg, _ := dialTestConn(t, "ws://"+from, dialTestOptions(tr))
	dialTestEcho(t, nc, cfg.early, "")
	if req := dialTestWait(t, connects, "no CONNECT"); req.Host != "a.test:80" || len(connects) != 0 {
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
		tr := dialTestTransport(&dialTestDialer{hosts: map[string]string{"direct.test:80": direct, "sub.direct.test:80": direct}})
		tr.Proxy = http.ProxyFromEnvironment
		for _, host := range []string{"a.test", "direct.test", "sub.direct.test"} {
			nc, cfg, _ := dialTestConn(t, "ws://"+host, dialTestOptions(tr))
			dialTestEcho(t, nc, cfg.early, "")
		}
		return
	}
	if runtime.GOOS == "js" {
		t.Skip("no processes")
	}
	hosts, _ := dialTestSite(t)
	connects := make(chan *http.Request, 10)
	proxy := dialTestListen(t, nil, dialTestHTTPProxy(connects, dialTestConnected, hosts))
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
	req := dialTestWait(t, connects, "no CONNECT")
	if req.Host != "a.test:80" || req.Header.Get("Proxy-Authorization") == "" || len(connects) != 0 {
		t.Errorf("proxy was asked for %s, and %d others", req.Host, len(connects))
	}
}
