package hub

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestEnvelope(t *testing.T) {
	id := hubID{0: 1, 15: 2}
	for _, e := range []envelope{
		{id, websocket.Text, "", nil},
		{id, websocket.Binary, "key", []byte("content")},
		{hubID{}, websocket.Text, strings.Repeat("k", 300), bytes.Repeat([]byte("p"), 100_000)},
	} {
		b := appendEnvelope(nil, &e)
		got, err := parseEnvelope(b)
		if err != nil || got.hub != e.hub || got.typ != e.typ || got.key != e.key || !bytes.Equal(got.payload, e.payload) {
			t.Errorf("%+v became %+v, %v", e, got, err)
		}
	}
	whole := appendEnvelope(nil, &envelope{id, websocket.Text, "key", []byte("x")})
	check(t, "encoded", whole, []byte("\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x03keyx"))
	for n := range whole[:len(whole)-1] {
		if _, err := parseEnvelope(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were taken for all", n, len(whole))
		}
	}
}

func TestInvalidEnvelopes(t *testing.T) {
	for name, b := range map[string]string{
		"empty":                   "",
		"another version":         "\x02" + strings.Repeat("\x00", 16) + "\x01\x00",
		"no type":                 "\x01" + strings.Repeat("\x00", 16),
		"type close":              "\x01" + strings.Repeat("\x00", 16) + "\x08\x00",
		"no length":               "\x01" + strings.Repeat("\x00", 16) + "\x01",
		"half a length":           "\x01" + strings.Repeat("\x00", 16) + "\x01\x80",
		"length in too many":      "\x01" + strings.Repeat("\x00", 16) + "\x01\x81\x00k",
		"length that overflows":   "\x01" + strings.Repeat("\x00", 16) + "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02k",
		"length beyond an int":    "\x01" + strings.Repeat("\x00", 16) + "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01k",
		"key longer than message": "\x01" + strings.Repeat("\x00", 16) + "\x01\x03ab",
	} {
		if e, err := parseEnvelope([]byte(b)); err == nil {
			t.Errorf("%s: parsed as %+v", name, e)
		}
	}
}

// A parsed envelope is encoded as the same bytes.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendEnvelope(nil, &envelope{typ: websocket.Text, payload: []byte("hello")}))
	f.Add(appendEnvelope(nil, &envelope{typ: websocket.Binary, key: strings.Repeat("k", 200), payload: []byte{0, 255}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseEnvelope(b)
		if err != nil {
			return
		}
		if again := appendEnvelope(nil, &e); !bytes.Equal(again, b) {
			t.Errorf("%x\nbecame %x", b, again)
		}
	})
}
