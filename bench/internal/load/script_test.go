//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestJSONMessages(t *testing.T) {
	messages := jsonMessages(1024, ring)
	seen := make(map[string]bool)
	for i, m := range messages {
		if len(m) != 1024 || !json.Valid(m) || seen[string(m)] {
			t.Fatalf("message %d: %d bytes, valid %v, seen before %v: %s", i, len(m), json.Valid(m), seen[string(m)], m)
		}
		seen[string(m)] = true
	}
}

// payload unmasks a frame of the script.
func payload(t *testing.T, frame []byte) []byte {
	h, n, err := websocket.ParseHeader(frame)
	if err != nil || int(h.Length) != len(frame)-n || h.RSV != websocket.RSV1 {
		t.Fatalf("%+v, %v", h, err)
	}
	b := bytes.Clone(frame[n:])
	websocket.Mask(b, h.Key, 0)
	return b
}

// Whoever keeps no more than the window of what came before can read every
// message, in the second round of the ring too.
func TestDeflateScript(t *testing.T) {
	var last int
	for _, window := range []int{0, 1 << 11, 1 << 12, 1 << 15} {
		s, err := deflateScript(1024, window)
		if err != nil {
			t.Fatal(err)
		}
		var history []byte
		total := 0
		for n := range 2*ring + 3 {
			data := payload(t, s.batches[n%ring])
			total += len(data)
			want := s.messages[n%ring]
			got, err := inflate(data, history, len(want))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("window %d, message %d: %d bytes, %v", window, n, len(got), err)
			}
			if window > 0 {
				history = append(history, want...)
				history = history[max(0, len(history)-(window-len(want))):]
			}
			if have := s.before(n + 1); window == 1<<15 && !bytes.HasSuffix(have, history) {
				t.Fatalf("before(%d) is not what was sent", n+1)
			}
		}
		if last > 0 && total >= last {
			t.Errorf("window %d: %d bytes, with the smaller one %d", window, total, last)
		}
		last = total
	}
}

func TestClientWindow(t *testing.T) {
	for answer, want := range map[string]int{
		"permessage-deflate":                                                      32 << 10,
		"permessage-deflate; server_max_window_bits=9":                            32 << 10,
		"permessage-deflate; client_max_window_bits=12":                           4 << 10,
		`permessage-deflate;client_max_window_bits="10"`:                          1 << 10,
		"permessage-deflate; client_no_context_takeover":                          0,
		"permessage-deflate; client_max_window_bits=16":                           -1,
		"permessage-deflate; client_max_window_bits":                              -1,
		"permessage-deflate;server_no_context_takeover;client_max_window_bits=15": 32 << 10,
	} {
		got, err := clientWindow(answer)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%s: %d, %v, want %d", answer, got, err, want)
		}
	}
}
