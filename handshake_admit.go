package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// mayBlock reports whether a handshake calls functions of the user's.
func (o *AcceptOptions) mayBlock() bool { return o.CheckOrigin != nil || o.Admit != nil }

// admit calls AcceptOptions.Admit. It is the last step, so Admit sees valid
// handshakes only.
func (hs *serverHandshake) admit() *HandshakeError {
	if hs.opts.Admit == nil {
		return nil
	}
	header, err := hs.opts.Admit(hs.r)
	if err != nil {
		return notAdmitted(err)
	}
	if err := checkResponseHeader(header); err != nil {
		return fault(fmt.Errorf("%w (AcceptOptions.Admit returned it)", err))
	}
	hs.admitted = header
	return nil
}

// notAdmitted returns the answer to a request for which Admit has returned err.
func notAdmitted(err error) *HandshakeError {
	var refusal *HandshakeError
	if !errors.As(err, &refusal) || refusal == nil {
		return fault(fmt.Errorf("websocket: AcceptOptions.Admit: %w", err))
	}
	e := &HandshakeError{Status: refusal.Status, Reason: refusal.Reason, Header: refusal.Header, err: err}
	if e.Status == 0 {
		e.Status = http.StatusForbidden
	}
	if e.Reason == "" {
		e.Reason = http.StatusText(e.Status)
	}
	if e.Status < 300 || e.Status > 599 {
		return fault(fmt.Errorf("websocket: AcceptOptions.Admit refuses with status %d, want one from 300 to 599: %w", e.Status, err))
	}
	if invalid := checkHeader(e.Header); invalid != nil {
		return fault(fmt.Errorf("%w (AcceptOptions.Admit refuses with it)", invalid))
	}
	for name := range e.Header {
		if hopHeader(name) || contentHeader(name) { // the content is Reason, in plain text
			return fault(fmt.Errorf("websocket: header %s cannot be sent with a refusal (AcceptOptions.Admit refuses with it)", name))
		}
	}
	return e
}

// checkExtendedConnect refuses WebSocket over HTTP/2 (RFC 8441), which is not
// served here. A client asks for it if the server has announced it, which net/http
// does for the whole process. A browser then does not try HTTP/1.1.
func (hs *serverHandshake) checkExtendedConnect() *HandshakeError {
	if !extendedConnect(hs.r) {
		return nil
	}
	return refuse(http.StatusHTTPVersionNotSupported, "WebSocket over HTTP/%d (RFC 8441) is not served here; "+
		"turn it off in net/http, which offers it because GODEBUG has http2xconnect=1, so that clients connect with HTTP/1.1", hs.r.ProtoMajor)
}

// extendedConnect reports whether r asks for WebSocket over HTTP/2 or HTTP/3.
func extendedConnect(r *http.Request) bool {
	if r.Method != http.MethodConnect || r.ProtoMajor < 2 {
		return false
	}
	protocol := r.Header[":protocol"] // net/http's spelling of it
	return len(protocol) > 0 && strings.EqualFold(protocol[0], "websocket")
}
