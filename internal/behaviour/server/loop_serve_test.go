package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/request"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestLoopServe(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, check := range []func(*http.Request) bool{nil, func(r *http.Request) bool { return r.RemoteAddr != "" }} {
			l := conntest.NewLoop(t, 2)
			closed := make(chan error, 10)
			h := conntest.Echo
			h.Close = func(_ *websocket.Conn, err error) { closed <- err }
			url, _ := conntest.ServeLoop(t, l, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, CheckOrigin: check, Options: websocket.Options{Compression: new(websocket.CompressionOptions)}}, h, secure)
			opts := conntest.Insecure()
			opts.Subprotocols = []string{"chat"}
			opts.Header = http.Header{"Origin": {"https://example.com"}}
			opts.Compression = new(websocket.CompressionOptions)
			if check == nil {
				delete(opts.Header, "Origin")
			}
			for range 5 {
				c, resp, err := websocket.Dial(t.Context(), url+"path?q", opts)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if c.Subprotocol() != "chat" || resp.Header.Get("Sec-WebSocket-Extensions") == "" {
					t.Errorf("subprotocol %q, extensions %v", c.Subprotocol(), resp.Header["Sec-Websocket-Extensions"])
				}
				if err := c.Write(bg, websocket.Text, []byte(strings.Repeat("hello ", 100))); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(bg); err != nil || len(p) != 600 {
					t.Errorf("%q, %v", p, err)
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}
				if err := wstest.Receive(t, closed); websocket.CloseCode(err) != websocket.StatusNormalClosure {
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
		url, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), nil, conntest.Echo, secure)
		wire := "GET / HTTP/1.1\r\nHost: " + strings.Split(url, "/")[2] + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + string(conntest.Frame(websocket.OpText, true, true, "early"))
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
		_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), nil, conntest.Echo, secure)
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
	l := conntest.NewLoop(t, 2)
	closed := make(chan error, 10)
	h := conntest.Echo
	h.Close = func(_ *websocket.Conn, err error) { closed <- err }
	s := &websocket.Server{Events: h, Loop: l}
	web := httptest.NewServer(s)
	defer web.Close()
	var conns []*websocket.Conn
	for range 5 {
		c, _, err := websocket.Dial(t.Context(), web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		conns = append(conns, c)
		if err := c.Write(bg, websocket.Text, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(bg); string(p) != "hello" {
			t.Fatal(err)
		}
	}
	other, stranger := conntest.Attach(t, l, wstest.TCPPair, conntest.Echo, websocket.Options{})
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	for _, c := range conns {
		if _, _, err := c.Read(bg); websocket.CloseCode(err) != websocket.StatusGoingAway {
			t.Error(err)
		}
	}
	if err := wstest.Receive(t, done); err != nil {
		t.Error(err)
	}
	for range conns {
		if err := wstest.Receive(t, closed); websocket.CloseCode(err) != websocket.StatusGoingAway {
			t.Error(err)
		}
	}
	if closing(stranger) {
		t.Error("Shutdown of a Server has closed a connection that is not its own")
	}
	other.CloseNow()
	if _, _, err := websocket.Dial(t.Context(), web.URL, nil); err == nil {
		t.Error("a handshake after Shutdown")
	}

	for _, s := range []*websocket.Server{{}, {Events: h}, {Events: h, Loop: l, Handler: func(*websocket.Conn) {}}} {
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
		if rec.Code != 500 {
			t.Errorf("a Server with bad fields answers %d", rec.Code)
		}
	}
}
