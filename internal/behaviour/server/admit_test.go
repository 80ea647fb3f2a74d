package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

type userKey struct{}

var errDatabase = errors.New("the database at 10.0.0.7 is down")

// admitTests are what Admit may return, and what the client gets.
var admitTests = []struct {
	name   string
	header http.Header
	err    error
	status int
	body   string // of a refusal
	want   http.Header
	level  string // of the log
}{
	{name: "nothing", status: 101},
	{name: "headers", status: 101, header: http.Header{"X-User": {"kim"}, "Set-Cookie": {"a=1", "b=2"}},
		want: http.Header{"X-User": {"kim"}, "Set-Cookie": {"late=1", "a=1", "b=2"}}},
	{name: "401", err: &websocket.HandshakeError{Status: 401, Reason: "sign in first", Header: http.Header{"Www-Authenticate": {"Bearer"}}},
		status: 401, body: "sign in first\n", want: http.Header{"Www-Authenticate": {"Bearer"}}, level: "DEBUG"},
	{name: "403, wrapped", err: fmt.Errorf("%w: %w", &websocket.HandshakeError{Status: 403, Reason: "not in this room"}, errDatabase),
		status: 403, body: "not in this room\n", level: "DEBUG"},
	{name: "429", err: &websocket.HandshakeError{Status: 429, Header: http.Header{"Retry-After": {"7"}}},
		status: 429, body: "Too Many Requests\n", want: http.Header{"Retry-After": {"7"}}, level: "DEBUG"},
	{name: "no status", err: new(websocket.HandshakeError), status: 403, body: "Forbidden\n", level: "DEBUG"},
	{name: "redirect", err: &websocket.HandshakeError{Status: 307, Header: http.Header{"Location": {"/other"}}}, status: 307,
		body: "Temporary Redirect\n", want: http.Header{"Location": {"/other"}}, level: "DEBUG"},
	{name: "plain error", err: errDatabase, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "503", err: &websocket.HandshakeError{Status: 503, Reason: "later", Header: http.Header{"Retry-After": {"1"}}}, status: 503,
		body: "later\n", want: http.Header{"Retry-After": {"1"}}, level: "DEBUG"},
	{name: "a status that refuses nothing", err: &websocket.HandshakeError{Status: 101}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "no status of HTTP", err: &websocket.HandshakeError{Status: 600}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "a line too much", err: &websocket.HandshakeError{Status: 401, Header: http.Header{"X": {"a\r\nY: b"}}}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "a content of its own", err: &websocket.HandshakeError{Status: 401, Header: http.Header{"Content-Type": {"text/html"}}}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "a length of its own", err: &websocket.HandshakeError{Status: 401, Header: http.Header{"content-length": {"0"}}}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "a header of the handshake", header: http.Header{"Upgrade": {"h2c"}}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
	{name: "a header of content", header: http.Header{"Content-Type": {"text/html"}}, status: 500, body: "Internal Server Error\n", level: "ERROR"},
}

// TestAdmit: every way to serve asks Admit about a handshake that is right, and
// answers as it says.
func TestAdmit(t *testing.T) {
	servers := map[string]func(t *testing.T, opts *websocket.AcceptOptions) (addr string){
		"Accept": func(t *testing.T, opts *websocket.AcceptOptions) string {
			addr, _ := acceptServer(t, opts)
			return addr
		},
		"Server": func(t *testing.T, opts *websocket.AcceptOptions) string {
			return wstest.ServeHTTP(t, &websocket.Server{AcceptOptions: *opts, Handler: func(c *websocket.Conn) { c.CloseNow() }})
		},
		"Loop": func(t *testing.T, opts *websocket.AcceptOptions) string {
			_, ln := conntest.ServeLoop(t, conntest.NewLoop(t, 1), opts, conntest.Handler{Open: func(c *websocket.Conn) { c.CloseNow() }}, false)
			return ln.Addr().String()
		},
		"Loop on a foreign listener": func(t *testing.T, opts *websocket.AcceptOptions) string {
			_, ln := serveLoopOn(t, conntest.NewLoop(t, 1), opts, conntest.Handler{Open: func(c *websocket.Conn) { c.CloseNow() }})
			return ln.Addr().String()
		},
	}
	for name, serve := range servers {
		for _, test := range admitTests {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				logger, logged := wstest.NewLog()
				asked := make(chan *http.Request, 1)
				addr := serve(t, &websocket.AcceptOptions{
					Options: websocket.Options{Logger: logger},
					Header:  http.Header{"Set-Cookie": {"late=1"}},
					Admit: func(r *http.Request) (http.Header, error) {
						asked <- r
						return test.header, test.err
					},
				})
				resp, body := wstest.Exchange(t, addr, wstest.NewRequest().String())
				if r := wstest.Receive(t, asked); r.URL.Path != "/chat" || r.RemoteAddr == "" {
					t.Errorf("asked about %v", r)
				}
				if resp.StatusCode != test.status || body != test.body {
					t.Errorf("status %d, body %q", resp.StatusCode, body)
				}
				for key, want := range test.want {
					if got := resp.Header[key]; fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("header %s: %q, want %q", key, got, want)
					}
				}
				if name == "Server" && test.level != "" && !strings.Contains(logged.String(), "level="+test.level) {
					t.Errorf("logged %q, want level %s", logged, test.level)
				}
				resp, _ = wstest.Exchange(t, addr, wstest.NewRequest().Add("Origin: null").String())
				if resp.StatusCode != 403 || len(asked) > 0 {
					t.Errorf("a foreign origin got %d, and Admit was asked %d times", resp.StatusCode, len(asked))
				}
			})
		}
	}
}

// serveLoopOn is serveLoop on a listener that cannot be polled.
func serveLoopOn(t *testing.T, l *websocket.Loop, opts *websocket.AcceptOptions, h websocket.EventHandler) (url string, ln net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(struct{ net.Listener }{ln}, opts, h) }()
	t.Cleanup(func() {
		l.Close()
		conntest.WakeServe(ln)
		if err := wstest.Receive(t, served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return "ws://" + ln.Addr().String() + "/", ln
}

// TestAdmitError: what Accept returns is what was answered, and wraps what Admit
// has said.
func TestAdmitError(t *testing.T) {
	for _, test := range admitTests {
		if test.err == nil {
			continue
		}
		addr, outcomes := acceptServer(t, &websocket.AcceptOptions{Admit: func(*http.Request) (http.Header, error) { return nil, test.err }})
		wstest.Exchange(t, addr, wstest.NewRequest().String())
		err := wstest.Receive(t, outcomes)
		var e *websocket.HandshakeError
		if !errors.As(err, &e) || e.Status != test.status {
			t.Errorf("%s: %v, want status %d", test.name, err, test.status)
		}
		if errors.Is(test.err, errDatabase) && !errors.Is(err, errDatabase) {
			t.Errorf("%s: %v does not wrap the cause", test.name, err)
		}
	}
}

// TestAdmitContext: Admit can tell the handler what it has found out.
func TestAdmitContext(t *testing.T) {
	admit := func(r *http.Request) (http.Header, error) {
		*r = *r.WithContext(context.WithValue(r.Context(), userKey{}, "kim"))
		return nil, nil
	}
	users := make(chan any, 2)
	tell := func(c *websocket.Conn) {
		users <- c.Context().Value(userKey{})
		users <- c.Request().Context().Value(userKey{})
	}
	l := conntest.NewLoop(t, 1)
	_, ln := conntest.ServeLoop(t, l, &websocket.AcceptOptions{Admit: admit}, conntest.Handler{Open: tell}, false)
	for name, addr := range map[string]string{
		"Handler": wstest.ServeHTTP(t, &websocket.Server{AcceptOptions: websocket.AcceptOptions{Admit: admit}, Handler: tell}),
		"Events":  wstest.ServeHTTP(t, &websocket.Server{AcceptOptions: websocket.AcceptOptions{Admit: admit}, Loop: l, Events: conntest.Handler{Open: tell}}),
		"Serve":   ln.Addr().String(),
	} {
		wstest.DialClient(t, addr)
		for range 2 {
			if user := wstest.Receive(t, users); user != "kim" {
				t.Errorf("%s: user %v", name, user)
			}
		}
	}
}

// TestLoopAdmitBlocks: an Admit that takes its time holds up nobody else.
func TestLoopAdmitBlocks(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		l := conntest.NewLoop(t, 1)
		released, asked := make(chan struct{}), make(chan struct{}, 1)
		release := sync.OnceFunc(func() { close(released) })
		defer release()
		opts := &websocket.AcceptOptions{Admit: func(r *http.Request) (http.Header, error) {
			if r.URL.Path == "/slow" {
				asked <- struct{}{}
				<-released
			}
			return nil, nil
		}}
		serve := func() (string, net.Listener) { return conntest.ServeLoop(t, l, opts, conntest.Echo, false) }
		if foreign {
			serve = func() (string, net.Listener) { return serveLoopOn(t, l, opts, conntest.Echo) }
		}
		_, ln := serve()
		slow, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		q := wstest.NewRequest()
		q.First = "GET /slow HTTP/1.1"
		if _, err := io.WriteString(slow, q.String()); err != nil {
			t.Fatal(err)
		}
		wstest.Receive(t, asked)
		wstest.DialClient(t, ln.Addr().String())
		release()
		resp := make([]byte, 12)
		if _, err := io.ReadFull(slow, resp); err != nil || string(resp) != "HTTP/1.1 101" {
			t.Errorf("%q, %v", resp, err)
		}
	}
}

// TestAdmitPanics: a panic of Admit is its request's alone.
func TestAdmitPanics(t *testing.T) {
	opts := websocket.AcceptOptions{Admit: func(r *http.Request) (http.Header, error) {
		if r.URL.Path == "/chat" {
			panic(http.ErrAbortHandler)
		}
		return nil, nil
	}}
	s := &websocket.Server{AcceptOptions: opts, Handler: func(c *websocket.Conn) { c.CloseNow() }}
	logger, logged := wstest.NewLog()
	l, err := websocket.NewLoop(&websocket.LoopOptions{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cutting := conntest.Handler{Open: func(c *websocket.Conn) { c.CloseNow() }}
	_, polled := conntest.ServeLoop(t, l, &opts, cutting, false)
	_, foreign := serveLoopOn(t, l, &opts, cutting)
	for name, addr := range map[string]string{"Server": wstest.ServeHTTP(t, s), "Loop": polled.Addr().String(), "foreign": foreign.Addr().String()} {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, wstest.NewRequest().String()); err != nil {
			t.Fatal(err)
		}
		if answer, _ := io.ReadAll(nc); len(answer) > 0 {
			t.Errorf("%s: answer %q", name, answer)
		}
		q := wstest.NewRequest()
		q.First = "GET /other HTTP/1.1"
		if resp, _ := wstest.Exchange(t, addr, q.String()); resp.StatusCode != 101 {
			t.Errorf("%s: the next request got %d", name, resp.StatusCode)
		}
	}
	wstest.MustShutdown(t, s)
	if n := strings.Count(logged.String(), "AcceptOptions.CheckOrigin or Admit"); n != 2 {
		t.Errorf("%d panics in the log: %s", n, logged)
	}
}

// TestServerExtendedConnect: net/http can be told, for the whole process, to offer
// WebSocket over HTTP/2. A browser then uses nothing else, so the log says it.
func TestServerExtendedConnect(t *testing.T) {
	for protocol, warned := range map[string]bool{"websocket": true, "connect-udp": false} {
		logger, logged := wstest.NewLog()
		s := &websocket.Server{AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Logger: logger}}, Handler: func(*websocket.Conn) {}}
		r := httptest.NewRequest("CONNECT", "https://server.example/chat", nil)
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
		r.Header[":protocol"] = []string{protocol}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 505 {
			t.Errorf("%s: status %d, want 505", protocol, w.Code)
		}
		if strings.Contains(logged.String(), "level=WARN") != warned || strings.Contains(logged.String(), "http2xconnect") != warned {
			t.Errorf("%s: logged %q", protocol, logged)
		}
	}
}
