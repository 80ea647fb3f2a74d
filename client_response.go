package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// checkResponse validates the server's answer as section 4.1 lists it. The
// body of an answer that is not accepted has been read when it returns.
func (hs *clientHandshake) checkResponse(resp *http.Response) error {
	if err := hs.checkStatus(resp); err != nil {
		return err
	}
	steps := [...]func(http.Header) error{
		hs.checkUpgrade,
		func(h http.Header) error { return hs.checkConnection(h, resp.Close) },
		hs.checkAccept,
		hs.checkExtensions,
		hs.checkSubprotocol,
	}
	for _, step := range steps {
		if err := step(resp.Header); err != nil {
			resp.Body.Close() // neither frames nor content follow
			resp.Body = http.NoBody
			return invalidHandshake(err)
		}
	}
	return nil
}

func (hs *clientHandshake) checkStatus(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	body, err := hs.exchange.Refused(resp)
	if err != nil {
		return hs.failed(err)
	}
	return refusedHandshake(resp, body)
}

// checkUpgrade: "a value that is not an ASCII case-insensitive match for the
// value "websocket"" fails, so nothing may stand beside it.
func (hs *clientHandshake) checkUpgrade(h http.Header) error {
	n := 0
	for item := range fields.Items(h, "Upgrade") {
		if n++; !fields.SameToken(item, "websocket") {
			return fmt.Errorf("header Upgrade is %q, want \"websocket\"", quote.Clip(item))
		}
	}
	if n == 0 {
		return errors.New("header Upgrade is missing")
	}
	return nil
}

// checkConnection: closed says that "close" was listed there. net/http then removes
// the header and gives up the connection. The exchange prevents that if it makes
// the connections itself.
func (hs *clientHandshake) checkConnection(h http.Header, closed bool) error {
	foreign := hs.exchange.Foreign()
	switch {
	case fields.HasToken(h, "Connection", "Upgrade"):
		return nil
	case closed && len(h["Connection"]) == 0 && foreign != nil:
		return fmt.Errorf(`header Connection lists "close", so net/http has removed it and closed the connection `+
			`before Dial could see either; that can be prevented with a Transport that is an *http.Transport, not with %T`, foreign)
	}
	return errors.New(`header Connection does not list "Upgrade"`)
}

// checkAccept proves that the server has understood the handshake, and that the
// answer is not from a cache.
func (hs *clientHandshake) checkAccept(h http.Header) error {
	switch values := h["Sec-Websocket-Accept"]; {
	case len(values) == 0:
		return errors.New("header Sec-WebSocket-Accept is missing")
	case len(values) > 1:
		return fmt.Errorf("header Sec-WebSocket-Accept is there %d times, want once", len(values))
	case strings.TrimSpace(values[0]) != AcceptKey(hs.key):
		return errors.New("header Sec-WebSocket-Accept does not answer the key that was sent")
	}
	return nil
}

// checkExtensions: the server may use only what was offered.
func (hs *clientHandshake) checkExtensions(h http.Header) (err error) {
	hs.extensions, err = hs.wanted.Accept(h["Sec-Websocket-Extensions"])
	return err
}

// checkSubprotocol: the server chooses at most one, from those offered.
func (hs *clientHandshake) checkSubprotocol(h http.Header) error {
	n := 0
	for item := range fields.Items(h, "Sec-WebSocket-Protocol") {
		if n++; n > 1 {
			return errors.New("server chose more than one subprotocol")
		}
		if !slices.Contains(hs.offered, item) {
			return fmt.Errorf("server chose subprotocol %q, which was not offered", quote.Clip(item))
		}
		hs.subprotocol = item
	}
	return nil
}

// dialRefusal is a [HandshakeError] with the client's text.
type dialRefusal struct {
	text string
	err  *HandshakeError
}

func (e *dialRefusal) Error() string { return e.text }

func (e *dialRefusal) Unwrap() error { return e.err }

// refusedHandshake makes the error for an answer other than 101. The reason is the
// first line of the body, where a helpful server says it, unless the body is an
// HTML page.
func refusedHandshake(resp *http.Response, body []byte) error {
	status := quote.Line(resp.Status)
	if status == "" {
		status = fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	text := "websocket: server refused the handshake: " + status
	reason, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	reason = quote.Line(reason)
	if strings.HasPrefix(reason, "<") {
		reason = ""
	}
	if reason != "" {
		text += ": " + reason
	} else {
		_, reason, _ = strings.Cut(status, " ")
	}
	return &dialRefusal{text, &HandshakeError{Status: resp.StatusCode, Reason: reason}}
}

// invalidHandshake makes the error for a 101 answer that is not a WebSocket
// server's.
func invalidHandshake(err error) error {
	rule := "RFC 6455, section 4.1"
	if e := (*extension.Error)(nil); errors.As(err, &e) {
		rule = e.Rule
	}
	reason := err.Error() + " (" + rule + ")"
	return &dialRefusal{
		"websocket: server's handshake is invalid: " + reason,
		&HandshakeError{Status: http.StatusSwitchingProtocols, Reason: reason},
	}
}
