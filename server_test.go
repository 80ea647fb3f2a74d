package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"
)

// logBuffer takes what a logger writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newLogBuffer() (*slog.Logger, *logBuffer) {
	out := new(logBuffer)
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})), out
}

// serveRaw serves s over TCP. When the test ends no handler is left.
func serveRaw(t *testing.T, s *Server) (addr string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(s)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(func() {
		srv.Close()
		s.Close()
		mustShutdown(t, s)
	})
	return srv.Listener.Addr().String()
}

// mustShutdown waits until s has nothing left to wait for.
func mustShutdown(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

type requestKey struct{}

// The request that a connection keeps has everything but what ties it to
// net/http.
func TestConnRequest(t *testing.T) {
	conns := make(chan *Conn, 1)
	release := make(chan struct{})
	s := &Server{Handler: func(c *Conn) { conns <- c; <-release }}
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

	p := dialRaw(t, srv.Listener.Addr().String())
	original := mustReceive(t, originals)
	<-original.Context().Done()
	r := mustReceive(t, conns).Request()
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
		r.RemoteAddr != p.nc.LocalAddr().String() || r.Header.Get("X-Token") != "secret" {
		t.Errorf("request %v lost something", r)
	}
	if len(r.Header) != 1 || original.Header.Get("Sec-WebSocket-Key") != rfcKey {
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
	s := &Server{AcceptOptions: AcceptOptions{ForgetRequest: true}, Handler: func(*Conn) { <-release }}
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

	p := dialRaw(t, srv.Listener.Addr().String(), 0x81) // a byte to be copied out of the buffer
	spy := mustReceive(t, spies)
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
	p.readClose()
}

// The close frame that came with the request ends the closing handshake, which
// would otherwise take longer than the test.
func TestServerEarlyClose(t *testing.T) {
	addr := serveRaw(t, &Server{
		AcceptOptions: AcceptOptions{Options: Options{CloseTimeout: time.Hour}},
		Handler:       func(*Conn) {},
	})
	p := dialRaw(t, addr, rawClose(StatusNormalClosure)...)
	if code := p.readClose(); code != StatusNormalClosure {
		t.Errorf("close code %v, want 1000", code)
	}
	if rest, err := io.ReadAll(p.br); err != nil || len(rest) > 0 {
		t.Errorf("behind the closing handshake: %x, %v, want the end", rest, err)
	}
}

// The close frame tells how Handler ended.
func TestServerCloseCodes(t *testing.T) {
	tests := []struct {
		name    string
		handler func(*Conn)
		code    StatusCode // 0: no close frame
		logged  bool
	}{
		{name: "return", handler: func(*Conn) {}, code: StatusNormalClosure},
		{name: "panic", handler: func(*Conn) { panic("boom\nbang") }, code: StatusInternalError, logged: true},
		{name: "panic with an error", handler: func(*Conn) { panic(errors.New("boom\nbang")) }, code: StatusInternalError, logged: true},
		{name: "Goexit", handler: func(*Conn) { runtime.Goexit() }, code: StatusInternalError},
		{name: "abort", handler: func(*Conn) { panic(http.ErrAbortHandler) }},
		{name: "CloseNow", handler: func(c *Conn) { c.CloseNow() }},
		{name: "CloseNow and panic", handler: func(c *Conn) { c.CloseNow(); panic("boom\nbang") }, logged: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			logger, logged := newLogBuffer()
			s := &Server{AcceptOptions: AcceptOptions{Options: Options{Logger: logger}}, Handler: test.handler}
			p := dialRaw(t, serveRaw(t, s))
			if code := p.untilEnd(); code != test.code {
				t.Errorf("close code %d, want %d", code, test.code)
			}
			mustShutdown(t, s) // the connection is not tracked any more
			if test.logged != (logged.String() != "") {
				t.Errorf("logged %q", logged)
			}
		})
	}
}

func TestServerPanicIsLogged(t *testing.T) {
	logger, logged := newLogBuffer()
	var calls atomic.Int32
	s := &Server{AcceptOptions: AcceptOptions{Options: Options{Logger: logger}}, Handler: func(*Conn) {
		calls.Add(1)
		failingHandler()
	}}
	addr := serveRaw(t, s)
	for range 2 { // the server goes on
		dialRaw(t, addr).untilEnd()
	}
	mustShutdown(t, s)
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
		server *Server
		line   string // what the request has besides
		status int
		logged []string
	}{
		{name: "origin", server: &Server{Handler: func(*Conn) {}}, line: "Origin: null", status: 403,
			logged: []string{"level=WARN", "AcceptOptions.CheckOrigin"}},
		{name: "other refusal", server: &Server{Handler: func(*Conn) {}}, line: "Sec-WebSocket-Version: 8", status: 426,
			logged: []string{"level=DEBUG", "Sec-WebSocket-Version"}},
		{name: "fault", server: &Server{AcceptOptions: AcceptOptions{Subprotocols: []string{"a b"}}, Handler: func(*Conn) {}}, line: "Origin: null", status: 500,
			logged: []string{"level=ERROR", "a b"}},
		{name: "no Handler", server: new(Server), line: "X: y", status: 500,
			logged: []string{"level=ERROR", "Server.Handler is nil"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			logger, logged := newLogBuffer()
			test.server.Logger = logger
			resp, _ := exchangeRaw(t, serveRaw(t, test.server), newHandshakeRequest().add(test.line).String())
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
			mustShutdown(t, test.server) // a failed handshake is not tracked
		})
	}
}

// TestServerLetsGoOfHTTP: with ForgetRequest, once a connection is a WebSocket,
// neither a goroutine of net/http nor its buffers of 8 KiB stay with it.
func TestServerLetsGoOfHTTP(t *testing.T) {
	const n = 100
	started := make(chan struct{})
	ws := &Server{AcceptOptions: AcceptOptions{ForgetRequest: true}, Handler: func(c *Conn) {
		started <- struct{}{}
		c.Read(bg)
	}}
	s := httptest.NewServer(ws)
	defer s.Close()
	request := newHandshakeRequest().String()
	var peers []net.Conn
	grown := heapAfter(func() {
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
		until(t, "net/http gone", func() bool {
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
