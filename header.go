package websocket

import (
	"fmt"
	"iter"
	"net/http"
	"net/textproto"
	"strings"
	"unicode"
)

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
		if sameToken(item, token) {
			return true
		}
	}
	return false
}

// sameToken compares without regard to the case of ASCII letters. Equal lengths
// keep EqualFold to those: the letters beyond ASCII that fold to it, such as
// the Kelvin sign, take more bytes.
func sameToken(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// validToken reports whether s is a token of RFC 9110, section 5.6.2.
func validToken(s string) bool { return s != "" && tokenLen(s) == len(s) }

// tokenLen returns the length of the token that s begins with.
func tokenLen(s string) int {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return i
		}
	}
	return len(s)
}

// checkHeader refuses a header of the user's that would break the handshake:
// one that could inject a line, or that belongs to the handshake itself.
func checkHeader(h http.Header) error {
	for name, values := range h {
		if !validToken(name) {
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
		if !validToken(name) {
			return fmt.Errorf("websocket: subprotocol %q is not a token", name)
		}
	}
	return nil
}

// hopHeader reports whether a header is about this one hop or the handshake,
// neither of which is for others to set on a 101 response.
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

// clip bounds how much of a peer's text an answer or a log repeats.
func clip(s string) string {
	const limit = 200
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// printable makes a peer's text fit for an error: short, and without
// characters that would do something to a terminal or a log.
func printable(s string) string {
	const limit = 200
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
}
