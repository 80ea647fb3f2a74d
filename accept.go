package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// responseTimeout bounds the write of the 101 response. The response fits
// any socket's buffer, so only a broken peer or transport takes longer.
const responseTimeout = 10 * time.Second

// Accept answers the opening handshake in r (RFC 6455, section 4.2) and returns the
// connection. The caller owns it and must close it; it stays open after the HTTP
// handler has returned:
//
//	c, err := websocket.Accept(w, r, nil)
//	if err != nil {
//		return // Accept has answered
//	}
//	defer c.CloseNow()
//	for msg, err := range c.Messages(c.Context()) {
//		...
//	}
//	c.Close(websocket.StatusNormalClosure, "")
//
// A nil opts stands for the zero value, which admits pages of the server's own
// origin, and clients that are not browsers.
//
// If the error is a [*HandshakeError], Accept has answered the request with the
// status and the reason in it. Any other error means that the transport failed and
// is closed. In both cases the handler only has to return.
//
// Accept comes before any WriteHeader, Write or Flush on w. After one of these the
// client has another answer, and there is no connection. Package net/http does not
// report that. If a wrapper does (those of gin, negroni, chi and [ShowStatus]),
// Accept returns an error and leaves the response as it is.
//
// The headers that are set on w, such as a Set-Cookie of some middleware, are sent
// with the 101 response, opts.Header and those of opts.Admit after them. Date and
// headers of this hop and of the content are left out (Connection, Content-Type,
// Content-Length, …). A w that wraps another ResponseWriter needs a Hijack or an
// Unwrap method, as [http.ResponseController] describes. Access logs show the
// status 101 only with [ShowStatus], or with gin.
//
// As long as the HTTP handler that called Accept runs, net/http keeps its goroutine
// and its buffers for the connection. With [AcceptOptions.ForgetRequest], [Server]
// releases them. A connection that outlives the handler must not use values that a
// router has put into r; see [Conn.Context].
func Accept(w http.ResponseWriter, r *http.Request, opts *AcceptOptions) (*Conn, error) {
	if opts == nil {
		opts = new(AcceptOptions)
	}
	if begun := begunBy(w); begun != nil {
		return nil, fault(fmt.Errorf("websocket: %T has begun a response: call Accept before WriteHeader, Write and Flush", begun))
	}
	hs := serverHandshake{r: r, opts: opts, inherited: w.Header()}
	if err := hs.run(); err != nil {
		answer(w, r, err)
		return nil, err
	}
	if timeout := timeoutWrapper(w); timeout != nil {
		err := fault(underTimeout(timeout))
		answer(w, r, err)
		return nil, err
	}
	recordStatus(w)
	nc, early, failure := takeOver(w)
	if failure != nil {
		answer(w, r, failure)
		return nil, failure
	}
	showStatus(w, r)
	nc = transport.WithDeadlines(nc)
	if err := respond(nc, hs.appendResponse(make([]byte, 0, 512))); err != nil {
		nc.Close()
		return nil, fmt.Errorf("websocket: sending the handshake response: %w", prefix.Trim(err))
	}
	return newConn(nc, connConfig{
		opts:      opts.Options.withDefaults(),
		agreement: hs.agreement,
		request:   detach(r, opts.ForgetRequest),
		early:     early,
	}), nil
}

// answer refuses a request in plain text. The connection is closed after it,
// because the client may already have sent frames.
func answer(w http.ResponseWriter, r *http.Request, e *HandshakeError) {
	if errors.Is(e, http.ErrHijacked) {
		return // other code owns the connection and answers
	}
	h := w.Header()
	maps.Copy(h, e.Header)
	if r.ProtoMajor == 1 { // in HTTP/2 this would close the other streams
		h.Set("Connection", "close")
	}
	if e.Header.Get("Upgrade") != "" {
		// RFC 9110, section 7.8, requires that Connection lists Upgrade. It is a line
		// of its own because net/http closes only if the first line is exactly "close".
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
	if sealed := sealedUnderGin(w); sealed != nil {
		return nil, nil, fault(noHijack(sealed))
	}
	nc, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		if errors.Is(err, http.ErrNotSupported) {
			err = noHijack(deepest(w))
		} else {
			err = fmt.Errorf("%T does not let go of the connection: %w", innermost(w), err)
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

// respond sends the 101 response, in one write, and clears the deadlines. nc is
// from transport.WithDeadlines.
func respond(nc net.Conn, response []byte) error {
	if err := nc.SetWriteDeadline(time.Now().Add(responseTimeout)); err != nil {
		return err
	}
	if _, err := nc.Write(response); err != nil {
		return err
	}
	return nc.SetDeadline(time.Time{})
}
