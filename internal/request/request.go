// Package request parses the heads of HTTP/1.1 requests that ask for an upgrade.
//
// It accepts what the server of net/http accepts and refuses what that refuses,
// with the same status. [http.ReadRequest] is less than that server: it lets
// pass a space before the colon, a Host with a path, and more that proxies read
// in another way, which is how requests are smuggled past them (RFC 9112,
// section 11.2).
//
// A request whose content is declared is parsed like any other. Its content is
// not read: an upgrade has none, so the caller refuses it.
package request

import (
	"fmt"
	"net/http"
	"net/url"
)

// MaxHead is the largest head of a request, in bytes.
const MaxHead = 16 << 10

// Error tells why a request is refused.
type Error struct {
	Status int    // of the answer
	Reason string // one line, without anything that the peer has sent
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Reason)
}

// Parse parses the request that b starts with. It returns the request and the
// length of its head; what follows in b is content, or of another protocol.
// The length is 0 as long as the head is not complete. Lines that are complete
// are judged at once, so a request that will be refused whatever comes is
// refused as soon as that is known. An error is an [*Error].
//
// The request is what a handler of net/http's server would get, except that
// RemoteAddr, TLS and the context are the caller's to set, and that Body is
// [http.NoBody] even if content is declared. It shares no memory with b.
func Parse(b []byte) (r *http.Request, n int, err error) {
	var h head
	n, e := h.scan(b)
	if e != nil {
		return nil, 0, e
	}
	if n == 0 {
		return nil, 0, nil
	}
	p := new(parts)
	if e := h.build(string(b[:n]), p, make(http.Header, min(h.count, maxHint))); e != nil {
		return nil, 0, e
	}
	return &p.request, n, nil
}

// maxHint bounds for how many headers memory is taken at a time, before their
// names are known: they may all have the same one.
const maxHint = 512

// parts is a request and its URL, as one allocation.
type parts struct {
	request http.Request
	url     url.URL
}

// A Scanner finds the end of a head that comes in pieces. It goes over each
// line once, however many pieces there are. The zero value is ready for use.
type Scanner struct{ at position }

// Scan returns the length of the head that b starts with, 0 as long as it is
// not complete. Each b starts with the one before. Scan returns the errors that
// [Parse] returns for a head that is not complete.
func (s *Scanner) Scan(b []byte) (n int, err error) {
	h := head{position: s.at, endOnly: true}
	n, e := h.scan(b)
	s.at = h.position
	if e != nil {
		return 0, e
	}
	return n, nil
}
