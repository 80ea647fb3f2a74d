package contract

import (
	"bytes"
	"errors"
	"net/textproto"

	"github.com/fullduplex-go/websocket"
)

// MaxRequest is the largest handshake request, in bytes, that a floor takes.
const MaxRequest = 4 << 10

var errRequest = errors.New("not a WebSocket handshake")

// Answer is a minimal handshake of a server, for the floors. It returns the path of
// the request in b and the response, or no response while the request is incomplete.
// A client must not send more before it has the response; otherwise it is refused.
func Answer(b []byte) (path string, response []byte, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(b) < MaxRequest:
		return "", nil, nil
	case end < 0 || end+4 != len(b):
		return "", nil, errRequest
	}
	request, headers, _ := bytes.Cut(b[:end], []byte("\r\n"))
	method, rest, _ := bytes.Cut(request, []byte(" "))
	target, _, found := bytes.Cut(rest, []byte(" "))
	if !found || string(method) != "GET" {
		return "", nil, errRequest
	}
	for line := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Sec-WebSocket-Key")) {
			key := string(textproto.TrimBytes(value))
			return string(target), []byte("HTTP/1.1 101 Switching Protocols\r\n" +
				"Upgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: " + websocket.AcceptKey(key) + "\r\n\r\n"), nil
		}
	}
	return "", nil, errRequest
}
