package request

import "strings"

// These headers have a meaning for the request itself.
const (
	idHost = iota
	idConnection
	idTransferEncoding
	idContentLength
	idTrailer
	idPragma
	idCacheControl
	idExpect
	numIDs // the first number of the others
)

// keys are the common headers in canonical form, those above first.
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
	unknown = 64                        // the number of a header that is not common
	_       = uint(unknown - len(keys)) // numbers are bits of a word
)

// spelling is one way to write a common header.
type spelling struct {
	text string
	id   uint8
}

// common holds the common headers by their length, each in its usual spelling.
var common = func() (t [maxName + 1][]spelling) {
	for id, key := range keys {
		text := strings.Replace(key, "Sec-Websocket-", "Sec-WebSocket-", 1) // as RFC 6455 has it
		t[len(key)] = append(t[len(key)], spelling{text, uint8(id)})
	}
	return t
}()

// lookup returns the number of the header with this name, in any case.
func lookup(name []byte) uint8 {
	if len(name) > maxName {
		return unknown
	}
	candidates := common[len(name)]
	for i := range candidates {
		if string(name) == candidates[i].text {
			return candidates[i].id
		}
	}
next:
	for i := range candidates {
		for j, c := range name {
			if lower(c) != lower(candidates[i].text[j]) {
				continue next
			}
		}
		return candidates[i].id
	}
	return unknown
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
