package request

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// head is a request's head, divided into its parts. Offsets are relative to the
// head; MaxHead keeps them to 16 bits.
type head struct {
	position
	endOnly bool // only the length is wanted, and the fields are not

	method, target int // where they end
	major, minor   int // of the version
	url            *url.URL
	query          int // where the query of a plain target begins, or 0

	// The fields are in room, and those that do not fit in more. room is no slice,
	// so that a head stays on the stack of its caller.
	count    int
	inline   [32]field
	overflow []field
}

// addField adds f. At most as many fields follow as there are lines in rest.
func (h *head) addField(f field, rest []byte) {
	if h.count < len(h.inline) {
		h.inline[h.count] = f
	} else {
		if h.overflow == nil {
			h.overflow = make([]field, 0, 1+bytes.Count(rest, []byte("\n")))
		}
		h.overflow = append(h.overflow, f)
	}
	h.count++
}

// field returns the field number i.
func (h *head) field(i int) *field {
	if i < len(h.inline) {
		return &h.inline[i]
	}
	return &h.overflow[i-len(h.inline)]
}

// position records how far the lines have been checked.
type position struct {
	next    int // beginning of the first unchecked line
	first   int // beginning of the first field line; 0 if not known yet
	scanned int // how many bytes from next on are known to hold no line feed
}

// field is a header field: its line, and the lines that continue it.
type field struct {
	start, colon, end uint16 // without the line's end
	id                uint8  // the number of its name, or unknown
	folded            bool   // there is more than one line
}

var (
	errTooLarge      = &Error{http.StatusRequestHeaderFieldsTooLarge, "the head of the request has more than 16384 bytes"}
	errRequestLine   = malformed("the request line is malformed")
	errMethod        = malformed("the method is not a token")
	errVersion       = malformed("the HTTP version is malformed")
	errTarget        = malformed("the request target is malformed")
	errInitialSpace  = malformed("the first header line begins with white space")
	errNoColon       = malformed("a header line has no colon")
	errFieldName     = malformed("the name of a header is malformed")
	errFieldValue    = malformed("the value of a header holds a control character")
	errSpaceInName   = malformed("the name of a header holds a space")
	errHosts         = malformed("header Host is there more than once")
	errNoHost        = malformed("header Host is missing")
	errHost          = malformed("header Host is malformed")
	errContentLength = malformed("header Content-Length is malformed")
	errTrailer       = malformed("header Trailer names a header that cannot be one")
	errTransfer      = &Error{http.StatusNotImplemented, "unsupported transfer encoding"}
	errUnsupported   = &Error{http.StatusHTTPVersionNotSupported, "unsupported HTTP version"}
	errExpect        = &Error{http.StatusExpectationFailed, "unsupported expectation"}
)

func malformed(reason string) *Error { return &Error{http.StatusBadRequest, reason} }

// scan checks the lines of b, from h.position to the end of the head, and returns
// the length of the head; 0 if it is not complete. A line ends with LF, or with CR
// LF (RFC 9112, section 2.2).
func (h *head) scan(b []byte) (int, *Error) {
	full := len(b) >= MaxHead
	if full {
		b = b[:MaxHead]
	}
	for {
		start := h.next
		i := bytes.IndexByte(b[start+h.scanned:], '\n')
		if i < 0 {
			h.scanned = len(b) - start
			break
		}
		end := start + h.scanned + i
		h.next, h.scanned = end+1, 0
		if end > start && b[end-1] == '\r' {
			end--
		}
		if h.first == 0 {
			if err := h.requestLine(b[:end]); err != nil {
				return 0, err
			}
			h.first = h.next
			continue
		}
		if end == start {
			return h.next, nil
		}
		if err := h.fieldLine(b, start, end); err != nil {
			return 0, err
		}
	}
	if full {
		return 0, errTooLarge
	}
	return 0, nil
}

// requestLine checks the method, the target and the version (RFC 9112,
// section 3). They are separated by one space each.
func (h *head) requestLine(line []byte) *Error {
	h.method = bytes.IndexByte(line, ' ')
	if h.method < 0 {
		return errRequestLine
	}
	i := bytes.IndexByte(line[h.method+1:], ' ')
	if i < 0 {
		return errRequestLine
	}
	h.target = h.method + 1 + i
	if !isToken(line[:h.method]) {
		return errMethod
	}
	v := line[h.target+1:]
	if len(v) != len("HTTP/1.1") || string(v[:5]) != "HTTP/" || !isDigit(v[5]) || v[6] != '.' || !isDigit(v[7]) {
		return errVersion
	}
	h.major, h.minor = int(v[5]-'0'), int(v[7]-'0')
	target := line[h.method+1 : h.target]
	var ok bool
	if h.query, ok = plainTarget(target); !ok {
		var err error
		if h.url, err = parseTarget(string(line[:h.method]), string(target)); err != nil {
			return errTarget
		}
	} else if h.query > 0 {
		h.query += h.method + 1
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// plainTarget reports whether target is a path, without characters that are or
// should be escaped, and maybe a query. The query, unless it is empty, begins after
// the question mark at target[query-1].
func plainTarget(target []byte) (query int, ok bool) {
	if len(target) == 0 || target[0] != '/' {
		return 0, false
	}
	for i, c := range target {
		if c == '?' && i+1 < len(target) {
			return i + 1, !hasControl(target[i:], false)
		}
		if class[c]&inPath == 0 {
			return 0, false
		}
	}
	return 0, true
}

// parseTarget parses a target in any other form.
func parseTarget(method, target string) (*url.URL, error) {
	// The target of CONNECT is an authority. That of net/rpc's CONNECT is a path.
	if method == http.MethodConnect && !strings.HasPrefix(target, "/") {
		u, err := url.ParseRequestURI("http://" + target)
		if err == nil {
			u.Scheme = ""
		}
		return u, err
	}
	return url.ParseRequestURI(target)
}

// fieldLine checks the line b[start:end], which is not empty: a header field, or
// a continuation of the previous field's value (RFC 9112, sections 5.1 and 5.2).
func (h *head) fieldLine(b []byte, start, end int) *Error {
	line := b[start:end]
	if line[0] == ' ' || line[0] == '\t' {
		if start == h.first {
			return errInitialSpace
		}
		if hasControl(line, true) {
			return errFieldValue
		}
		if !h.endOnly {
			f := h.field(h.count - 1)
			f.end, f.folded = uint16(end), true
		}
		return nil
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return errNoColon
	}
	id := lookup(line[:colon])
	switch {
	case id == unknown && (colon == 0 || !nameOrSpaces(line[:colon])):
		return errFieldName
	case hasControl(line[colon+1:], true):
		return errFieldValue
	}
	if !h.endOnly {
		h.addField(field{start: uint16(start), colon: uint16(start + colon), end: uint16(end), id: id}, b[h.next:])
	}
	return nil
}
