package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/quote"
)

// keyGUID is the constant that the server hashes with the key (RFC 6455, section
// 1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AcceptKey returns the Sec-WebSocket-Accept value that answers the given
// Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string { return string(appendAcceptKey(nil, key)) }

// appendAcceptKey appends the result of AcceptKey. It does not allocate for a key
// of a valid length.
func appendAcceptKey(dst []byte, key string) []byte {
	sum := sha1.Sum(append(append(make([]byte, 0, 24+len(keyGUID)), key...), keyGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// HandshakeError tells why there is no connection. From [Accept] it has the reason
// of the refusal and the answer; from [Dial], the answer of the server or of a
// proxy on the way to it. [AcceptOptions.Admit] returns one to refuse a request.
type HandshakeError struct {
	// Status is the HTTP status of the answer. From Accept it is 500 if the server is
	// at fault, with its options or because the connection cannot be taken over from
	// the ResponseWriter. From Dial it is 101 if the server agreed, but not as RFC 6455
	// requires, and 0 if there was no HTTP answer: the connection was closed instead,
	// or speaks another protocol.
	Status int
	// Reason says in one line what was wrong. From Accept it says what to set, if a
	// setting of the server can change that, and was the text of the answer too, unless
	// Status is 500: such faults do not concern the client. From Dial it is the first
	// line of the answer, or what was invalid.
	Reason string
	// Header has the additional headers of Accept's answer, such as Retry-After. It may
	// be nil. From Dial it is nil: the response has the headers.
	Header http.Header

	// Proxy is the host:port of the HTTP proxy if the proxy has answered, or failed to
	// answer. It is empty if that is the server, and from Accept.
	Proxy string

	err error // what Unwrap returns; may be nil
}

func (e *HandshakeError) Error() string {
	if e.Status == 0 {
		return "websocket: no answer to the handshake: " + e.Reason
	}
	return fmt.Sprintf("websocket: handshake answered with %d %s: %s", e.Status, http.StatusText(e.Status), e.Reason)
}

// Unwrap returns the error behind Reason, such as [path.ErrBadPattern] or
// [http.ErrNotSupported], or nil.
func (e *HandshakeError) Unwrap() error { return e.err }

// refuse makes the error for a request that is not answered with 101.
func refuse(status int, format string, args ...any) *HandshakeError {
	return &HandshakeError{Status: status, Reason: fmt.Sprintf(format, args...)}
}

// upgradeRequired makes a 426 answer, which must name the protocol to upgrade
// to (RFC 9110, section 15.5.22).
func upgradeRequired(format string, args ...any) *HandshakeError {
	e := refuse(http.StatusUpgradeRequired, format, args...)
	e.Header = http.Header{"Upgrade": {"websocket"}}
	return e
}

// fault makes the error for a handshake that fails by a fault of the server.
func fault(err error) *HandshakeError {
	return &HandshakeError{
		Status: http.StatusInternalServerError,
		Reason: strings.TrimPrefix(err.Error(), "websocket: "),
		err:    err,
	}
}

// serverHandshake judges one opening handshake and writes the answer to it.
// It does no I/O: request and options in, the bytes of a response or a
// [*HandshakeError] out.
type serverHandshake struct {
	r         *http.Request
	opts      *AcceptOptions
	inherited http.Header // headers of the ResponseWriter for the response

	wanted   extension.Wanted
	key      string      // as the client sent it
	answer   string      // the accepted extensions, as the response has them, or ""
	admitted http.Header // headers of AcceptOptions.Admit for the response
	agreement
}

// agreement is what the two ends of a connection have agreed on in the handshake.
type agreement struct {
	subprotocol string // or ""
	extensions  extension.Agreed
}

// run takes the steps of RFC 6455, section 4.2, in its order, but for the version,
// which comes before the key, because the version defines the key. The first step
// that fails decides.
func (hs *serverHandshake) run() *HandshakeError {
	steps := [...]func(*serverHandshake) *HandshakeError{
		(*serverHandshake).checkOptions,
		(*serverHandshake).checkInherited,
		(*serverHandshake).checkExtendedConnect,
		(*serverHandshake).checkHTTPVersion,
		(*serverHandshake).checkMethod,
		(*serverHandshake).checkNoContent,
		(*serverHandshake).checkHost,
		(*serverHandshake).checkUpgrade,
		(*serverHandshake).checkConnection,
		(*serverHandshake).checkVersion,
		(*serverHandshake).checkKey,
		(*serverHandshake).checkOrigin,
		(*serverHandshake).chooseSubprotocol,
		(*serverHandshake).chooseExtensions,
		(*serverHandshake).admit,
	}
	for _, step := range steps {
		if err := step(hs); err != nil {
			return err
		}
	}
	return nil
}

// checkOptions comes first, so that a misconfigured server fails at once and for
// every client, not only for one that sends an Origin.
func (hs *serverHandshake) checkOptions() *HandshakeError {
	for _, pattern := range hs.opts.OriginPatterns {
		if err := checkOriginPattern(pattern); err != nil {
			return fault(err)
		}
	}
	if err := checkSubprotocols(hs.opts.Subprotocols); err != nil {
		return fault(err)
	}
	var err error
	if hs.wanted, err = hs.opts.wanted(); err != nil {
		return fault(err)
	}
	if err := checkResponseHeader(hs.opts.Header); err != nil {
		return fault(err)
	}
	return nil
}

// checkResponseHeader refuses headers of the user's that cannot be sent with a
// 101 response.
func checkResponseHeader(h http.Header) error {
	if err := checkHeader(h); err != nil {
		return err
	}
	for name := range h {
		if hopHeader(name) || contentHeader(name) {
			return fmt.Errorf("websocket: header %s cannot be sent with a 101 response", name)
		}
	}
	return nil
}

// checkInherited keeps those of the ResponseWriter's headers that make sense
// on a 101 response, which has no content. It copies the map, because net/http may
// yet need the original for a refusal.
func (hs *serverHandshake) checkInherited() *HandshakeError {
	hs.inherited = maps.Clone(hs.inherited)
	maps.DeleteFunc(hs.inherited, func(name string, _ []string) bool {
		return hopHeader(name) || contentHeader(name) || strings.EqualFold(name, "Date")
	})
	if err := checkHeader(hs.inherited); err != nil {
		return fault(fmt.Errorf("%w (it was set on the ResponseWriter)", err))
	}
	return nil
}

// checkHTTPVersion: "an HTTP/1.1 or higher GET request" (section 4.2.1), and
// of the higher ones only those that know the Upgrade header.
func (hs *serverHandshake) checkHTTPVersion() *HandshakeError {
	switch r := hs.r; {
	case !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusHTTPVersionNotSupported, "a WebSocket handshake needs HTTP/1.1, the request is HTTP/%d.%d (a proxy in between may have lowered the version, as nginx does without proxy_http_version 1.1)", r.ProtoMajor, r.ProtoMinor)
	case r.ProtoMajor > 1:
		return refuse(http.StatusHTTPVersionNotSupported, "WebSocket over HTTP/%d is not served here, connect with HTTP/1.1", r.ProtoMajor)
	}
	return nil
}

func (hs *serverHandshake) checkMethod() *HandshakeError {
	if hs.r.Method != http.MethodGet {
		e := refuse(http.StatusMethodNotAllowed, "a WebSocket handshake is a GET request, not %q", quote.Clip(hs.r.Method))
		e.Header = http.Header{"Allow": {"GET"}}
		return e
	}
	return nil
}

// checkNoContent: frames follow the head of a handshake. Content would be read as
// frames, and could hide a part that a proxy in between takes for the next request.
func (hs *serverHandshake) checkNoContent() *HandshakeError {
	if hs.r.ContentLength != 0 { // -1 if chunked
		return refuse(http.StatusBadRequest, "a WebSocket handshake has no content")
	}
	return nil
}

func (hs *serverHandshake) checkHost() *HandshakeError {
	if hs.r.Host == "" {
		return refuse(http.StatusBadRequest, "header Host is missing or empty")
	}
	return nil
}

func (hs *serverHandshake) checkUpgrade() *HandshakeError {
	switch h := hs.r.Header; {
	case len(h["Upgrade"]) == 0:
		return upgradeRequired("this is a WebSocket endpoint, and header Upgrade is missing (a proxy in between may have removed it)")
	case !fields.HasToken(h, "Upgrade", "websocket"):
		return refuse(http.StatusBadRequest, `header Upgrade does not list "websocket"`)
	}
	return nil
}

func (hs *serverHandshake) checkConnection() *HandshakeError {
	if !fields.HasToken(hs.r.Header, "Connection", "upgrade") {
		return refuse(http.StatusBadRequest, `header Connection does not list "Upgrade"`)
	}
	return nil
}

// checkVersion: a server answers a version that it does not speak with those
// that it does (section 4.4).
func (hs *serverHandshake) checkVersion() *HandshakeError {
	versions := hs.r.Header["Sec-Websocket-Version"]
	if len(versions) == 1 && versions[0] == "13" {
		return nil
	}
	e := upgradeRequired("header Sec-WebSocket-Version is %q, want 13", quote.Clip(strings.Join(versions, ", ")))
	e.Header.Set("Sec-WebSocket-Version", "13")
	return e
}

// checkKey: "a base64-encoded value that, when decoded, is 16 bytes in
// length". Bits beyond the 16 bytes are ignored: the key that section 4.1
// prints has some. The decoder skips line breaks; the length of the text rules
// them out.
func (hs *serverHandshake) checkKey() *HandshakeError {
	keys := hs.r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return refuse(http.StatusBadRequest, "header Sec-WebSocket-Key is there %d times, want once", len(keys))
	}
	hs.key = keys[0]
	nonce, err := base64.StdEncoding.DecodeString(hs.key)
	if err != nil || len(nonce) != 16 || len(hs.key) != 24 {
		return refuse(http.StatusBadRequest, "header Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// checkOrigin protects the server's users from other sites' pages, which connect
// with those users' cookies (section 10.2). Browsers always send an Origin. A
// client that sends none is no browser, and could have sent any.
func (hs *serverHandshake) checkOrigin() *HandshakeError {
	origins := hs.r.Header["Origin"]
	switch {
	case len(origins) == 0:
		return nil
	case len(origins) > 1: // a CheckOrigin that uses Header.Get would see but one
		return refuse(http.StatusForbidden, "header Origin is there %d times, want once", len(origins))
	case hs.opts.CheckOrigin != nil:
		if !hs.opts.CheckOrigin(hs.r) {
			return refuse(http.StatusForbidden, "origin %q is not allowed by AcceptOptions.CheckOrigin", quote.Clip(origins[0]))
		}
		return nil
	case slices.Contains(hs.opts.OriginPatterns, "*"):
		return nil
	}

	o, ok := parseOrigin(origins[0])
	switch {
	case !ok && originHasPath(origins[0]):
		return refuse(http.StatusForbidden, "origin %q has a path, and an origin ends with its host or port; the client must leave out what follows", quote.Clip(origins[0]))
	case !ok: // "null" is what sandboxed pages and local files send
		return refuse(http.StatusForbidden, "origin %q has no host to compare; set AcceptOptions.CheckOrigin to allow it", quote.Clip(origins[0]))
	}
	scheme := "http"
	if hs.r.TLS != nil {
		scheme = "https"
	}
	own := scheme + "://" + hs.r.Host
	if self, ok := parseOrigin(own); ok && o == self {
		return nil
	}
	for _, pattern := range hs.opts.OriginPatterns {
		if o.matches(pattern) {
			return nil
		}
	}
	return refuse(http.StatusForbidden, "origin %q is not the server's own, %q; add %q to AcceptOptions.OriginPatterns to allow it",
		quote.Clip(origins[0]), quote.Clip(own), quote.Clip(o.String()))
}

// chooseSubprotocol takes the server's first choice among the client's
// offers. Names are compared as they are: case matters.
func (hs *serverHandshake) chooseSubprotocol() *HandshakeError {
	best := len(hs.opts.Subprotocols)
	for offer := range fields.Items(hs.r.Header, "Sec-Websocket-Protocol") {
		if !fields.IsToken(offer) {
			return refuse(http.StatusBadRequest, "header Sec-WebSocket-Protocol offers %q, which is not a token", quote.Clip(offer))
		}
		if i := slices.Index(hs.opts.Subprotocols[:best], offer); i >= 0 {
			best, hs.subprotocol = i, offer
		}
	}
	return nil
}

// chooseExtensions accepts what is wanted. An offer that does not suit is skipped; a
// header that is no list of offers fails the handshake (section 9.1).
func (hs *serverHandshake) chooseExtensions() *HandshakeError {
	var err error
	hs.answer, hs.extensions, err = hs.wanted.Answer(hs.r.Header["Sec-Websocket-Extensions"])
	if err != nil {
		return refuse(http.StatusBadRequest, "%s", err)
	}
	return nil
}

// appendResponse appends the 101 response that the steps have led to.
func (hs *serverHandshake) appendResponse(dst []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAcceptKey(dst, hs.key)
	dst = append(dst, "\r\n"...)
	if hs.subprotocol != "" {
		dst = append(dst, "Sec-WebSocket-Protocol: "+hs.subprotocol+"\r\n"...)
	}
	if hs.answer != "" {
		dst = append(dst, "Sec-WebSocket-Extensions: "+hs.answer+"\r\n"...)
	}
	for _, h := range [...]http.Header{hs.inherited, hs.opts.Header, hs.admitted} {
		if len(h) == 0 { // Sorted would allocate
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(h)) {
			for _, value := range h[name] {
				dst = append(dst, name+": "+value+"\r\n"...)
			}
		}
	}
	return append(dst, "\r\n"...)
}
