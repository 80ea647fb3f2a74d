package websocket

import (
	"net/http"
	"slices"
	"strings"

	"github.com/fullduplex-go/websocket/internal/fields"
)

// IsUpgrade reports whether r asks for a WebSocket connection (RFC 6455, section
// 4.2.1), so that one path can serve pages and connections. [Accept] judges
// whether the handshake is right.
func IsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && fields.HasToken(r.Header, "Connection", "upgrade") && fields.HasToken(r.Header, "Upgrade", "websocket")
}

// Subprotocols returns the subprotocols that r offers, the preferred one first
// (RFC 6455, section 4.2.1), nil if there are none. [AcceptOptions.Subprotocols]
// chooses among them.
func Subprotocols(r *http.Request) []string {
	return slices.Collect(fields.Items(r.Header, "Sec-Websocket-Protocol"))
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
