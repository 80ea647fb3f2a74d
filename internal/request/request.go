// Package request parses the heads of HTTP/1.1 requests that ask for an upgrade.
//
// It accepts and refuses the same requests as the server of net/http, with the same
// status. [http.ReadRequest] is less strict than that server: it accepts a space
// before the colon, a Host with a path, and more that proxies read in another way.
// Such requests can be smuggled past a proxy (RFC 9112, section 11.2).
//
// A request that declares content is parsed like any other. The content is not
// read: an upgrade has none, so the caller refuses the request.
package request

import (
	"fmt"
	"net/http"
	"net/url"
)

// MaxHead is the largest head of a request, in bytes.
const MaxHead = 16 << 10

// Error says why a request is refused.
type Error struct {
	Status int    // of the answer
	Reason string // one line, without anything that the peer has sent
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Status, http.StatusText(e.Status), e.Reason)
}

// Parse parses the request at the beginning of b. It returns the request and the
// length of its head; the bytes after the head are content, or of another protocol.
// The length is 0 while the head is not complete. Complete lines are checked at
// once, so a request is refused as soon as no more bytes can make it valid. An
// error is an [*Error].
//
// The request is the one that a handler of net/http's server would get, except that
// the caller has to set RemoteAddr, TLS and the context, and that Body is
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

// maxHint bounds the number of headers for which memory is allocated before their
// names are known: all may have the same name.
const maxHint = 512

// parts is a request and its URL, as one allocation.
type parts struct {
	request http.Request
	url     url.URL
}

// A Scanner finds the end of a head that comes in pieces. It scans each line once,
// however many pieces there are. The zero value is ready for use.
type Scanner struct{ at position }

// Scan returns the length of the head at the beginning of b, 0 while the head is
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
