package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crypto/tls"

	"github.com/fullduplex-go/websocket/internal/request"
)

// echoHandler answers every message.
var echoHandler = funcHandler{message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}

// wakeServe makes a connection to a listener that was closed. Loop.Serve watches a
// duplicate of it, and notices that with a connection or within a second.
func wakeServe(ln net.Listener) {
	if nc, err := net.Dial(ln.Addr().Network(), ln.Addr().String()); err == nil {
		nc.Close()
	}
}

// serveLoop runs Loop.Serve, over TLS if wanted, and returns its URL.
func serveLoop(t *testing.T, l *Loop, opts *AcceptOptions, h EventHandler, secure bool) (url string, ln net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url, on := "ws://"+ln.Addr().String()+"/", ln
	if secure {
		url, on = "wss"+strings.TrimPrefix(url, "ws"), tls.NewListener(l.Listener(ln), testTLS())
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(on, opts, h) }()
	t.Cleanup(func() {
		l.Close()
		wakeServe(ln)
		if err := mustReceive(t, served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return url, ln
}

// insecure has Dial trust the certificate of the tests.
func insecure() *DialOptions {
	return &DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
}

func TestLoopServe(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, check := range []func(*http.Request) bool{nil, func(r *http.Request) bool { return r.RemoteAddr != "" }} {
			l := newTestLoop(t, 2)
			closed := make(chan error, 10)
			h := echoHandler
			h.close = func(_ *Conn, err error) { closed <- err }
			url, _ := serveLoop(t, l, &AcceptOptions{Subprotocols: []string{"chat"}, CheckOrigin: check, Options: Options{Compression: new(CompressionOptions)}}, h, secure)
			opts := insecure()
			opts.Subprotocols = []string{"chat"}
			opts.Header = http.Header{"Origin": {"https://example.com"}}
			opts.Compression = new(CompressionOptions)
			if check == nil {
				delete(opts.Header, "Origin")
			}
			for range 5 {
				c, _, err := Dial(t.Context(), url+"path?q", opts)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if c.Subprotocol() != "chat" || c.extensions() == nil {
					t.Errorf("subprotocol %q, extensions %v", c.Subprotocol(), c.extensions())
				}
				if err := c.Write(bg, Text, []byte(strings.Repeat("hello ", 100))); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(bg); err != nil || len(p) != 600 {
					t.Errorf("%q, %v", p, err)
				}
				if err := c.Close(StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}
				if err := mustReceive(t, closed); CloseCode(err) != StatusNormalClosure {
					t.Error(err)
				}
			}
		}
	}
}

// TestLoopServeEarly: frames that arrive with the request, and requests that
// arrive in pieces.
func TestLoopServeEarly(t *testing.T) {
	for _, secure := range []bool{false, true} {
		url, ln := serveLoop(t, newTestLoop(t, 1), nil, echoHandler, secure)
		wire := "GET / HTTP/1.1\r\nHost: " + strings.Split(url, "/")[2] + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + string(frame(OpText, true, true, "early"))
		for _, step := range []int{1, 7, 100, len(wire)} {
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if secure {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			defer nc.Close()
			for i := 0; i < len(wire); i += step {
				if _, err := io.WriteString(nc, wire[i:min(i+step, len(wire))]); err != nil {
					t.Fatal(err)
				}
			}
			br := bufio.NewReader(nc)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatal(resp, err)
			}
			got := make([]byte, 7)
			if _, err := io.ReadFull(br, got); err != nil || string(got[2:]) != "early" {
				t.Errorf("secure %v, step %d: %q, %v", secure, step, got, err)
			}
		}
	}
}

// TestLoopServeRefuses: what is not a good handshake gets a proper answer.
func TestLoopServeRefuses(t *testing.T) {
	const head = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	tests := []struct {
		name, wire string
		status     int
		header     string
	}{
		{"no handshake", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426, "Upgrade"},
		{"version", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n", 426, "Sec-Websocket-Version"},
		{"method", "POST / HTTP/1.1\r\n" + head + "\r\n", 405, "Allow"},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n" + head + "\r\n", 505, ""},
		{"key", "GET / HTTP/1.1\r\n" + head + "\r\n", 400, ""},
		{"origin", "GET / HTTP/1.1\r\n" + head + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://y\r\n\r\n", 403, ""},
		{"garbage", "\x16\x03\x01\r\n\r\n", 400, ""},
		{"header", "GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, ""},
		{"large", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", request.MaxHead), 431, ""},
	}
	for _, secure := range []bool{false, true} {
		_, ln := serveLoop(t, newTestLoop(t, 1), nil, echoHandler, secure)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				nc, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				if secure {
					nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := io.WriteString(nc, tt.wire); err != nil {
					t.Fatal(err)
				}
				br := bufio.NewReader(nc)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if resp.StatusCode != tt.status || tt.header != "" && resp.Header.Get(tt.header) == "" || !resp.Close || len(body) < 5 || err != nil {
					t.Errorf("%v %v %q %v", resp.Status, resp.Header, body, err)
				}
				if _, err := br.ReadByte(); err != io.EOF {
					t.Errorf("behind the answer: %v, want the end", err)
				}
			})
		}
	}
}

// TestServerEvents: a Server whose connections a loop reads, with all that
// Shutdown promises.
func TestServerEvents(t *testing.T) {
	l := newTestLoop(t, 2)
	closed := make(chan error, 10)
	h := echoHandler
	h.close = func(_ *Conn, err error) { closed <- err }
	s := &Server{Events: h, Loop: l}
	web := httptest.NewServer(s)
	defer web.Close()
	var conns []*Conn
	for range 5 {
		c, _, err := Dial(t.Context(), web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		conns = append(conns, c)
		if err := c.Write(bg, Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(bg); string(p) != "hello" {
			t.Fatal(err)
		}
	}
	other, stranger := newTestLoopConn(t, l, echoHandler)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	for _, c := range conns {
		if _, _, err := c.Read(bg); CloseCode(err) != StatusGoingAway {
			t.Error(err)
		}
	}
	if err := mustReceive(t, done); err != nil {
		t.Error(err)
	}
	for range conns {
		if err := mustReceive(t, closed); CloseCode(err) != StatusGoingAway {
			t.Error(err)
		}
	}
	if stranger.closing() {
		t.Error("Shutdown of a Server has closed a connection that is not its own")
	}
	other.CloseNow()
	if _, _, err := Dial(t.Context(), web.URL, nil); err == nil {
		t.Error("a handshake after Shutdown")
	}

	for _, s := range []*Server{{}, {Events: h}, {Events: h, Loop: l, Handler: func(*Conn) {}}} {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		if rec.Code != 500 {
			t.Errorf("a Server with bad fields answers %d", rec.Code)
		}
	}
}

// newTestLoopConn returns a connection over TCP, whose server's end is on l.
func newTestLoopConn(t *testing.T, l *Loop, h EventHandler) (client, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	client = newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	server = newConn(b, connConfig{opts: Options{}.withDefaults()})
	t.Cleanup(func() { client.CloseNow(); server.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}
