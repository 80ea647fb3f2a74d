package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// responseTimeout bounds the write of the 101 response. The response fits
// any socket's buffer, so only a broken peer or transport takes longer.
const responseTimeout = 10 * time.Second

// Accept answers the opening handshake in r (RFC 6455, section 4.2) and
// returns the connection, which is the caller's to close and lives on after
// the HTTP handler has returned. A nil opts stands for the zero value, which
// admits pages of the server's own origin, and clients that are no browsers.
//
// If the error is a [*HandshakeError], Accept has answered the request with
// the status and the reason in it. Any other error means that the transport
// failed and is closed. Either way the handler has nothing left to do but to
// return.
//
// The headers that are set on w, such as a Set-Cookie of some middleware, are
// sent with the 101 response, and opts.Header after them; headers of this hop
// and of the content (Connection, Content-Length, …) are left out. A w that
// wraps another ResponseWriter needs a Hijack or an Unwrap method, as
// [http.ResponseController] describes.
//
// As long as the HTTP handler that called Accept runs, net/http keeps its
// buffers of 8 KiB for the connection. [Server] lets go of them.
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = new(AcceptOptions)
	}
	hs := serverHandshake{r: r, opts: opts, inherited: w.Header()}
	if err := hs.run(); err != nil {
		answer(w, r, err)
		return nil, err
	}
	nc, early, failure := takeOver(w)
	if failure != nil {
		answer(w, r, failure)
		return nil, failure
	}
	if err := respond(nc, hs.appendResponse(make([]byte, 0, 512))); err != nil {
		nc.Close()
		return nil, fmt.Errorf("websocket: sending the handshake response: %w", err)
	}
	return newConn(nc, connConfig{
		opts:        opts.Options.withDefaults(),
		subprotocol: hs.subprotocol,
		compression: hs.compression,
		request:     detach(r, opts.ForgetRequest),
		early:       early,
	}), nil
}

// answer refuses a request in plain text. The connection is closed behind it,
// because the client may already have sent frames.
func answer(w http.ResponseWriter, r *http.Request, e *HandshakeError) {
	if errors.Is(e, http.ErrHijacked) {
		return // somebody else owns the connection and answers
	}
	h := w.Header()
	maps.Copy(h, e.header)
	if r.ProtoMajor == 1 { // in HTTP/2 it would take the other streams down
		h.Set("Connection", "close")
	}
	if e.header.Get("Upgrade") != "" {
		// RFC 9110, section 7.8, wants Upgrade listed in Connection. It is
		// a line of its own because net/http closes only if the first one
		// is "close" and nothing else.
		h.Add("Connection", "Upgrade")
	}
	text := e.Reason
	if e.Status == http.StatusInternalServerError {
		text = http.StatusText(e.Status)
	}
	http.Error(w, text, e.Status)
}

// takeOver takes the connection from net/http, with a copy of the bytes that
// the client sent behind its request. The bufio.ReadWriter that comes along
// has 8 KiB of buffers; nothing refers to it afterwards.
func takeOver(w http.ResponseWriter) (net.Conn, []byte, *HandshakeError) {
	nc, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		last := innermost(w)
		if errors.Is(err, http.ErrNotSupported) {
			err = fmt.Errorf("%T has no Hijack method: if it wraps another ResponseWriter, give it an Unwrap() http.ResponseWriter method (%w)", last, err)
		} else {
			err = fmt.Errorf("%T does not let go of the connection: %w", last, err)
		}
		return nil, nil, fault(err)
	}
	var early []byte
	if buf != nil && buf.Reader != nil {
		early, _ = buf.Reader.Peek(buf.Reader.Buffered())
		early = bytes.Clone(early)
	}
	return nc, early, nil
}

// innermost returns the ResponseWriter at which [http.ResponseController] ends
// its search through w for a Hijack method, found or not.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return w
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		inner := u.Unwrap()
		if inner == nil {
			return w
		}
		w = inner
	}
}

// respond sends the 101 response, in one write, and leaves no deadline behind.
func respond(nc net.Conn, response []byte) error {
	if err := nc.SetWriteDeadline(time.Now().Add(responseTimeout)); err != nil {
		return err
	}
	if _, err := nc.Write(response); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}

// detach returns what [Conn.Request] is to return: a request with the values
// of r's context, but neither its cancellation, which comes as soon as the
// HTTP handler returns, nor r's body, which holds on to net/http's buffers,
// nor the headers of the handshake, which are of no more use.
func detach(r *http.Request, forget bool) *http.Request {
	if forget {
		return nil
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = http.NoBody
	h := make(http.Header)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions":
		default:
			h[name] = values
		}
	}
	r.Header = h
	return r
}

// Server is an [http.Handler] that makes a connection of each handshake and
// runs Handler for it. It keeps track of its connections, so that Shutdown
// and Close can end them. Set the fields before the first request and leave
// them alone afterwards: they are read whenever a handshake comes. A Server
// must not be copied after first use.
//
// ServeHTTP returns when the handshake is done, and Handler runs on a
// goroutine of its own. That lets go of net/http's goroutine and buffers; it
// also means that middleware around a Server sees the request end before the
// connection does.
//
// An [http.Server] forgets a connection once it is a WebSocket: its own
// Shutdown neither closes it nor waits for it. To shut both down together, let
// the http.Server pass the word on when it begins, and then wait for both:
//
//	web.RegisterOnShutdown(func() { ws.Shutdown(context.Background()) })
//	...
//	err := errors.Join(web.Shutdown(ctx), ws.Shutdown(ctx))
type Server struct {
	AcceptOptions

	// Handler is called for each connection, on a goroutine of its own. The
	// connection is closed with [StatusNormalClosure] when it returns. If it
	// panics, the panic is logged to Options.Logger and the connection
	// closed with [StatusInternalError]; nothing else is affected. A panic
	// with [http.ErrAbortHandler] cuts the connection without a log.
	//
	// A Handler that only writes calls [Conn.CloseRead] first. Without it the
	// client's close frame waits until keepalive looks, and behind a message that
	// nobody reads for ever.
	Handler func(*Conn)

	// Events, in the place of Handler, is told what happens on the connections,
	// which Loop reads. OnOpen is called when the handshake is done; nothing
	// closes the connection afterwards but what the handler does, the peer, or
	// Shutdown and Close of the Server or the Loop.
	Events EventHandler
	Loop   *Loop

	mu      sync.Mutex // guards what follows; never held while a Conn is called
	phase   serverPhase
	conns   map[*Conn]struct{} // whose Handler is running, or which have not ended
	sink    *sink              // of those that Loop reads; made at first use
	active  int                // handshakes and connections that Shutdown waits for
	drained chan struct{}      // nil while serving; closed when active is 0 after that
}

// serverPhase only ever grows.
type serverPhase uint8

const (
	phaseServing  serverPhase = iota
	phaseDraining             // no handshakes; connections are closed with 1001
	phaseCut                  // connections are cut
)

// ServeHTTP answers a handshake as [Accept] does, and has Handler run for the
// connection. After Shutdown or Close it answers 503.
//
// What went wrong goes to Options.Logger, since no caller gets it: faults of
// the server as errors, refused origins as warnings, the rest for debugging.
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
		if c == nil { // refused, or a panic in CheckOrigin
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
	if s.Events != nil {
		s.attach(c)
		return
	}
	go s.serve(c)
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
		s.leave(c)
	}()
	switch s.track(c) { // the phase may have changed during the handshake
	case phaseServing:
		s.handle(c)
	case phaseDraining:
		c.startClose(StatusGoingAway, "")
	case phaseCut:
		c.abort(errServerClosed)
	}
}

// handle runs Handler and closes c, in whatever way Handler ends.
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
				remote, path = r.RemoteAddr, clip(r.URL.Path)
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

// Shutdown ends the server gently: from now on handshakes are answered with
// 503, and all connections are closed with [StatusGoingAway] at once, which
// their handlers see as the end of the connection. Shutdown waits until every
// handler has returned and every connection has ended, and then returns nil.
// A client that reads answers at once; one that does not is given up after
// [Options.CloseTimeout].
// If ctx ends first, Shutdown cuts the connections that are left and returns
// the error of ctx, without waiting for their handlers.
//
// Shutdown and Close may be called repeatedly and concurrently. A Server that
// was shut down stays so.
func (s *Server) Shutdown(ctx context.Context) error {
	conns, drained := s.stop(phaseDraining)
	for _, c := range conns {
		c.startClose(StatusGoingAway, "")
	}
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-drained: // both were ready: there is nothing to cut
		return nil
	default:
		s.Close()
		return ctx.Err()
	}
}

// Close ends the server at once: from now on handshakes are answered with
// 503, and all connections are cut, without a close frame. Close does not
// wait for handlers; Shutdown does, also after Close. It returns nil.
func (s *Server) Close() error {
	conns, _ := s.stop(phaseCut)
	for _, c := range conns {
		go c.abort(errServerClosed) // it may wait a little for a write under way
	}
	return nil
}

var errServerClosed = errors.New("websocket: the server was closed")

// stop moves on to phase p. It returns the connections that the caller is to
// end accordingly, none if another call has done so. One whose handshake is
// under way is not among them; serve ends it when it learns the phase.
func (s *Server) stop(p serverPhase) (conns []*Conn, drained <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained == nil {
		s.drained = make(chan struct{})
		if s.active == 0 {
			close(s.drained)
		}
	}
	if p > s.phase {
		s.phase = p
		conns = slices.Collect(maps.Keys(s.conns))
		if s.sink != nil {
			conns = append(conns, s.Loop.connsOf(s.sink)...)
		}
	}
	return conns, s.drained
}

// enter counts a handshake in, unless the server has been stopped. Each enter
// is followed by one leave, when the handshake has failed or the connection
// that came of it has ended.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseServing {
		return false
	}
	s.active++
	return true
}

// track makes c known to stop, and returns the phase that it came in.
func (s *Server) track(c *Conn) serverPhase {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*Conn]struct{})
	}
	s.conns[c] = struct{}{}
	c.in.marks.set(inTracked)
	return s.phase
}

// leave undoes enter, and track if c is not nil.
func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.active--
	if s.active == 0 && s.drained != nil {
		close(s.drained)
	}
}

func (s *Server) logger() *slog.Logger { return s.withDefaults().Logger }

// logFailure reports a handshake that came to nothing. A refused origin is
// the usual stumbling block of a new server, and the browser hides the answer
// from the page, so it is reported where a default logger shows it.
func (s *Server) logFailure(r *http.Request, err error) {
	level := slog.LevelDebug
	var e *HandshakeError
	if errors.As(err, &e) {
		switch e.Status {
		case http.StatusInternalServerError:
			level = slog.LevelError
		case http.StatusForbidden:
			level = slog.LevelWarn
		}
	}
	s.logger().Log(r.Context(), level, "websocket: handshake failed",
		"error", err, "remote", r.RemoteAddr, "path", clip(r.URL.Path))
}
