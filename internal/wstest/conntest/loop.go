// Package conntest holds what tests outside the library's root share: connections of
// the library, their handlers, and loops.
package conntest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Handler is an EventHandler of functions, each of which may be nil.
type Handler = wstest.Handler[*websocket.Conn, websocket.MessageType]

// Funcs is a Handler of these functions.
func Funcs(open func(*websocket.Conn), message func(*websocket.Conn, websocket.MessageType, []byte), close func(*websocket.Conn, error)) Handler {
	return Handler{Open: open, Message: message, Close: close}
}

// Echo answers every message.
var Echo = Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	c.Write(context.Background(), typ, p)
}}

// Never is a handler that must not be called.
func Never(t testing.TB) websocket.EventHandler {
	return wstest.Never[*websocket.Conn, websocket.MessageType](t)
}

// NewLoop returns a loop that the test's cleanup closes.
func NewLoop(t testing.TB, workers int) *websocket.Loop {
	t.Helper()
	l, err := websocket.NewLoop(&websocket.LoopOptions{Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// WakeServe makes a connection to a listener that was closed. Loop.Serve watches a
// duplicate of it, and notices that with a connection or within a second.
func WakeServe(ln net.Listener) {
	if nc, err := net.Dial(ln.Addr().Network(), ln.Addr().String()); err == nil {
		nc.Close()
	}
}

// ServeLoop runs Loop.Serve, over TLS if wanted, and returns its URL.
func ServeLoop(t testing.TB, l *websocket.Loop, opts *websocket.AcceptOptions, h websocket.EventHandler, secure bool) (url string, ln net.Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url, on := "ws://"+ln.Addr().String()+"/", ln
	if secure {
		url, on = "wss"+strings.TrimPrefix(url, "ws"), tls.NewListener(l.Listener(ln), wstest.Certificate())
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(on, opts, h) }()
	t.Cleanup(func() {
		l.Close()
		WakeServe(ln)
		if err := wstest.Receive(t, served); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return url, ln
}

// Insecure has Dial trust the certificate of the tests.
func Insecure() *websocket.DialOptions {
	return &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
}
