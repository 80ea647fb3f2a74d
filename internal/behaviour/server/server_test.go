package server_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

type requestKey struct{}

// The request that a connection keeps has everything but what ties it to
// net/http.
func TestConnRequest(t *testing.T) {
	conns := make(chan *websocket.Conn, 1)
	release := make(chan struct{})
	s := &websocket.Server{Handler: func(c *websocket.Conn) { conns <- c; <-release }}
	originals := make(chan *http.Request, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/{room}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), requestKey{}, "value"))
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(strings.NewReader("some middleware's"))
		r.Header.Set("X-Token", "secret")
		cancel() // as a middleware's timeout does
		originals <- r
		s.ServeHTTP(w, r)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer s.Close()
	defer close(release)

	p := wstest.DialClient(t, srv.Listener.Addr().String())
	original := wstest.Receive(t, originals)
	<-original.Context().Done()
	r := wstest.Receive(t, conns).Request()
	if r == original || original.Body == http.NoBody {
		t.Error("the connection keeps the request of net/http, not a copy")
	}
	if r.Body != http.NoBody {
		t.Errorf("body %v, want http.NoBody", r.Body)
	}
	if err := r.Context().Err(); err != nil || r.Context().Done() != nil {
		t.Errorf("the context can end: %v", err)
	}
	if v := r.Context().Value(requestKey{}); v != "value" {
		t.Errorf("value %v in the context", v)
	}
	if r.PathValue("room") != "chat" || r.URL.Path != "/chat" || r.Host != "server.example" ||
		r.RemoteAddr != p.Conn.LocalAddr().String() || r.Header.Get("X-Token") != "secret" {
		t.Errorf("request %v lost something", r)
	}
	if len(r.Header) != 1 || original.Header.Get("Sec-WebSocket-Key") != wstest.Key {
		t.Errorf("headers %v, of %v", r.Header, original.Header)
	}
}

// hijackSpy remembers, weakly, what net/http gave away with the connection.
type hijackSpy struct {
	http.ResponseWriter
	buf    weak.Pointer[bufio.ReadWriter]
	reader weak.Pointer[bufio.Reader]
	writer weak.Pointer[bufio.Writer]
	r      weak.Pointer[http.Request]
}

func (w *hijackSpy) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.buf, w.reader, w.writer = weak.Make(buf), weak.Make(buf.Reader), weak.Make(buf.Writer)
	}
	return nc, buf, err
}

// With ForgetRequest an idle connection holds none of net/http's buffers, and not
// its request.
func TestServerLetsGo(t *testing.T) {
	release := make(chan struct{})
	s := &websocket.Server{AcceptOptions: websocket.AcceptOptions{ForgetRequest: true}, Handler: func(*websocket.Conn) { <-release }}
	spies := make(chan *hijackSpy, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spy := &hijackSpy{ResponseWriter: w, r: weak.Make(r)}
		s.ServeHTTP(spy, r)
		spy.ResponseWriter = nil
		spies <- spy
	}))
	defer srv.Close()
	defer s.Close()
	defer close(release)

	p := wstest.DialClient(t, srv.Listener.Addr().String(), 0x81) // a byte to be copied out of the buffer
	spy := wstest.Receive(t, spies)
	deadline := time.Now().Add(10 * time.Second)
	for spy.buf.Value() != nil || spy.reader.Value() != nil || spy.writer.Value() != nil || spy.r.Value() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("still there: ReadWriter %v, Reader %v, Writer %v, Request %v",
				spy.buf.Value() != nil, spy.reader.Value() != nil, spy.writer.Value() != nil, spy.r.Value() != nil)
		}
		runtime.GC() // net/http's goroutine may need a moment to end
	}
	if err := s.Close(); err != nil { // until here the connection was there
		t.Error(err)
	}
	p.ReadClose()
}

// The close frame that came with the request ends the closing handshake, which
// would otherwise take longer than the test.
func TestServerEarlyClose(t *testing.T) {
	addr := wstest.ServeHTTP(t, &websocket.Server{
		AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{CloseTimeout: time.Hour}},
		Handler:       func(*websocket.Conn) {},
	})
	p := wstest.DialClient(t, addr, wstest.CloseFrame(websocket.StatusNormalClosure)...)
	if code := websocket.StatusCode(p.ReadClose()); code != websocket.StatusNormalClosure {
		t.Errorf("close code %v, want 1000", code)
	}
	if rest, err := io.ReadAll(p.R); err != nil || len(rest) > 0 {
		t.Errorf("behind the closing handshake: %x, %v, want the end", rest, err)
	}
}

// The close frame tells how Handler ended.
func TestServerCloseCodes(t *testing.T) {
	tests := []struct {
		name    string
		handler func(*websocket.Conn)
		code    websocket.StatusCode // 0: no close frame
		logged  bool
	}{
		{name: "return", handler: func(*websocket.Conn) {}, code: websocket.StatusNormalClosure},
		{name: "panic", handler: func(*websocket.Conn) { panic("boom\nbang") }, code: websocket.StatusInternalError, logged: true},
		{name: "panic with an error", handler: func(*websocket.Conn) { panic(errors.New("boom\nbang")) }, code: websocket.StatusInternalError, logged: true},
		{name: "Goexit", handler: func(*websocket.Conn) { runtime.Goexit() }, code: websocket.StatusInternalError},
		{name: "abort", handler: func(*websocket.Conn) { panic(http.ErrAbortHandler) }},
		{name: "CloseNow", handler: func(c *websocket.Conn) { c.CloseNow() }},
		{name: "CloseNow and panic", handler: func(c *websocket.Conn) { c.CloseNow(); panic("boom\nbang") }, logged: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			logger, logged := wstest.NewLog()
			s := &websocket.Server{AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Logger: logger}}, Handler: test.handler}
			p := wstest.DialClient(t, wstest.ServeHTTP(t, s))
			if code := websocket.StatusCode(p.UntilEnd()); code != test.code {
				t.Errorf("close code %d, want %d", code, test.code)
			}
			wstest.MustShutdown(t, s) // the connection is not tracked any more
			if test.logged != (logged.String() != "") {
				t.Errorf("logged %q", logged)
			}
		})
	}
}

func TestServerPanicIsLogged(t *testing.T) {
	logger, logged := wstest.NewLog()
	var calls atomic.Int32
	s := &websocket.Server{AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Logger: logger}}, Handler: func(*websocket.Conn) {
		calls.Add(1)
		failingHandler()
	}}
	addr := wstest.ServeHTTP(t, s)
	for range 2 { // the server goes on
		wstest.DialClient(t, addr).UntilEnd()
	}
	wstest.MustShutdown(t, s)
	lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
	if n := calls.Load(); n != 2 || len(lines) != 2 {
		t.Fatalf("%d calls, logged %q", n, lines)
	}
	for _, want := range []string{"level=ERROR", "panic=boom", "path=/chat", "remote=127.0.0.1:", "failingHandler", "server_test.go"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("no %q in %s", want, lines[0])
		}
	}
}

func failingHandler() { panic("boom") }

func TestServerLogsFailures(t *testing.T) {
	tests := []struct {
		name   string
		server *websocket.Server
		line   string // what the request has besides
		status int
		logged []string
	}{
		{name: "origin", server: &websocket.Server{Handler: func(*websocket.Conn) {}}, line: "Origin: null", status: 403,
			logged: []string{"level=WARN", "AcceptOptions.CheckOrigin"}},
		{name: "other refusal", server: &websocket.Server{Handler: func(*websocket.Conn) {}}, line: "Sec-WebSocket-Version: 8", status: 426,
			logged: []string{"level=DEBUG", "Sec-WebSocket-Version"}},
		{name: "fault", server: &websocket.Server{AcceptOptions: websocket.AcceptOptions{Subprotocols: []string{"a b"}}, Handler: func(*websocket.Conn) {}}, line: "Origin: null", status: 500,
			logged: []string{"level=ERROR", "a b"}},
		{name: "no Handler", server: new(websocket.Server), line: "X: y", status: 500,
			logged: []string{"level=ERROR", "Server.Handler is nil"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			logger, logged := wstest.NewLog()
			test.server.Logger = logger
			resp, _ := wstest.Exchange(t, wstest.ServeHTTP(t, test.server), wstest.NewRequest().Add(test.line).String())
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			if resp.Header.Get("Connection") != "close" {
				t.Errorf("Connection: %q", resp.Header.Get("Connection"))
			}
			for _, want := range append(test.logged, "path=/chat", "remote=127.0.0.1:") {
				if !strings.Contains(logged.String(), want) {
					t.Errorf("no %q in %q", want, logged)
				}
			}
			if n := strings.Count(logged.String(), "\n"); n != 1 {
				t.Errorf("%d lines logged", n)
			}
			wstest.MustShutdown(t, test.server) // a failed handshake is not tracked
		})
	}
}

// TestServerLetsGoOfHTTP: with ForgetRequest, once a connection is a WebSocket,
// neither a goroutine of net/http nor its buffers of 8 KiB stay with it.
func TestServerLetsGoOfHTTP(t *testing.T) {
	const n = 100
	started := make(chan struct{})
	ws := &websocket.Server{AcceptOptions: websocket.AcceptOptions{ForgetRequest: true}, Handler: func(c *websocket.Conn) {
		started <- struct{}{}
		c.Read(bg)
	}}
	s := httptest.NewServer(ws)
	defer s.Close()
	request := wstest.NewRequest().String()
	var peers []net.Conn
	grown := wstest.HeapAfter(func() {
		for range n {
			nc, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			peers = append(peers, nc)
			if _, err := io.WriteString(nc, request); err != nil {
				t.Fatal(err)
			}
			<-started
		}
		wstest.Until(t, "net/http gone", func() bool {
			buf := make([]byte, 4<<20)
			return !bytes.Contains(buf[:runtime.Stack(buf, true)], []byte("net/http.(*conn).serve"))
		})
	})
	if per := grown / n; per > 6<<10 {
		t.Errorf("%d bytes per connection", per)
	}
	ws.Close()
	for _, nc := range peers {
		nc.Close()
	}
}
