package websocket

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/fullduplex-go/websocket/internal/fields"
)

// checkHeader refuses a header of the user's that would break the handshake:
// one that could inject a line, or that belongs to the handshake itself.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if !fields.IsToken(name) {
			return fmt.Errorf("websocket: %q is not a header name", name)
		}
		switch k := textproto.CanonicalMIMEHeaderKey(name); {
		case k == "Sec-Websocket-Protocol":
			return fmt.Errorf("websocket: header %s belongs to the handshake and cannot be set; use the option Subprotocols", name)
		case k == "Sec-Websocket-Extensions":
			return fmt.Errorf("websocket: header %s belongs to the handshake and cannot be set; use the option Compression", name)
		case k == "Connection", k == "Upgrade", strings.HasPrefix(k, "Sec-Websocket-"):
			return fmt.Errorf("websocket: header %s belongs to the handshake and cannot be set", name)
		}
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				return fmt.Errorf("websocket: value of header %s holds CR, LF or NUL", name)
			}
		}
	}
	return nil
}

// checkSubprotocols refuses names that cannot be sent.
func checkSubprotocols(names []string) error {
	for _, name := range names {
		if !fields.IsToken(name) {
			return fmt.Errorf("websocket: subprotocol %q is not a token", name)
		}
	}
	return nil
}

// hopHeader reports whether a header belongs to this hop or to the handshake. Only
// the handshake sets such headers on a 101 response.
func hopHeader(name string) bool {
	switch k := textproto.CanonicalMIMEHeaderKey(name); k {
	case "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Content-Length":
		return true
	default:
		return strings.HasPrefix(k, "Sec-Websocket-") || strings.HasPrefix(k, http.TrailerPrefix)
	}
}

// contentHeader reports whether a header is about the content of a response (RFC
// 9110, sections 8 and 14): a 101 response has none.
func contentHeader(name string) bool {
	switch k := textproto.CanonicalMIMEHeaderKey(name); k {
	case "Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Content-Disposition",
		"Content-Range", "Accept-Ranges", "Etag", "Last-Modified":
		return true
	default:
		return false
	}
}
