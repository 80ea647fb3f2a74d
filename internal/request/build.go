package request

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// build makes the request with the head s, in p. header is empty, and becomes the
// request's. The steps are those of net/http's server, in its order: the first
// that fails decides the status.
func (h *head) build(s string, p *parts, header http.Header) *Error {
	r := &p.request
	r.Method = method(s[:h.method])
	r.RequestURI = s[h.method+1 : h.target]
	r.Proto = s[h.target+1 : h.target+1+len("HTTP/1.1")]
	r.ProtoMajor, r.ProtoMinor = h.major, h.minor
	r.Body = http.NoBody
	if r.URL = h.url; r.URL == nil {
		r.URL = &p.url
		r.URL.Path = r.RequestURI
		if h.query > 0 {
			r.URL.Path = s[h.method+1 : h.query-1]
			r.URL.RawQuery = s[h.query:h.target]
		}
	}

	r.Header = header
	var f fieldSummary
	h.addFields(s, header, &f)
	if f.hosts > 1 {
		return errHosts
	}
	if r.Host = r.URL.Host; r.Host == "" {
		r.Host = f.host
	}
	if f.has(idPragma) && !f.has(idCacheControl) && r.Header["Pragma"][0] == "no-cache" {
		r.Header["Cache-Control"] = []string{"no-cache"}
	}
	r.Close = wantsClose(r, &f)
	if err := setLength(r, &f); err != nil {
		return err
	}
	preface := r.Method == "PRI" && len(r.Header) == 0 && f.hosts == 0 && r.URL.Path == "*" && r.Proto == "HTTP/2.0"
	if preface { // of HTTP/2; its rest has no declared length
		r.ContentLength, r.Close = -1, true
	}
	if r.ProtoMajor != 1 && !(r.Proto == "HTTP/2.0" && r.Method == "PRI" && r.RequestURI == "*") {
		return errUnsupported
	}
	switch {
	case f.hosts == 0 && r.ProtoAtLeast(1, 1) && !preface && r.Method != http.MethodConnect:
		return errNoHost
	case f.hosts == 1 && !validHost(f.host):
		return errHost
	case f.spaceInName:
		return errSpaceInName
	}
	if f.has(idExpect) {
		if v := r.Header["Expect"][0]; v != "" && !expectsContinue(v) {
			return errExpect
		}
	}
	return nil
}

// method returns s. For the common methods it shares no memory with the head.
func method(s string) string {
	if s == http.MethodGet {
		return http.MethodGet
	}
	return s
}

// fieldSummary records the fields that addFields has seen.
type fieldSummary struct {
	ids         uint64 // a bit for each of the common headers
	hosts       int
	host        string // the first
	spaceInName bool
}

func (f *fieldSummary) has(id uint8) bool { return f.ids&(1<<id) != 0 }

// addFields adds the fields to header, except for Host, which net/http's server
// takes out. Values of different names are parts of one array.
func (h *head) addFields(s string, header http.Header, f *fieldSummary) {
	var values []string
	for i := range h.count {
		where := h.field(i)
		value := where.value(s)
		var key string
		var again bool
		switch id := where.id; id {
		case idHost:
			if f.hosts++; f.hosts == 1 {
				f.host = value
			}
			continue
		case unknown:
			name := s[where.start:where.colon]
			if strings.IndexByte(name, ' ') >= 0 {
				f.spaceInName = true
				continue // the request is refused
			}
			key = textproto.CanonicalMIMEHeaderKey(name) // name itself if it is that
			_, again = header[key]
		default:
			key, again = keys[id], f.has(id)
			f.ids |= 1 << id
		}
		if again {
			header[key] = append(header[key], value)
			continue
		}
		if len(values) == 0 {
			values = make([]string, min(h.count-i, maxHint))
		}
		values[0] = value
		header[key] = values[:1:1]
		values = values[1:]
	}
}

// value returns the value of a field of the head s, without the white space
// around it. Lines that continue it are appended with a space each.
func (f *field) value(s string) string {
	v := s[f.colon+1 : f.end]
	if !f.folded {
		return trim(v)
	}
	var b strings.Builder
	for i := 0; ; i++ {
		line, rest, more := strings.Cut(v, "\n")
		if more {
			line = strings.TrimSuffix(line, "\r")
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(trim(line))
		if !more {
			break
		}
		v = rest
	}
	return strings.TrimLeft(b.String(), " \t")
}

// trim returns s without spaces and tabs around it.
func trim(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// wantsClose reports whether the connection ends with the answer (RFC 9112, section
// 9.3). It does not matter for version 0, which is refused later.
func wantsClose(r *http.Request, f *fieldSummary) bool {
	old := r.ProtoMajor == 1 && r.ProtoMinor == 0
	if !f.has(idConnection) {
		return old
	}
	v := r.Header["Connection"]
	return hasToken(v, "close") || old && !hasToken(v, "keep-alive")
}

// hasToken reports whether token is in the values of a header, which are lists, in any
// case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for more := true; more; {
			var item string
			item, v, more = strings.Cut(v, ",")
			if equalFold(trim(item), token) {
				return true
			}
		}
	}
	return false
}

// equalFold reports whether s is token, which is in lower case, in any case of
// ASCII.
func equalFold(s, token string) bool {
	if len(s) != len(token) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != token[i] {
			return false
		}
	}
	return true
}

// setLength checks the fields that say where the content ends (RFC 9112, section 6). A
// request is smuggled when two programs read them differently, so setLength refuses
// everything that is not plain.
func setLength(r *http.Request, f *fieldSummary) *Error {
	if f.ids&(1<<idTransferEncoding|1<<idContentLength|1<<idTrailer) == 0 {
		return nil
	}
	chunked := false
	if raw, ok := r.Header["Transfer-Encoding"]; ok {
		delete(r.Header, "Transfer-Encoding")
		// HTTP/1.0 does not have it. Version 0.0 counts as 1.1, as in net/http, and
		// is refused later.
		if r.ProtoAtLeast(1, 1) || r.ProtoMajor == 0 && r.ProtoMinor == 0 {
			if len(raw) != 1 || !equalFold(raw[0], "chunked") {
				return errTransfer
			}
			chunked = true
		}
	}
	if lengths, ok := r.Header["Content-Length"]; ok {
		n, err := contentLength(lengths)
		if err != nil {
			return err
		}
		if len(lengths) > 1 {
			r.Header["Content-Length"] = []string{textproto.TrimString(lengths[0])}
		}
		r.ContentLength = n
	}
	if chunked {
		delete(r.Header, "Content-Length")
		r.ContentLength, r.TransferEncoding = -1, []string{"chunked"}
		return setTrailer(r)
	}
	return nil
}

// contentLength returns the length that the values of Content-Length agree on.
func contentLength(values []string) (int64, *Error) {
	first := textproto.TrimString(values[0])
	for _, v := range values[1:] {
		if textproto.TrimString(v) != first {
			return 0, errContentLength
		}
	}
	n, err := strconv.ParseUint(first, 10, 63)
	if err != nil {
		return 0, errContentLength
	}
	return int64(n), nil
}

// setTrailer moves the names in header Trailer to r.Trailer.
func setTrailer(r *http.Request) *Error {
	values := r.Header["Trailer"]
	delete(r.Header, "Trailer")
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			item = textproto.TrimString(item)
			if item == "" {
				continue
			}
			key := textproto.CanonicalMIMEHeaderKey(item)
			switch key {
			case "Transfer-Encoding", "Trailer", "Content-Length":
				return errTrailer
			}
			if r.Trailer == nil {
				r.Trailer = make(http.Header)
			}
			r.Trailer[key] = nil
		}
	}
	return nil
}

// expectsContinue reports whether the value of Expect has 100-continue between
// spaces, tabs or commas.
func expectsContinue(v string) bool {
	for item := range strings.FieldsFuncSeq(v, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' }) {
		if equalFold(item, "100-continue") {
			return true
		}
	}
	return false
}
