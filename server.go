package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket/internal/drain"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// Server is an [http.Handler] that makes a connection of each handshake and
// runs Handler for it. It keeps track of its connections, so that Shutdown
// and Close can end them. Set the fields before the first request and leave
// them alone afterwards: they are read whenever a handshake comes. A Server
// must not be copied after first use.
//
// Handler runs inside ServeHTTP, which returns when the connection has ended. So
// for middleware around a Server the request lasts as long as the connection, and
// values that a router has put into the request stay right: chi and gin, for
// example, reuse the object that holds chi.URLParam(c.Request(), "room") or gin's
// keys for the next request when ServeHTTP has returned. After Handler has
// returned, [Conn.Request] and [Conn.Context] have none of the values of the
// request's context.
//
// ServeHTTP returns earlier in two cases, where no such value is used later:
//
//   - With [AcceptOptions.ForgetRequest] it returns when the handshake is done,
//     and Handler runs on a goroutine of its own. Only then does net/http release
//     its goroutine and its buffers, some 10 KB for each connection: use it for
//     very many connections.
//   - With Events it returns when OnOpen has. The values of the request's
//     context are there in OnOpen only, which has to store those that are needed
//     later; c.Request() still has the method, the URL, path values of
//     [http.ServeMux] and the headers.
//
// An [http.Server] forgets a connection once it is a WebSocket: its own Shutdown
// neither closes it nor waits for it. To shut both down together, register the
// Server's Shutdown with the http.Server, and then wait for both:
//
//	web.RegisterOnShutdown(func() { ws.Shutdown(context.Background()) })
//	...
//	err := errors.Join(web.Shutdown(ctx), ws.Shutdown(ctx))
type Server struct {
	AcceptOptions

	// Handler is called for each connection. It or Events must be set: without them
	// every handshake is answered with 500, and the log says why. Handler is called by
	// ServeHTTP or, with ForgetRequest, on a goroutine of its own. The connection is
	// closed with [StatusNormalClosure] when it returns. If it panics, the panic is logged
	// to Options.Logger and the connection closed with [StatusInternalError];
	// nothing else is affected, and middleware does not see it. A panic with
	// [http.ErrAbortHandler] cuts the connection without a log.
	//
	// A Handler that only writes calls [Conn.CloseRead] first. Without it the client's
	// close frame is not seen until keepalive reads, and never behind a message that
	// nobody reads.
	Handler func(*Conn)

	// Events, instead of Handler, handles the events of the connections, which Loop
	// reads. OnOpen is called when the handshake is done, and ServeHTTP waits for it.
	// Afterwards only the handler, the peer, and Shutdown and Close of the Server or
	// the Loop close the connection.
	Events EventHandler
	Loop   *Loop

	mu          sync.Mutex // guards what follows; never held while a Conn is called
	phase       serverPhase
	conns       map[*Conn]struct{}      // connections whose Handler runs, or which have not ended
	loopHandler *loopHandler            // of the connections that Loop reads; made at first use
	opening     map[*Conn]chan struct{} // closed when OnOpen has returned

	active drain.Group // handshakes and connections that Shutdown waits for; closed by it
}

// ServeHTTP answers a handshake as [Accept] does, and runs Handler for the
// connection. After Shutdown or Close it answers 503.
//
// Failed handshakes are logged to Options.Logger, since no caller gets the error:
// faults of the server at level Error, refused origins and requests for WebSocket
// over HTTP/2 at level Warn, the rest at level Debug.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.checkHandler(); err != nil {
		answer(w, r, err)
		s.logFailure(r, err)
		return
	}
	if !s.enter() {
		answer(w, r, refuse(http.StatusServiceUnavailable, "the server is shutting down"))
		return
	}
	var c *Conn
	defer func() {
		if c == nil { // refused, or a panic in CheckOrigin or Admit
			s.leave(nil)
		}
	}()
	opts := s.AcceptOptions
	opts.ForgetRequest = opts.ForgetRequest && s.Events == nil // or after OnOpen
	c, err := Accept(w, r, &opts)
	if err != nil {
		s.logFailure(r, err)
		return
	}
	switch {
	case s.Events != nil:
		s.attach(c)
	case s.ForgetRequest:
		go s.serve(c)
	default:
		s.serve(c)
	}
}

func (s *Server) checkHandler() *HandshakeError {
	switch {
	case s.Handler == nil && s.Events == nil:
		return fault(errors.New("websocket: Server.Handler is nil, and so is Server.Events"))
	case s.Handler != nil && s.Events != nil:
		return fault(errors.New("websocket: Server has both Handler and Events"))
	case s.Events != nil && s.Loop == nil:
		return fault(errors.New("websocket: Server.Events needs Server.Loop"))
	}
	return nil
}

// serve owns c until it has ended.
func (s *Server) serve(c *Conn) {
	defer func() {
		<-c.ended()
		c.forgetValues()
		s.leave(c)
	}()
	if s.begin(c) {
		s.handle(c)
	}
}

// begin tracks c, and ends it if the phase has changed during the handshake. It is
// not inlined because the goroutine of a connection has a small stack.
//
//go:noinline
func (s *Server) begin(c *Conn) bool {
	switch s.track(c) {
	case phaseDraining:
		c.startClose(StatusGoingAway, "")
	case phaseCut:
		c.cut(errServerClosed)
	default:
		return true
	}
	return false
}

// handle runs Handler and closes c, however Handler ends.
func (s *Server) handle(c *Conn) {
	returned := false
	defer func() {
		switch v := recover(); {
		case returned:
			c.Close(StatusNormalClosure, "")
		case v == http.ErrAbortHandler:
			c.CloseNow()
		case v != nil:
			remote, path := c.RemoteAddr().String(), ""
			if r := c.Request(); r != nil {
				remote, path = r.RemoteAddr, quote.Clip(r.URL.Path)
			}
			s.logger().Error("websocket: panic in Server.Handler", "panic", fmt.Sprint(v),
				"remote", remote, "path", path, "stack", string(debug.Stack()))
			c.Close(StatusInternalError, "")
		default: // runtime.Goexit
			c.Close(StatusInternalError, "")
		}
	}()
	s.Handler(c)
	returned = true
}

// Shutdown ends the server gently: from now on handshakes are answered with 503,
// and all connections are closed with [StatusGoingAway] at once; their handlers get
// the end of the connection. Shutdown waits until every handler has returned and
// every connection has ended, and then returns nil. A client that reads answers at
// once; one that does not is given up after [Options.CloseTimeout]. If ctx ends
// first, Shutdown cuts the connections that are left and returns the error of ctx,
// without waiting for their handlers.
//
// Shutdown and Close may be called repeatedly and concurrently. A Server that
// was shut down stays so.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.stop(phaseDraining) {
		c.startClose(StatusGoingAway, "")
	}
	err := s.active.Wait(ctx)
	if err != nil {
		s.Close()
	}
	return err
}

// Close ends the server at once: from now on handshakes are answered with
// 503, and all connections are cut, without a close frame. Close does not
// wait for handlers; Shutdown does, also after Close. It returns nil.
func (s *Server) Close() error {
	for _, c := range s.stop(phaseCut) {
		go c.cut(errServerClosed) // cut may wait a little for a write under way
	}
	return nil
}

var errServerClosed = errors.New("websocket: the server was closed")

// stop moves on to phase p. It returns the connections that the caller is to end
// accordingly, none if another call has done so. A connection whose handshake is
// under way is not among them; begin ends it.
func (s *Server) stop(p serverPhase) (conns []*Conn) {
	s.active.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p > s.phase {
		s.phase = p
		conns = slices.Collect(maps.Keys(s.conns))
		if s.loopHandler != nil {
			conns = append(conns, s.Loop.connsOf(s.loopHandler)...)
		}
	}
	return conns
}

// enter counts a handshake in, unless the server has been stopped. Each enter
// is followed by one leave, when the handshake has failed or the connection
// that came of it has ended.
func (s *Server) enter() bool { return s.active.Enter() }

// track registers c for stop, and returns the present phase.
func (s *Server) track(c *Conn) serverPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*Conn]struct{})
	}
	s.conns[c] = struct{}{}
	c.in.flags.set(serverTracked)
	return s.phase
}

// leave undoes enter, and track if c is not nil.
func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.active.Leave()
}

func (s *Server) logger() *slog.Logger { return s.withDefaults().Logger }

// logFailure logs a failed handshake. A refused origin is a common mistake in a new
// server, and the browser hides the answer from the page, so it is logged at a
// level that a default logger shows.
func (s *Server) logFailure(r *http.Request, err error) {
	level := slog.LevelDebug
	var e *HandshakeError
	if errors.As(err, &e) {
		switch {
		case e.Status == http.StatusInternalServerError:
			level = slog.LevelError
		case e.Status == http.StatusForbidden && e.err == nil, extendedConnect(r): // not by Admit
			level = slog.LevelWarn
		}
	}
	s.logger().Log(r.Context(), level, "websocket: handshake failed",
		"error", err, "remote", r.RemoteAddr, "path", quote.Clip(r.URL.Path))
}

// serverEvents is the handler of a Server's connections on a loop. It calls Events,
// and opened and leave of the Server.
type serverEvents struct{ s *Server }

// OnOpen frees the request before any other event, and before ServeHTTP returns.
func (e serverEvents) OnOpen(c *Conn) {
	defer e.s.opened(c) // even if it panics
	e.s.Events.OnOpen(c)
}

func (e serverEvents) OnMessage(c *Conn, typ MessageType, p []byte) { e.s.Events.OnMessage(c, typ, p) }

func (e serverEvents) OnClose(c *Conn, err error) {
	defer e.s.leave(nil)
	e.s.Events.OnClose(c, err)
}

// attach hands c, which enter has counted, to the loop, and waits until OnOpen has
// returned. The loop calls OnOpen in any case, also when the loop is shut down.
func (s *Server) attach(c *Conn) {
	opened := s.awaitOpen(c)
	err := s.Loop.attach(c, s.events())
	if err != nil {
		s.opened(c)
		go func() {
			defer s.leave(nil)
			c.notAttached(err, s.logger())
		}()
		return
	}
	switch s.currentPhase() { // it may have changed during the handshake
	case phaseDraining:
		c.startClose(StatusGoingAway, "")
	case phaseCut:
		c.cut(errServerClosed)
	}
	<-opened
}

// awaitOpen returns a channel that is closed by opened.
func (s *Server) awaitOpen(c *Conn) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opening == nil {
		s.opening = make(map[*Conn]chan struct{})
	}
	opened := make(chan struct{})
	s.opening[c] = opened
	return opened
}

// opened is called when OnOpen has returned, or will not be called.
func (s *Server) opened(c *Conn) {
	if s.ForgetRequest {
		c.forgetRequest()
	} else {
		c.forgetValues()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.opening[c])
	delete(s.opening, c)
}

// events returns the loopHandler of s, always the same.
func (s *Server) events() *loopHandler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loopHandler == nil {
		s.loopHandler = &loopHandler{loop: s.Loop, handler: serverEvents{s}}
	}
	return s.loopHandler
}

func (s *Server) currentPhase() serverPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}
