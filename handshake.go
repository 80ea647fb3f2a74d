package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"strings"
)

// keyGUID is what RFC 6455, section 1.3, has the server hash with the key.
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// AcceptKey returns the Sec-WebSocket-Accept value that answers the given
// Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + keyGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// listItems yields the elements of a comma-separated header that may have
// been sent in several lines. Empty elements do not count (RFC 9110, 5.6.1).
func listItems(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[textproto.CanonicalMIMEHeaderKey(name)] {
			for item := range strings.SplitSeq(line, ",") {
				if item = strings.Trim(item, " \t"); item != "" && !yield(item) {
					return
				}
			}
		}
	}
}

// hasToken reports whether the list header holds token, in any case.
func hasToken(h http.Header, name, token string) bool {
	for item := range listItems(h, name) {
		if strings.EqualFold(item, token) {
			return true
		}
	}
	return false
}

// validToken reports whether s is a token of RFC 9110, section 5.6.2.
func validToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// checkHeader refuses a header of the user's that would break the handshake:
// one that could inject a line, or that belongs to the handshake itself.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if !validToken(name) {
			return fmt.Errorf("websocket: %q is not a header name", name)
		}
		switch k := textproto.CanonicalMIMEHeaderKey(name); {
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
		if !validToken(name) {
			return fmt.Errorf("websocket: subprotocol %q is not a token", name)
		}
	}
	return nil
}
