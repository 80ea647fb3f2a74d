package hub

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fullduplex-go/websocket"
)

// hubID tells hubs apart. It is random.
type hubID [16]byte

// envelope is a message on its way between hubs. Encoded, it is
//
//	1 byte    version, 1
//	16 bytes  the hub that published it
//	1 byte    its type: 1 text, 2 binary
//	varint    length of the key, as by encoding/binary, in as few bytes as possible
//	          the key
//	          the content, up to the end
type envelope struct {
	hub     hubID
	typ     websocket.MessageType
	key     string
	payload []byte
}

const (
	envelopeVersion = 1
	envelopeStart   = 1 + len(hubID{}) + 1 // size of the fields before the key
)

func appendEnvelope(b []byte, e *envelope) []byte {
	if b == nil {
		b = make([]byte, 0, envelopeStart+binary.MaxVarintLen64+len(e.key)+len(e.payload))
	}
	b = append(b, envelopeVersion)
	b = append(b, e.hub[:]...)
	b = append(b, byte(e.typ))
	b = binary.AppendUvarint(b, uint64(len(e.key)))
	b = append(b, e.key...)
	return append(b, e.payload...)
}

// parseEnvelope parses b. The payload is part of b.
func parseEnvelope(b []byte) (e envelope, err error) {
	if len(b) == 0 {
		return e, errors.New("empty")
	}
	if b[0] != envelopeVersion {
		return e, fmt.Errorf("version %d, not %d", b[0], envelopeVersion)
	}
	if len(b) < envelopeStart {
		return e, fmt.Errorf("cut off after %d bytes", len(b))
	}
	copy(e.hub[:], b[1:])
	e.typ = websocket.MessageType(b[envelopeStart-1])
	if e.typ != websocket.Text && e.typ != websocket.Binary {
		return e, fmt.Errorf("type %d", uint8(e.typ))
	}
	b = b[envelopeStart:]
	size, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return e, errors.New("invalid length of the key")
	}
	if b = b[n:]; size > uint64(len(b)) {
		return e, fmt.Errorf("key of %d bytes, but only %d are left", size, len(b))
	}
	e.key, e.payload = string(b[:size]), b[size:]
	return e, nil
}
