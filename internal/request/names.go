package request

import "net/textproto"

// name is a header that is common in requests.
type name struct {
	key string // in canonical form
	id  uint8  // one of those below, or a number of its own
}

// These are the headers that have a meaning for the request itself.
const (
	idHost = iota
	idConnection
	idTransferEncoding
	idContentLength
	idTrailer
	idPragma
	idCacheControl
	idExpect
	numIDs
)

// keys are the common headers, those with an id first. There are at most 64.
var keys = [...]string{
	idHost:             "Host",
	idConnection:       "Connection",
	idTransferEncoding: "Transfer-Encoding",
	idContentLength:    "Content-Length",
	idTrailer:          "Trailer",
	idPragma:           "Pragma",
	idCacheControl:     "Cache-Control",
	idExpect:           "Expect",
	numIDs:             "Upgrade",
	"Origin", "Sec-Websocket-Version", "Sec-Websocket-Key", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol",
	"User-Agent", "Cookie", "Authorization", "Accept", "Accept-Encoding", "Accept-Language", "Referer", "Dnt",
	"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Gpc", "Priority", "Date", "From", "Te", "Via",
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server", "X-Real-Ip",
	"X-Request-Id", "X-Scheme", "Forwarded", "Traceparent", "Tracestate", "Content-Type",
}

const (
	maxName = 24
	_       = uint(64 - len(keys)) // ids are bits of a word
)

// common holds the common headers by their length.
var common = func() (t [maxName + 1][]name) {
	for id, key := range keys {
		t[len(key)] = append(t[len(key)], name{key, uint8(id)})
	}
	return t
}()

// lookup returns the common header whose name is s in any case, or nil.
func lookup(s string) *name {
	if len(s) > maxName {
		return nil
	}
	candidates := common[len(s)]
next:
	for i := range candidates {
		key := candidates[i].key
		if s == key {
			return &candidates[i]
		}
		for j := range len(key) {
			if lower(s[j]) != lower(key[j]) {
				continue next
			}
		}
		return &candidates[i]
	}
	return nil
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// canonical returns the form of a header's name in which it is a key. It makes
// a copy only if that differs.
func canonical(s string) string { return textproto.CanonicalMIMEHeaderKey(s) }
