//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/fullduplex-go/websocket"
)

func TestJSONMessages(t *testing.T) {
	messages := JSONMessages(1024, ring)
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

// A receiver that keeps only the window can read every message, in the second round
// of the ring too.
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
			if have := s.before(n+1, window); !bytes.HasSuffix(have, history) || len(have) > window {
				t.Fatalf("before(%d, %d) is not what was sent", n+1, window)
			}
		}
		if last > 0 && total >= last {
			t.Errorf("window %d: %d bytes, with the smaller one %d", window, total, last)
		}
		last = total
	}
}

func TestTakenOver(t *testing.T) {
	for answer, want := range map[string]struct{ client, server int }{
		"permessage-deflate":                                                      {32 << 10, 32 << 10},
		"permessage-deflate; server_max_window_bits=9":                            {32 << 10, 512},
		"permessage-deflate; client_max_window_bits=12":                           {4 << 10, 32 << 10},
		`permessage-deflate;client_max_window_bits="10"`:                          {1 << 10, 32 << 10},
		"permessage-deflate; client_no_context_takeover":                          {0, 32 << 10},
		"permessage-deflate; client_max_window_bits=16":                           {-1, 32 << 10},
		"permessage-deflate; client_max_window_bits":                              {-1, 32 << 10},
		"permessage-deflate; server_max_window_bits=7":                            {32 << 10, -1},
		"permessage-deflate;server_no_context_takeover;client_max_window_bits=15": {32 << 10, 0},
	} {
		for side, want := range map[string]int{"client": want.client, "server": want.server} {
			got, err := takenOver(answer, side)
			if (err != nil) != (want < 0) || err == nil && got != want {
				t.Errorf("%s, %s: %d, %v, want %d", answer, side, got, err, want)
			}
		}
	}
}

// A reply must not refer to what the server has agreed to forget.
func TestRepliesKeepToTheWindow(t *testing.T) {
	const window, last = 4 << 10, 7
	near, err := deflateScript(1024, window)
	if err != nil {
		t.Fatal(err)
	}
	far, err := deflateScript(1024, 32<<10)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		script *script
		window int
		wrong  bool
	}{
		"all of it":         {far, 32 << 10, false},
		"a small one":       {near, window, false},
		"more than allowed": {far, window, true},
		"none allowed":      {near, 0, true},
	} {
		data := payload(t, test.script.batches[last])
		reply := append([]byte{finBit | rsv1Bit | opText, 126, byte(len(data) >> 8), byte(len(data))}, data...)
		x := &exchange{
			r: &runner{Job: Job{Compress: Takeover}}, opcode: opText, in: reply,
			messages: test.script.messages[last : last+1], history: test.script.before(last, test.window),
		}
		if ok, err := x.complete(); ok == test.wrong || (err != nil) != test.wrong {
			t.Errorf("%s: complete %v, %v", name, ok, err)
		}
	}
}
