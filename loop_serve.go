package websocket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/fullduplex-go/websocket/internal/request"
	"github.com/fullduplex-go/websocket/internal/retry"
	"github.com/fullduplex-go/websocket/internal/transport"
)

const (
	// handshakeTimeout is how long Serve waits for a whole request.
	handshakeTimeout = 10 * time.Second
	// lingerTimeout is how long a client that was refused may take to read why.
	lingerTimeout = time.Second
)

// Serve accepts connections from ln, answers their handshakes as [Accept] does with
// opts, and hands them to h as Attach does: for servers that need no net/http. A
// request that is not a handshake is answered with an error, and so is one that
// net/http's server would refuse, one that takes longer than ten seconds and one
// whose head has more than 16 KiB. h judges the path, by [Conn.Request], and all
// else that Accept does not check.
//
// Serve returns when ln fails or is closed, which it may take a second to notice,
// or with [ErrLoopClosed] when the loop is closed. It closes ln; the connections go
// on.
func (l *Loop) Serve(ln net.Listener, opts *AcceptOptions, h EventHandler) error {
	if h == nil {
		return errors.New("websocket: nil EventHandler")
	}
	if opts == nil {
		opts = new(AcceptOptions)
	}
	a := &acceptor{handler: &loopHandler{l, h, opts.ForgetRequest}, opts: *opts, conn: opts.Options.withDefaults()}
	defer ln.Close()
	if err := (&serverHandshake{opts: &a.opts}).checkOptions(); err != nil {
		return err.err
	}
	if err := l.listen(ln); err != nil {
		return err
	}
	defer l.unlisten(ln)
	err := l.engine.accept(a, ln)
	if err == errForeign {
		err = a.accept(ln)
	}
	if l.currentPhase() != phaseServing {
		return ErrLoopClosed
	}
	return err
}

// errForeign is an engine's error for a listener that it cannot watch.
var errForeign = errors.New("websocket: the listener cannot be polled")

// listen registers ln, so that Shutdown and Close close it.
func (l *Loop) listen(ln net.Listener) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != phaseServing {
		return ErrLoopClosed
	}
	l.listeners[ln] = struct{}{}
	return nil
}

func (l *Loop) unlisten(ln net.Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.listeners, ln)
}

// acceptor makes connections for a handler of a loop.
type acceptor struct {
	handler *loopHandler
	opts    AcceptOptions
	conn    Options // of the connections, with defaults
}

// answer judges a request and returns the response. ok says that the response is
// 101; then cfg is the connection's configuration. The connection owns the request.
func (a *acceptor) answer(r *http.Request) (response []byte, cfg connConfig, ok bool) {
	hs := serverHandshake{r: r, opts: &a.opts}
	if err := hs.run(); err != nil {
		return refusal(err, r.Method == http.MethodHead), cfg, false
	}
	response = hs.appendResponse(make([]byte, 0, 256))
	for _, name := range [...]string{"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"} {
		delete(r.Header, name) // as detach does
	}
	return response, connConfig{opts: a.conn, agreement: hs.agreement, request: r}, true
}

// unparsed encodes the answer to the request that b starts with, which package
// request refuses with err.
func unparsed(b []byte, err error) []byte {
	e := err.(*request.Error)
	return refusal(&HandshakeError{Status: e.Status, Reason: e.Reason}, isHead(b))
}

// isHead reports whether the method of the request that b starts with is HEAD.
func isHead(b []byte) bool { return bytes.HasPrefix(b, []byte("HEAD ")) }

// refusal encodes the answer to a request that is refused, after which the
// connection is closed. head says that the method is HEAD: then the content is left
// out.
func refusal(e *HandshakeError, head bool) []byte {
	text := e.Reason
	if e.Status == http.StatusInternalServerError {
		text = http.StatusText(e.Status)
	}
	header := http.Header{
		"Connection":             {"close"},
		"Content-Type":           {"text/plain; charset=utf-8"},
		"X-Content-Type-Options": {"nosniff"},
	}
	for name, values := range e.Header {
		header[name] = values
		if name == "Upgrade" {
			header["Connection"] = []string{"close, Upgrade"}
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", e.Status, http.StatusText(e.Status))
	header.Set("Content-Length", strconv.Itoa(len(text)+1))
	header.Write(&b)
	b.WriteString("\r\n")
	if !head {
		b.WriteString(text + "\n")
	}
	return b.Bytes()
}

var (
	tooLate    = refuse(http.StatusRequestTimeout, "the request was not complete in %v", handshakeTimeout)
	overloaded = refuse(http.StatusServiceUnavailable, "the server cannot take more connections")
)

// accept serves a listener that no engine can watch, such as one of TLS, with a
// goroutine for each handshake.
func (a *acceptor) accept(ln net.Listener) error {
	l := a.handler.loop
	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err != nil {
			if delay = l.pause(err, delay); delay == 0 {
				return err
			}
			continue
		}
		delay = 0
		if h := l.beginHandshake(transport.WithDeadlines(nc)); h != nil {
			go a.serveHandshake(h)
		} else {
			nc.Close()
		}
	}
}

// blockingHandshake is a handshake that a goroutine does. It is in the loop's list
// until its connection is closed or has become a Conn. The goroutine that removes
// it from the list owns the connection, which it closes or goes on with, and then
// calls leave. nc is from transport.WithDeadlines.
type blockingHandshake struct{ nc net.Conn }

// beginHandshake is enter for a handshake on nc. It returns nil if the loop is
// closing.
func (l *Loop) beginHandshake(nc net.Conn) *blockingHandshake {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.active.Enter() {
		return nil
	}
	h := &blockingHandshake{nc}
	if l.handshakes == nil {
		l.handshakes = make(map[*blockingHandshake]struct{})
	}
	l.handshakes[h] = struct{}{}
	return h
}

// removeHandshake removes h from the list, and reports whether it was there.
func (l *Loop) removeHandshake(h *blockingHandshake) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.handshakes[h]
	delete(l.handshakes, h)
	return ok
}

// dropHandshakes cuts the connections whose handshake is under way. It does not
// wait for a CheckOrigin, which finds its connection gone.
func (l *Loop) dropHandshakes() {
	l.engine.dropHandshakes()
	l.mu.Lock()
	dropped := l.handshakes
	l.handshakes = nil
	l.mu.Unlock()
	for h := range dropped {
		h.cut()
		l.leave()
	}
}

// cut closes the connection without waiting.
func (h *blockingHandshake) cut() { transport.Abort(h.nc) }

// pause waits a little after an error of Accept that may pass, such as a lack of
// descriptors, and returns how long: longer than last, the pause before. For any
// other error it returns 0.
func (l *Loop) pause(err error, last time.Duration) time.Duration {
	//lint:ignore SA1019 net/http's server judges a listener's errors by it, too
	if ne, ok := err.(net.Error); !ok || !ne.Temporary() {
		return 0
	}
	delay := min(max(2*last, 5*time.Millisecond), time.Second)
	l.logger.Warn("websocket: accepting connections", "error", err, "pause", delay)
	time.Sleep(delay)
	return delay
}

// serveHandshake does the handshake h. A CheckOrigin in it may do anything, and the
// connection may be cut meanwhile.
func (a *acceptor) serveHandshake(h *blockingHandshake) {
	l := a.handler.loop
	returned := false
	defer func() {
		if v := recover(); !returned && v != nil { // nil after runtime.Goexit
			l.logPanic("AcceptOptions.CheckOrigin or Admit", v)
		}
		if l.removeHandshake(h) { // it has failed
			h.nc.Close()
			l.leave()
		}
	}()
	response, cfg, ok := a.judge(h.nc)
	switch {
	case !ok && response != nil:
		sendRefusal(h.nc, response)
	case ok && respond(h.nc, response) == nil && l.removeHandshake(h):
		defer l.leave()
		c := newConn(h.nc, cfg)
		if err := l.attach(c, a.handler); err != nil {
			c.notAttached(err, l.logger)
		}
	}
	returned = true
}

// judge reads a request from nc and answers it. Without a response the connection
// is to be closed.
func (a *acceptor) judge(nc net.Conn) (response []byte, cfg connConfig, ok bool) {
	nc.SetDeadline(time.Now().Add(handshakeTimeout))
	b := make([]byte, 0, 1<<10)
	var head int
	for scanner := new(request.Scanner); head == 0; {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*len(b)), b...)
		}
		n, err := retry.Read(nc, b[len(b):cap(b)])
		b = b[:len(b)+n]
		var serr error
		if head, serr = scanner.Scan(b); serr != nil {
			return unparsed(b, serr), cfg, false
		}
		if head == 0 && err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				response = refusal(tooLate, isHead(b))
			}
			return response, cfg, false
		}
	}
	r, _, err := request.Parse(b[:head])
	if err != nil {
		return unparsed(b, err), cfg, false
	}
	r.RemoteAddr = nc.RemoteAddr().String()
	if secure, ok := transport.Unpumped(nc).(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState()
		r.TLS = &state
	}
	response, cfg, ok = a.answer(r)
	cfg.early = b[head:]
	return response, cfg, ok
}

// sendRefusal sends a response, and waits until the client has read it or has had
// the time to.
func sendRefusal(nc net.Conn, response []byte) {
	nc.SetDeadline(time.Now().Add(lingerTimeout))
	if _, err := nc.Write(response); err == nil {
		transport.CloseWrite(nc)
		nc.SetDeadline(time.Now().Add(lingerTimeout))
		io.Copy(io.Discard, retry.Reader{Reader: nc})
	}
}
