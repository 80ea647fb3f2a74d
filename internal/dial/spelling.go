package dial

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
)

// spelling maps the canonical name of a header to the name that is sent. Until a
// request is sent all names are canonical, so that CheckRedirect, a Jar and
// net/http find them. The case of a header's name must not matter, but to some
// servers it does.
type spelling map[string]string

// newSpelling spells the headers of the handshake as RFC 6455 does, and the user's
// headers as given. A name that was given in two spellings is sent in one.
func newSpelling(given http.Header) spelling {
	s := make(spelling)
	for _, name := range [...]string{"Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		s[textproto.CanonicalMIMEHeaderKey(name)] = name
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		_, taken := s[canonical]
		_, plain := given[canonical]
		if !taken && !plain && !writtenByTransport(canonical) {
			s[canonical] = name
		}
	}
	return s
}

// writtenByTransport reports whether an [http.Transport] writes this header
// itself. The Transport finds a value by the canonical name only.
func writtenByTransport(canonical string) bool {
	switch canonical {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// apply returns a copy of h, which shares the values.
func (s spelling) apply(h http.Header) http.Header {
	h = maps.Clone(h)
	for canonical, name := range s {
		if values := h[canonical]; values != nil && canonical != name {
			delete(h, canonical)
			h[name] = slices.Concat(h[name], values)
		}
	}
	return h
}
