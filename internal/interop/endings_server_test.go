//go:build interop

package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// endingServer is a server of ours that sends every message back, and closes
// the connection when it is told to. Its handlers leave it to their defer, or to
// the end of the handler, to close what the peer has closed.
type endingServer struct {
	name string
	url  string // ws://HOST:PORT/ or wss://HOST:PORT/

	t    *testing.T
	opts websocket.AcceptOptions
	ends chan websocket.CloseError // how the connections have ended
}

// endingLimit is the largest message that an endingServer takes.
const endingLimit = 64 << 10

// endingEngines are the ways to have connections.
var endingEngines = []struct {
	name  string
	serve func(s *endingServer, tls *tls.Config) (addr string)
}{
	{"Accept", (*endingServer).serveAccept},
	{"Server", (*endingServer).serveHandler},
	{"Loop", (*endingServer).serveLoop},
}

// endingServers starts one server for each engine, and each of
// them with and without TLS. dir has a certificate of selfSigned.
func endingServers(t *testing.T, dir string) []*endingServer {
	var servers []*endingServer
	for _, e := range endingEngines {
		for _, scheme := range []string{"ws", "wss"} {
			s := newEndingServer(t, e.name+" "+scheme)
			var config *tls.Config
			if scheme == "wss" {
				cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
				if err != nil {
					t.Fatal(err)
				}
				config = &tls.Config{Certificates: []tls.Certificate{cert}}
			}
			s.url = scheme + "://" + e.serve(s, config) + "/"
			servers = append(servers, s)
		}
	}
	return servers
}

func newEndingServer(t *testing.T, name string) *endingServer {
	s := &endingServer{name: name, t: t, ends: make(chan websocket.CloseError, endingCount(t))}
	s.opts.ReadLimit = endingLimit
	s.opts.OriginPatterns = []string{"*"} // the page of a browser is another server's
	return s
}

// ended takes note of the end of a connection.
func (s *endingServer) ended(err error) {
	var end *websocket.CloseError
	if !errors.As(err, &end) {
		s.t.Errorf("%s: a connection ended with %v", s.name, err)
		end = new(websocket.CloseError)
	}
	s.ends <- *end
}

// answer sends a message back. The message "close CODE REASON" has it close the
// connection instead.
func (s *endingServer) answer(ctx context.Context, c *websocket.Conn, typ websocket.MessageType, p []byte) {
	if order, ok := strings.CutPrefix(string(p), "close "); ok {
		var code websocket.StatusCode
		number, reason, _ := strings.Cut(order, " ")
		if _, err := fmt.Sscan(number, &code); err != nil {
			s.t.Errorf("%s: %v", s.name, err)
		}
		if err := c.Close(code, reason); err != nil {
			s.t.Errorf("%s: Close(%d, %q): %v", s.name, code, reason, err)
		}
		return
	}
	c.Write(ctx, typ, p) // if that fails, the next Read tells why
}

// ServeHTTP is the commonest handler.
func (s *endingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &s.opts)
	if err != nil {
		return
	}
	defer c.CloseNow()
	s.echo(r.Context(), c)
}

func (s *endingServer) serveAccept(config *tls.Config) (addr string) { return s.start(s, config) }

// serveHandler runs a Server, which closes what its handler leaves.
func (s *endingServer) serveHandler(config *tls.Config) (addr string) {
	ws := &websocket.Server{AcceptOptions: s.opts, Handler: func(c *websocket.Conn) { s.echo(c.Context(), c) }}
	s.t.Cleanup(func() { ws.Close() })
	return s.start(ws, config)
}

// echo sends messages back until the connection ends.
func (s *endingServer) echo(ctx context.Context, c *websocket.Conn) {
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			s.ended(err)
			return
		}
		s.answer(ctx, c, typ, p)
	}
}

func (s *endingServer) start(h http.Handler, config *tls.Config) (addr string) {
	server := httptest.NewUnstartedServer(h)
	if server.TLS = config; config != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	s.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func (s *endingServer) serveLoop(config *tls.Config) (addr string) {
	l, err := websocket.NewLoop(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	on := ln
	if config != nil {
		on = tls.NewListener(l.Listener(ln), config)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(on, &s.opts, endingEvents{s}) }()
	s.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			s.t.Error(err)
		}
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			s.t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// endingEvents are an endingServer's on a loop.
type endingEvents struct{ s *endingServer }

func (e endingEvents) OnOpen(*websocket.Conn) {}

func (e endingEvents) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	e.s.answer(c.Context(), c, typ, p)
}

func (e endingEvents) OnClose(_ *websocket.Conn, err error) { e.s.ended(err) }
