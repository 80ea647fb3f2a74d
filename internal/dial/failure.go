package dial

import (
	"errors"
	"fmt"
	"io"
	"net"
)

var errSwitched = errors.New("read behind the response to a handshake")

// Refusal is the error for an exchange that got no HTTP answer, or a proxy's answer
// instead of the server's. It is returned as it is, never wrapped.
type Refusal struct {
	Text   string // the result of Error
	Status int    // of the proxy's answer; 0 if there was none
	Reason string // Text without the parts of Status and Proxy
	Proxy  string // host:port of the HTTP proxy, if the failure is the proxy's; or ""
	Err    error  // the cause, or nil
}

func (e *Refusal) Error() string { return e.Text }

func (e *Refusal) Unwrap() error { return e.Err }

// noAnswer makes the error for an exchange that got no HTTP answer. The text is
// the reason; err is the cause, and may be nil.
func noAnswer(reason string, err error) *Refusal {
	return &Refusal{Text: reason, Reason: reason, Err: err}
}

// explain replaces net/http's error by one that says what to do, if the connection
// shows the reason. Otherwise it returns err.
func (a *attempt) explain(err error) error {
	secure := a.request.URL.Scheme == "https"
	_, answer := a.connection()
	if answer == nil {
		if a.clone == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			return noAnswer("server closed the connection without a complete answer", err)
		}
		return err
	}
	begin, whole, failure := answer.received()
	switch {
	case whole:
		return err // net/http's error says what is wrong
	case speaksHTTP2(begin):
		return noAnswer("server speaks HTTP/2 on this connection, a WebSocket handshake needs HTTP/1.1; a DialTLSContext must offer http/1.1 only", err)
	case speaksTLS(begin):
		return noAnswer("server speaks TLS; the URL must begin with wss", err)
	case !mayBeHTTP(begin):
		return noAnswer(fmt.Sprintf("server speaks another protocol than HTTP, it begins with %q", begin), err)
	case !closedByPeer(failure):
		return err
	}
	reason := "server closed the connection without an answer"
	if len(begin) > 0 {
		reason = "server closed the connection in the middle of its answer"
	}
	if !errors.Is(failure, io.EOF) {
		reason += fmt.Sprintf(" (%v)", failure)
	}
	switch {
	case len(begin) > 0:
	case secure && !tlsState(answer.Conn).HandshakeComplete:
		reason += "; if it has agreed on HTTP/2 with the DialTLSContext, that must offer http/1.1 only"
	case secure:
		reason += "; does a WebSocket server listen on this port?"
	default:
		reason += "; does a WebSocket server listen on this port, and not one for wss?"
	}
	return noAnswer(reason, failure)
}

// closedByPeer reports whether err, of a connection, is io.EOF or a reset.
func closedByPeer(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var e *net.OpError
	return errors.As(err, &e) && (e.Op == "read" || e.Op == "write") && !e.Timeout() && !errors.Is(err, net.ErrClosed)
}

// speaksHTTP2 reports whether b begins with a frame of HTTP/2 on stream 0:
// SETTINGS, which a server sends first, or GOAWAY (RFC 9113, section 3.4).
func speaksHTTP2(b []byte) bool {
	return len(b) >= 9 && b[0] == 0 && (b[3] == 4 || b[3] == 7) && string(b[5:9]) == "\x00\x00\x00\x00"
}

// speaksTLS reports whether b begins with a record of TLS: an alert, or
// anything of a handshake (RFC 8446, section 5.1).
func speaksTLS(b []byte) bool {
	return len(b) >= 2 && (b[0] == 21 || b[0] == 22) && b[1] == 3
}
