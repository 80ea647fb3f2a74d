package main

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// TestOffers: the suite has a case for every parameter, and runs those that
// need client_max_window_bits only if the client offers it.
func TestOffers(t *testing.T) {
	s, err := startEchoServer("conn")
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	for _, tt := range []struct{ offer, answer string }{ // sections 12 and 13.1 to 13.6
		{"permessage-deflate; client_no_context_takeover; client_max_window_bits", "permessage-deflate; client_no_context_takeover"},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"},
		{"permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
		{"permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
			"permessage-deflate; server_no_context_takeover; server_max_window_bits=9"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http"+strings.TrimPrefix(s.url, "ws"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": rfcKey, "Sec-WebSocket-Extensions": tt.offer} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != tt.answer {
			t.Errorf("the answer to %q is %q, want %q", tt.offer, got, tt.answer)
		}
	}

	offers := make(chan string, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offers <- r.Header.Get("Sec-WebSocket-Extensions")
	})}
	go server.Serve(ln)
	defer server.Close()
	(&fuzzingServer{url: "ws://" + ln.Addr().String()}).runCase(t.Context(), 1)
	if offer, want := <-offers, "permessage-deflate; client_max_window_bits"; offer != want {
		t.Errorf("the client's testee offers %q, want %q", offer, want)
	}
}

// deflated returns n bytes of the same letter as a message has them.
func deflated(t *testing.T, letter byte, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte{letter}, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// TestRefusals sends our testees, compressed, what the suite does not. They
// have to tell why they end the connection.
func TestRefusals(t *testing.T) {
	text := websocket.Header{Fin: true, RSV: websocket.RSV1, Opcode: websocket.OpText}
	with := func(change func(*websocket.Header)) websocket.Header {
		h := text
		change(&h)
		return h
	}
	type frame struct {
		h       websocket.Header
		payload []byte
	}
	a := deflated(t, 'a', 1)
	for _, tt := range []struct {
		name   string
		frames []frame
		want   websocket.StatusCode
	}{
		{"no such block", []frame{{text, []byte{7}}}, websocket.StatusInvalidPayload},
		{"nothing to refer to", []frame{{text, []byte{2, 2, 0}}}, websocket.StatusInvalidPayload},
		{"ends in a block", []frame{{text, []byte{0, 5, 0, 0xfa, 0xff, 'a', 'b'}}}, websocket.StatusInvalidPayload},
		{"not UTF-8", []frame{{text, deflated(t, 0xff, 100)}}, websocket.StatusInvalidPayload},
		{"17 MiB in a few", []frame{{text, deflated(t, 'a', 17<<20)}}, websocket.StatusMessageTooBig},
		{"RSV1 of a ping", []frame{{with(func(h *websocket.Header) { h.Opcode = websocket.OpPing }), a}}, websocket.StatusProtocolError},
		{"RSV1 of a continuation", []frame{
			{with(func(h *websocket.Header) { h.Fin = false }), a},
			{with(func(h *websocket.Header) { h.Opcode = websocket.OpContinuation }), a},
		}, websocket.StatusProtocolError},
		{"RSV2", []frame{{with(func(h *websocket.Header) { h.RSV |= websocket.RSV2 }), a}}, websocket.StatusProtocolError},
	} {
		for side, connect := range map[string]func(*testing.T, string) *rawPeer{"server": rawClient, "client": rawServer} {
			t.Run(tt.name+"/"+side, func(t *testing.T) {
				p := connect(t, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
				for _, f := range tt.frames {
					f.h.Length, f.h.Masked = int64(len(f.payload)), p.client // with zeros, so it changes nothing
					if _, err := p.nc.Write(append(f.h.Append(nil), f.payload...)); err != nil {
						t.Fatal(err)
					}
				}
				op, data, err := p.receive()
				if err != nil || op != websocket.OpClose || len(data) < 2 {
					t.Fatalf("got %q by opcode %d, %v", data[:min(len(data), 100)], op, err)
				}
				if code := websocket.StatusCode(binary.BigEndian.Uint16(data)); code != tt.want {
					t.Errorf("closed with %v, want %v: %s", code, tt.want, data[2:])
				}
			})
		}
	}
}
