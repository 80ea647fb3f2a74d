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
)

const (
	// handshakeTimeout is how long Serve waits for a whole request.
	handshakeTimeout = 10 * time.Second
	// lingerTimeout is how long a client that was refused may take to read why.
	lingerTimeout = time.Second
)

// Serve accepts connections from ln, answers their handshakes as [Accept] does
// with opts, and hands them to h as Attach does: for servers that need no
// net/http. A request that is not a handshake is answered with an error, and so
// is one that net/http's server would refuse, that takes longer than ten seconds
// or whose head has more than 16 KiB. The path is h's to judge, by
// [Conn.Request], and so is all else that Accept leaves open.
//
// Serve returns when ln fails or is closed, which it may take a second to
// notice, or with [ErrLoopClosed] when the loop is. It closes ln; the
// connections go on.
func (l *Loop) Serve(ln net.Listener, opts *AcceptOptions, h EventHandler) error {
	if h == nil {
		return errors.New("websocket: nil EventHandler")
	}
	if opts == nil {
		opts = new(AcceptOptions)
	}
	a := &acceptor{sink: &sink{l, h, opts.ForgetRequest}, opts: *opts, conn: opts.Options.withDefaults()}
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

// errForeign is an engine's answer to a listener that it cannot watch.
var errForeign = errors.New("websocket: the listener cannot be polled")

// listen has Shutdown and Close close ln.
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
	sink *sink
	opts AcceptOptions
	conn Options // of the connections, with defaults
}

// answer judges a request. It returns the response, and, if that is 101, what
// the connection is to be; ok says so. The request becomes the connection's.
func (a *acceptor) answer(r *http.Request) (response []byte, cfg connConfig, ok bool) {
	hs := serverHandshake{r: r, opts: &a.opts}
	if err := hs.run(); err != nil {
		return refusal(err, r.Method == http.MethodHead), cfg, false
	}
	response = hs.appendResponse(make([]byte, 0, 256))
	for _, name := range [...]string{"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions"} {
		delete(r.Header, name) // as detach does
	}
	return response, connConfig{
		opts:        a.conn,
		subprotocol: hs.subprotocol,
		compression: hs.compression,
		request:     r,
	}, true
}

// unparsed encodes the answer to the request that b starts with, of which
// package request says err.
func unparsed(b []byte, err error) []byte {
	e := err.(*request.Error)
	return refusal(&HandshakeError{Status: e.Status, Reason: e.Reason}, isHead(b))
}

// isHead reports whether the method of the request that b starts with is HEAD.
func isHead(b []byte) bool { return bytes.HasPrefix(b, []byte("HEAD ")) }

// refusal encodes the answer to a request that is refused; head says that the
// method is HEAD, and the content is left out. The connection ends with it.
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
	for name, values := range e.header {
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

var tooLate = refuse(http.StatusRequestTimeout, "the request was not complete in %v", handshakeTimeout)

// accept serves a listener that no engine can watch, such as one of TLS, with a
// goroutine for each handshake.
func (a *acceptor) accept(ln net.Listener) error {
	l := a.sink.loop
	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err != nil {
			if delay = l.pause(err, delay); delay == 0 {
				return err
			}
			continue
		}
		delay = 0
		if l.enter() != nil {
			nc.Close()
			continue
		}
		go func() {
			defer l.leave()
			defer func() {
				if v := recover(); v != nil {
					l.logPanic("AcceptOptions.CheckOrigin", v)
					nc.Close()
				}
			}()
			a.shake(nc)
		}()
	}
}

// pause waits a little after an error of Accept that may pass, such as a lack of
// descriptors: longer if it has waited before. Else it returns 0.
func (l *Loop) pause(err error, last time.Duration) time.Duration {
	if ne, ok := err.(net.Error); !ok || !ne.Temporary() {
		return 0
	}
	delay := min(max(2*last, 5*time.Millisecond), time.Second)
	l.logger.Warn("websocket: accepting connections", "error", err, "pause", delay)
	time.Sleep(delay)
	return delay
}

// shake does the handshake on nc.
func (a *acceptor) shake(nc net.Conn) {
	nc.SetDeadline(time.Now().Add(handshakeTimeout))
	b := make([]byte, 0, 1<<10)
	var head int
	for scanner := new(request.Scanner); head == 0; {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*len(b)), b...)
		}
		n, err := nc.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		var serr error
		if head, serr = scanner.Scan(b); serr != nil {
			a.turnAway(nc, unparsed(b, serr))
			return
		}
		if head == 0 && err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				a.turnAway(nc, refusal(tooLate, isHead(b)))
			}
			nc.Close()
			return
		}
	}
	r, _, err := request.Parse(b[:head])
	if err != nil {
		a.turnAway(nc, unparsed(b, err))
		return
	}
	r.RemoteAddr = nc.RemoteAddr().String()
	if secure, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secure.ConnectionState()
		r.TLS = &state
	}
	response, cfg, ok := a.answer(r)
	if !ok {
		a.turnAway(nc, response)
		return
	}
	if respond(nc, response) != nil {
		nc.Close()
		return
	}
	cfg.early = b[head:]
	c := newConn(nc, cfg)
	if err := a.sink.loop.attach(c, a.sink); err != nil {
		c.Close(StatusGoingAway, "")
	}
}

// turnAway sends a response and closes nc, when the client has read it.
func (a *acceptor) turnAway(nc net.Conn, response []byte) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(lingerTimeout))
	if _, err := nc.Write(response); err == nil {
		closeWrite(nc)
		nc.SetDeadline(time.Now().Add(lingerTimeout))
		io.Copy(io.Discard, nc)
	}
}
