package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/flate/flatetest"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// wire is a connection that remembers what went over it.
type wire struct {
	net.Conn
	mu      sync.Mutex
	in, out []byte
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, p[:n]...)
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.out = append(w.out, p...)
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// inflateWire inflates all compressed messages of a direction, slowly, and
// returns the greatest distance and how many there were.
func inflateWire(t *testing.T, side string, b []byte, bits int, takeover bool) (farthest, messages int) {
	t.Helper()
	_, b, _ = bytes.Cut(b, []byte("\r\n\r\n"))
	s := flatetest.Inflater{Window: 1 << bits, Takeover: takeover}
	compressed := false
	for len(b) > 0 {
		h, n, err := websocket.ParseHeader(b)
		if err != nil || n == 0 || h.Length > int64(len(b)-n) {
			t.Fatalf("%s: a cut frame: %v", side, err)
		}
		p := b[n:][:h.Length]
		b = b[n+len(p):]
		if h.Masked {
			websocket.Mask(p, h.Key, 0)
		}
		if h.Opcode.IsControl() {
			continue
		}
		if h.Opcode != websocket.OpContinuation {
			compressed = h.RSV == websocket.RSV1
		}
		if compressed {
			if _, err := s.Part(p, h.Fin); err != nil {
				t.Fatalf("%s, window %d bits, takeover %v: %v", side, bits, takeover, err)
			}
			if h.Fin {
				messages++
			}
		}
	}
	return s.Farthest, messages
}

// agreedOn reads an answer to an offer as RFC 7692 has it, apart from the code
// that made it.
func agreedOn(t *testing.T, answer string) (serverBits, clientBits int, serverTakeover, clientTakeover bool) {
	t.Helper()
	serverBits, clientBits, serverTakeover, clientTakeover = 15, 15, true, true
	params := strings.Split(answer, "; ")
	if params[0] != "permessage-deflate" {
		t.Fatalf("the answer is %q", answer)
	}
	for _, p := range params[1:] {
		name, value, _ := strings.Cut(p, "=")
		switch name {
		case "server_no_context_takeover":
			serverTakeover = false
		case "client_no_context_takeover":
			clientTakeover = false
		case "server_max_window_bits":
			fmt.Sscan(value, &serverBits)
		case "client_max_window_bits":
			fmt.Sscan(value, &clientBits)
		default:
			t.Fatalf("the answer is %q", answer)
		}
	}
	return
}

// TestNegotiatedWindows: whatever two ends agree on, nothing that either sends
// refers further back than that, and they do make use of it.
func TestNegotiatedWindows(t *testing.T) {
	tests := []struct{ server, client websocket.CompressionOptions }{
		{websocket.CompressionOptions{MemoryBudget: 20 << 10}, websocket.CompressionOptions{}},
		{websocket.CompressionOptions{}, websocket.CompressionOptions{MemoryBudget: 20 << 10}},
		{websocket.CompressionOptions{MemoryBudget: 1}, websocket.CompressionOptions{}},
		{websocket.CompressionOptions{ServerNoContextTakeover: true, Level: 1}, websocket.CompressionOptions{Level: 9}},
		{websocket.CompressionOptions{ClientNoContextTakeover: true, Level: 9}, websocket.CompressionOptions{Level: 1}},
		{websocket.CompressionOptions{WindowBits: 10}, websocket.CompressionOptions{WindowBits: 13}},
		{websocket.CompressionOptions{WindowBits: 13}, websocket.CompressionOptions{WindowBits: 10, ServerNoContextTakeover: true}},
	}
	for bits := 8; bits <= 15; bits++ {
		tests = append(tests,
			struct{ server, client websocket.CompressionOptions }{websocket.CompressionOptions{WindowBits: bits}, websocket.CompressionOptions{}},
			struct{ server, client websocket.CompressionOptions }{websocket.CompressionOptions{}, websocket.CompressionOptions{WindowBits: bits}})
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%+v %+v", tt.server, tt.client), func(t *testing.T) {
			srv := httptest.NewServer(&websocket.Server{
				AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Compression: &tt.server}},
				Handler: func(c *websocket.Conn) {
					for m, err := range c.Messages(bg) {
						if err != nil || c.Write(bg, m.Type, m.Data) != nil {
							return
						}
					}
				},
			})
			defer srv.Close()
			var w *wire
			web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := new(net.Dialer).DialContext(ctx, network, addr)
				w = &wire{Conn: nc}
				return w, err
			}}}
			c, resp, err := websocket.Dial(t.Context(), srv.URL, &websocket.DialOptions{Options: websocket.Options{Compression: &tt.client}, HTTPClient: web})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			sent := 0
			for i, n := range []int{90_000, 300, 1000, 5000, 90_000, 300, 1000, 5000} {
				msg := deflatetest.Text(n, 1+i%4)
				if err := c.Write(bg, websocket.Text, msg); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(bg); err != nil || !bytes.Equal(p, msg) {
					t.Fatalf("%d bytes came back as %d, %v", n, len(p), err)
				}
				sent++
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}

			answer := resp.Header.Get("Sec-WebSocket-Extensions")
			serverBits, clientBits, serverTakeover, clientTakeover := agreedOn(t, answer)
			for _, o := range []websocket.CompressionOptions{tt.server, tt.client} {
				if o.ServerNoContextTakeover && serverTakeover || o.ClientNoContextTakeover && clientTakeover {
					t.Errorf("%+v, but the answer is %q", o, answer)
				}
			}
			if b := tt.client.WindowBits; b != 0 && (serverBits > b || clientBits > b) || tt.server.WindowBits != 0 && clientTakeover && clientBits > tt.server.WindowBits {
				t.Errorf("the answer is %q", answer)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, side := range []struct {
				name     string
				b        []byte
				bits     int
				takeover bool
				own      int // the sender may keep to less
			}{{"server", w.in, serverBits, serverTakeover, tt.server.WindowBits}, {"client", w.out, clientBits, clientTakeover, tt.client.WindowBits}} {
				farthest, messages := inflateWire(t, side.name, side.b, side.bits, side.takeover)
				if messages != sent {
					t.Errorf("the %s has compressed %d of %d messages", side.name, messages, sent)
				}
				window := side.bits
				if side.own != 0 {
					window = min(window, side.own)
				}
				if tt.server.MemoryBudget+tt.client.MemoryBudget == 0 && farthest < 1<<window/2 {
					t.Errorf("the greatest distance of the %s is %d, with a window of %d bits", side.name, farthest, window)
				}
			}
		})
	}
}

// TestCompressedAllocs: compression takes no memory of its own in the end.
func TestCompressedAllocs(t *testing.T) {
	if wstest.Race {
		t.Skip("the race detector has pools drop what they are given")
	}
	for i, p := range deflatetest.Kinds[:2] {
		a, b := wstest.TCPPair(t) // a pipe has a buffer of its own, which grows
		opts := websocket.Options{}
		client := compressing(t, a, true, opts, p)
		server := compressing(t, b, false, opts, p) // the same both ways
		defer client.CloseNow()
		defer server.CloseNow()
		go func() {
			for m, err := range server.Messages(bg) {
				if err != nil || server.Write(bg, m.Type, m.Data) != nil {
					return
				}
			}
		}()
		msg, buf := deflatetest.Text(1000, 3), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(200, func() {
			if err := client.Write(bg, websocket.Text, msg); err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.ReadAppend(bg, buf); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%d: %v allocations per message there and back", i, n)
		}
	}
}
