package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// routeKey is where pooledRouter puts its route into a request's context.
type routeKey struct{}

// route is what a router keeps of a request.
type route struct{ room string }

// pooledRouter is a router as chi and gin are: when a request is served, what its
// context points to is the next one's.
func pooledRouter(next http.Handler, served chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mine := &route{room: r.URL.Path}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, mine)))
		mine.room = "another request's"
		r.URL.Path = "another request's"
		served <- struct{}{}
	})
}

// roomOf is what ctx says the room is, or "".
func roomOf(ctx context.Context) string {
	if r, ok := ctx.Value(routeKey{}).(*route); ok {
		return r.room
	}
	return ""
}

// valueless reports whether c shows nothing that a router may take back.
func valueless(c *websocket.Conn) bool {
	r := c.Request()
	return roomOf(c.Context()) == "" && (r == nil || r.Context().Value(routeKey{}) == nil && r.Context().Value(http.ServerContextKey) == nil)
}

// TestServerHandlerInsideRequest: what a router has put into the request is right
// as long as Handler runs, and out of reach afterwards.
func TestServerHandlerInsideRequest(t *testing.T) {
	conns, release, served := make(chan *websocket.Conn), make(chan struct{}), make(chan struct{}, 1)
	late := make(chan string, 2)
	s := &websocket.Server{Handler: func(c *websocket.Conn) {
		conns <- c
		<-release
		late <- roomOf(c.Context())
		late <- roomOf(c.Request().Context())
	}}
	web := httptest.NewServer(pooledRouter(s, served))
	defer web.Close()
	defer s.Close()
	p := wstest.DialClient(t, web.Listener.Addr().String())
	c := wstest.Receive(t, conns)
	ctx := c.Context()
	select {
	case <-served:
		t.Error("the request is over while Handler runs")
	default:
	}
	close(release)
	for range 2 {
		if room := wstest.Receive(t, late); room != "/chat" {
			t.Errorf("room %q in the handler, want /chat", room)
		}
	}
	p.UntilEnd()
	wstest.Receive(t, served)
	if ctx.Err() == nil || closing(c) == false {
		t.Error("the request was over before the connection")
	}
	if !valueless(c) || roomOf(ctx) != "" {
		t.Errorf("values behind the request's end: %q, %q", roomOf(c.Context()), roomOf(ctx))
	}
	if r := c.Request(); r.URL.Path != "/chat" || r.Method != "GET" || r.Host != "server.example" {
		t.Errorf("the request has become %s %s %s", r.Method, r.Host, r.URL)
	}
}

// TestServerForgetsRequest: with ForgetRequest nothing of the request can be
// reached, so ServeHTTP returns at once.
func TestServerForgetsRequest(t *testing.T) {
	conns, release, served := make(chan *websocket.Conn), make(chan struct{}), make(chan struct{}, 1)
	s := &websocket.Server{AcceptOptions: websocket.AcceptOptions{ForgetRequest: true}, Handler: func(c *websocket.Conn) {
		conns <- c
		<-release
	}}
	web := httptest.NewServer(pooledRouter(s, served))
	defer web.Close()
	defer s.Close()
	defer close(release)
	wstest.DialClient(t, web.Listener.Addr().String())
	c := wstest.Receive(t, conns)
	wstest.Receive(t, served)
	if closing(c) {
		t.Error("the connection is closing")
	}
	if c.Request() != nil || !valueless(c) {
		t.Errorf("request %v, room %q", c.Request(), roomOf(c.Context()))
	}
}

// TestServerEventsRequest: OnOpen runs inside the request, whatever it does, and
// nothing else does.
func TestServerEventsRequest(t *testing.T) {
	for _, forget := range []bool{false, true} {
		for name, end := range map[string]func(){
			"return": func() {},
			"panic":  func() { panic(http.ErrAbortHandler) },
			"Goexit": runtime.Goexit,
		} {
			for _, polled := range []bool{false, true} {
				t.Run(name, func(t *testing.T) {
					l := conntest.NewLoop(t, 1)
					conns, release, served := make(chan *websocket.Conn), make(chan struct{}), make(chan struct{}, 1)
					type look struct {
						room      string
						valueless bool
					}
					looks := make(chan look, 3)
					var before context.Context
					s := &websocket.Server{
						AcceptOptions: websocket.AcceptOptions{ForgetRequest: forget},
						Loop:          l,
						Events: conntest.Handler{
							Open: func(c *websocket.Conn) {
								before = c.Context()
								conns <- c
								<-release
								looks <- look{room: roomOf(c.Request().Context())}
								end()
							},
							Message: func(c *websocket.Conn, _ websocket.MessageType, _ []byte) {
								looks <- look{roomOf(before), valueless(c) && (c.Request() == nil) == forget}
							},
							Close: func(c *websocket.Conn, _ error) {
								looks <- look{roomOf(before), valueless(c) && (c.Request() == nil) == forget}
							},
						},
					}
					h := pooledRouter(s, served)
					if !polled { // a transport that no engine knows
						inner := h
						h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(foreignWriter{w}, r) })
					}
					web := httptest.NewServer(h)
					defer web.Close()
					p := wstest.DialClient(t, web.Listener.Addr().String(), conntest.Frame(websocket.OpText, true, true, "early")...)
					c := wstest.Receive(t, conns)
					select {
					case <-served:
						t.Error("the request is over while OnOpen runs")
					default:
					}
					close(release)
					if got := wstest.Receive(t, looks); got.room != "/chat" {
						t.Errorf("room %q in OnOpen, want /chat", got.room)
					}
					wstest.Receive(t, served)
					if name == "return" {
						if got := wstest.Receive(t, looks); got.room != "" || !got.valueless {
							t.Errorf("in OnMessage: %+v", got)
						}
						c.CloseNow()
					}
					p.UntilEnd()
					var last look
					wstest.Until(t, "OnClose", func() bool {
						select {
						case last = <-looks:
							return true
						default:
							return false
						}
					})
					if last.room != "" || !last.valueless {
						t.Errorf("in OnClose: %+v", last)
					}
					if r := c.Request(); !forget && r.URL.Path != "/chat" {
						t.Errorf("the URL has become %v", r.URL)
					}
					wstest.MustShutdown(t, s)
				})
			}
		}
	}
}

// TestServerEventsBlockedOpen: an OnOpen that does not return holds up its own
// request, and no Shutdown for longer than its context allows.
func TestServerEventsBlockedOpen(t *testing.T) {
	l := conntest.NewLoop(t, 1)
	opened, release, served := make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	closed := make(chan error, 1)
	s := &websocket.Server{Loop: l, Events: conntest.Handler{
		Open:  func(*websocket.Conn) { close(opened); <-release },
		Close: func(_ *websocket.Conn, err error) { closed <- err },
	}}
	web := httptest.NewServer(pooledRouter(s, served))
	defer web.Close()
	p := wstest.DialClient(t, web.Listener.Addr().String())
	wstest.Receive(t, opened)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	if code := websocket.StatusCode(p.ReadClose()); code != websocket.StatusGoingAway {
		t.Errorf("close code %d, want 1001", code)
	}
	cancel()
	if err := wstest.Receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v, want context.Canceled", err)
	}
	if rest, err := io.ReadAll(p.R); len(rest) > 0 {
		t.Errorf("behind the close frame: %x, %v", rest, err)
	}
	select {
	case <-served:
		t.Error("the request is over while OnOpen runs")
	case err := <-closed:
		t.Errorf("OnClose(%v) while OnOpen runs", err)
	default:
	}
	close(release)
	wstest.Receive(t, served)
	if err := wstest.Receive(t, closed); websocket.CloseCode(err) != websocket.StatusGoingAway {
		t.Errorf("OnClose(%v), want 1001", err)
	}
	wstest.MustShutdown(t, s)
}

// foreignWriter gives away a connection that no engine can watch.
type foreignWriter struct{ http.ResponseWriter }

type foreignConn struct{ net.Conn }

func (w foreignWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, buf, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return foreignConn{nc}, buf, err
}
