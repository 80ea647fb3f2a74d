package server_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/request"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// exchange writes a request to addr, over TLS if wanted, and returns the answer
// and its body. What comes behind that must be the end, unless it is 101 or kept
// says that the connection may go on.
func exchange(t *testing.T, addr net.Addr, secure bool, wire string, kept bool) (*http.Response, string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(nc, wire); err != nil {
		t.Fatal(err)
	}
	br := bufio.NewReader(nc)
	method, _, _ := strings.Cut(wire, " ")
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", wire, err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%q: %v", wire, err)
	}
	if !kept {
		if !resp.Close {
			t.Errorf("%q: the answer does not say that it is the last: %v", wire, resp.Header)
		}
		if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
			t.Errorf("%q: %q, %v behind the answer, want the end", wire, rest, err)
		}
	}
	return resp, string(body)
}

// TestLoopServeLikeNetHTTP: Loop.Serve gives each request the status that
// net/http's server with Accept gives it.
func TestLoopServeLikeNetHTTP(t *testing.T) {
	const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wstest.Key + "\r\n"
	const good = "GET / HTTP/1.1\r\nHost: a\r\n" + upgrade
	requests := []string{
		good, "GET http://b/c HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET /%2F?%zz HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET /a/../%41?b HTTP/1.2\r\nHost: [::1]:80\r\n" + upgrade,
		strings.ToLower("GET / HTTP/1.1\r\nHost: a\r\n") + upgrade, "GET / HTTP/1.1\r\nHOST: a\r\n" + strings.ReplaceAll(upgrade, "S", "s"), good + "Origin: http://a\r\n", good + "Origin: http://b\r\n",
		// Smuggling.
		good + "X-A : b\r\n", good + "Transfer-Encoding : chunked\r\n", good + "Origin : http://evil\r\n", good + "Content-Length : 5\r\n", good + "Transfer-Encoding: chunked\r\n",
		good + "Transfer-Encoding: gzip\r\n", good + "Transfer-Encoding: chunked, chunked\r\n", good + "Content-Length: 5\r\n", good + "Content-Length: 0\r\n", good + "Content-Length: 0\r\nContent-Length: 5\r\n",
		good + "Content-Length: +0\r\n", good + "Transfer-Encoding: identity\r\nContent-Length: 0\r\n", good + "X: a\r\n b\r\n", good + "X: a\rTransfer-Encoding: chunked\r\n", good + "X: a\x00\r\n", good + "X\x00: a\r\n",
		good + "X@: a\r\n", good + ": a\r\n", good + "X\r\n", good + "Host: a\r\n", good + "host: b\r\n", good + "\xc3\xa9: a\r\n", good + "X: \xc3\xa9\r\n", good + "Trailer: a\r\n", good + "TE: trailers\r\n",
		"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n" + upgrade,
		// Hosts and targets.
		"GET / HTTP/1.1\r\n" + upgrade, "GET / HTTP/1.1\r\nHost:\r\n" + upgrade, "GET / HTTP/1.1\r\nHost: a@b/c?d\r\n" + upgrade, "GET / HTTP/1.1\r\nHost: a/b\r\n" + upgrade, "GET / HTTP/1.1\r\nHost: a b\r\n" + upgrade,
		"GET a HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET /%zz HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET /\x01 HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET * HTTP/1.1\r\nHost: a\r\n" + upgrade, "GET  / HTTP/1.1\r\nHost: a\r\n" + upgrade,
		// Other versions and methods, and no upgrade.
		"GET / HTTP/1.0\r\nHost: a\r\n" + upgrade, "GET / HTTP/2.0\r\nHost: a\r\n" + upgrade, "GET / HTTP/0.9\r\n", "GET /\r\n", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.x\r\nHost: a\r\n", "get / HTTP/1.1\r\nHost: a\r\n" + upgrade,
		"POST / HTTP/1.1\r\nHost: a\r\n" + upgrade, "HEAD / HTTP/1.1\r\nHost: a\r\n" + upgrade, "HEAD / HTTP/1.1\r\nHost: a\r\n", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n",
		"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: a\r\n",
		good + "Expect: a\r\n", good + "Expect: 100-continue\r\n", good + "Connection: close\r\n", good + "Connection: keep-alive\r\n",
		good + "X: " + strings.Repeat("x", 2*request.MaxHead) + "\r\n", "\x16\x03\x01\r\n", "\r\n",
	}
	for _, secure := range []bool{false, true} {
		_, ours := conntest.ServeLoop(t, conntest.NewLoop(t, 1), nil, conntest.Echo, secure)
		theirs, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := theirs.Addr()
		if secure {
			theirs = tls.NewListener(theirs, wstest.Certificate())
		}
		s := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := websocket.Accept(w, r, nil); err == nil {
					c.CloseNow()
				}
			}),
			MaxHeaderBytes: request.MaxHead - 4096, // net/http adds as much
			ErrorLog:       log.New(io.Discard, "", 0),
		}
		served := make(chan error, 1)
		go func() { served <- s.Serve(theirs) }()
		for _, head := range requests {
			for _, wire := range []string{head + "\r\n", strings.ReplaceAll(head, "\r\n", "\n") + "\n"} {
				want, _ := exchange(t, addr, secure, wire, true)
				got, body := exchange(t, ours.Addr(), secure, wire, false)
				if got.StatusCode != want.StatusCode {
					t.Errorf("secure %v, %.200q: %s, net/http and Accept: %s", secure, wire, got.Status, want.Status)
				}
				isHead := strings.HasPrefix(wire, "HEAD ")
				if got.StatusCode != http.StatusSwitchingProtocols && (body == "") != isHead {
					t.Errorf("%.200q: the answer %s has the body %q", wire, got.Status, body)
				}
			}
		}
		s.Close()
		if err := wstest.Receive(t, served); err != http.ErrServerClosed {
			t.Error(err)
		}
	}
}

// TestLoopServeEarlyVerdict: what cannot become a request is answered at once,
// and not when its time is over, which is another status.
func TestLoopServeEarlyVerdict(t *testing.T) {
	for _, secure := range []bool{false, true} {
		_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), nil, conntest.Echo, secure)
		for _, wire := range []string{"\x16\x03\x01\n", "GET / HTTP/1.1\r\nHost : a\r\nX@: y\r\n", "GET /%zz HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.2\r\n"} {
			if resp, body := exchange(t, ln.Addr(), secure, wire, false); resp.StatusCode != http.StatusBadRequest || body == "" {
				t.Errorf("%q: %s %q", wire, resp.Status, body)
			}
		}
	}
}

// TestLoopServeTLSOrigin: over TLS the server's own site begins with https, and
// CheckOrigin and the handler see the state of TLS.
func TestLoopServeTLSOrigin(t *testing.T) {
	states := make(chan *tls.ConnectionState, 10)
	h := conntest.Echo
	h.Open = func(c *websocket.Conn) { states <- c.Request().TLS }
	check := func(r *http.Request) bool { states <- r.TLS; return true }
	for _, secure := range []bool{false, true} {
		for _, tt := range []struct {
			origin string
			check  func(*http.Request) bool
			status int
		}{
			{"https://localhost", nil, map[bool]int{false: 403, true: 101}[secure]},
			{"http://localhost", nil, map[bool]int{false: 101, true: 403}[secure]},
			{"http://other", check, 101},
		} {
			_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), &websocket.AcceptOptions{CheckOrigin: tt.check}, h, secure)
			wire := "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: " + tt.origin + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + wstest.Key + "\r\n\r\n"
			resp, _ := exchange(t, ln.Addr(), secure, wire, false)
			if resp.StatusCode != tt.status {
				t.Errorf("secure %v, origin %s: %s, want %d", secure, tt.origin, resp.Status, tt.status)
				continue
			}
			if tt.status != http.StatusSwitchingProtocols {
				continue
			}
			seen := 1
			if tt.check != nil {
				seen = 2
			}
			for range seen {
				if s := wstest.Receive(t, states); (s != nil) != secure || secure && (!s.HandshakeComplete || s.Version < tls.VersionTLS12) {
					t.Errorf("secure %v, origin %s: the state of TLS is %+v", secure, tt.origin, s)
				}
			}
		}
	}
}

// TestLoopServeRequest: Conn.Request is what the client sent, but for the
// headers of the handshake.
func TestLoopServeRequest(t *testing.T) {
	got := make(chan *http.Request, 1)
	h := conntest.Echo
	h.Open = func(c *websocket.Conn) { got <- c.Request() }
	_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), nil, h, false)
	exchange(t, ln.Addr(), false, "GET /room%2F7?a=b HTTP/1.1\r\nhost: example.com\r\nx-token: 1\r\nX-Token: 2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+wstest.Key+"\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: x\r\n\r\n", false)
	r := wstest.Receive(t, got)
	if len(r.Header) != 2 || strings.Join(r.Header["X-Token"], " ") != "1 2" || r.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Errorf("the headers are %q", r.Header)
	}
	if r.URL.Path != "/room/7" || r.URL.RawQuery != "a=b" || r.Host != "example.com" || r.Method != "GET" || r.Body != http.NoBody || r.Context() == nil {
		t.Errorf("%+v, %v", r, r.URL)
	}
	if _, _, err := net.SplitHostPort(r.RemoteAddr); err != nil {
		t.Error(err)
	}
}

// TestLoopServeEarlyKept: a frame that came with the request is kept while
// CheckOrigin runs, and the same worker reads another request.
func TestLoopServeEarlyKept(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	check := func(r *http.Request) bool {
		if r.URL.Path == "/a" {
			close(first)
			<-second
		} else {
			close(second)
		}
		return true
	}
	_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), &websocket.AcceptOptions{CheckOrigin: check}, conntest.Echo, false)
	open := func(path, message string) net.Conn {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(nc, "GET "+path+" HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: "+wstest.Key+"\r\n\r\n"+string(conntest.Frame(websocket.OpText, true, true, message))); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	a := open("/a", "aaaaa")
	wstest.Receive(t, first)
	b := open("/b", "bbbbb")
	for nc, want := range map[net.Conn]string{a: "aaaaa", b: "bbbbb"} {
		br := bufio.NewReader(nc)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(resp, err)
		}
		got := make([]byte, 2+len(want))
		if _, err := io.ReadFull(br, got); err != nil || string(got[2:]) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
