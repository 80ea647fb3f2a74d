package websocket

import (
	"net/http"
	"slices"

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
