package websocket

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// newConnPair makes both ends by NewConn, whose options differ in the role only.
func newConnPair(t *testing.T, client, server ConnOptions) (*Conn, *Conn) {
	t.Helper()
	a, b := bufpipe.New(pipeSize)
	client.Client = true
	c, err := NewConn(a, &client)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewConn(b, &server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		s.CloseNow()
	})
	return c, s
}

type requestKey struct{}

func TestNewConn(t *testing.T) {
	r, err := http.NewRequestWithContext(context.WithValue(bg, requestKey{}, "value"), http.MethodGet, "http://host/path", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	r = r.WithContext(ctx)
	r.Header = http.Header{"Sec-Websocket-Key": {"x"}, "Cookie": {"y"}}
	early := text("early")
	opts := ConnOptions{Subprotocol: "chat", Request: r, Early: early}
	c, s := newConnPair(t, ConnOptions{Subprotocol: "chat", Request: r}, opts)
	cancel()
	clear(early)
	if _, p, err := s.Read(bg); string(p) != "early" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
	for _, c := range []*Conn{c, s} {
		if c.Subprotocol() != "chat" || c.Request().URL.Path != "/path" || c.Request().Header.Get("Cookie") != "y" {
			t.Errorf("subprotocol %q, request %v", c.Subprotocol(), c.Request())
		}
		if c.Request().Context().Err() != nil || c.Context().Err() != nil {
			t.Error("a connection's context ends with that of the request")
		}
		if c.Context().Value(requestKey{}) != "value" {
			t.Error("the request's values are gone")
		}
	}
	if s.Request().Header.Get("Sec-WebSocket-Key") != "" {
		t.Error("the server's request has headers of the handshake")
	}
	for _, ends := range [][2]*Conn{{c, s}, {s, c}} {
		go ends[0].Write(bg, Text, []byte("hello"))
		if _, p, err := ends[1].Read(bg); string(p) != "hello" || err != nil {
			t.Errorf("read %q, %v", p, err)
		}
	}
}

// TestNewConnExtensions: both ends keep to what was agreed, as after a handshake.
func TestNewConnExtensions(t *testing.T) {
	on := Options{Compression: new(CompressionOptions)}
	small := Options{Compression: &CompressionOptions{MemoryBudget: 4 << 10}}
	for _, tt := range []struct {
		agreed string
		opts   Options
		want   compression // of the server's end; of the client's it is the reverse
	}{
		{"permessage-deflate", on, compression{SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", on, compression{SendBits: 15, RecvBits: 15}},
		{"permessage-deflate; server_max_window_bits=10; client_max_window_bits=11", on, compression{SendBits: 10, RecvBits: 11, SendTakeover: true, RecvTakeover: true}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", small, compression{SendBits: 15, RecvBits: 15}},
	} {
		o := ConnOptions{Options: tt.opts, Extensions: tt.agreed}
		cfg, err := o.config()
		if err != nil {
			t.Errorf("%s: %v", tt.agreed, err)
			continue
		}
		got := cfg.extensions.Deflate
		got.Level, got.Threshold = 0, 0
		if got != tt.want {
			t.Errorf("%s: the server has %+v, want %+v", tt.agreed, got, tt.want)
		}
		o.Client = true
		if cfg, err = o.config(); err != nil {
			t.Errorf("%s: client: %v", tt.agreed, err)
			continue
		}
		got = cfg.extensions.Deflate
		if tt.opts.Compression == small.Compression { // a client then never uses more, takeover or not
			got.SendBits = max(got.SendBits, tt.want.RecvBits)
		}
		if want := tt.want; got.SendBits != want.RecvBits || got.RecvBits != want.SendBits || got.SendTakeover != want.RecvTakeover || got.RecvTakeover != want.SendTakeover {
			t.Errorf("%s: the client has %+v, want the reverse of %+v", tt.agreed, got, want)
		}
		c, s := newConnPair(t, o, ofServer(o))
		msg := strings.Repeat("compressible ", 100)
		for range 3 {
			for _, ends := range [][2]*Conn{{c, s}, {s, c}} {
				before := ends[0].Stats().BytesWritten
				if err := ends[0].Write(bg, Text, []byte(msg)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := ends[1].Read(bg); string(p) != msg || err != nil {
					t.Fatalf("%s: read %d bytes, %v", tt.agreed, len(p), err)
				}
				if n := ends[0].Stats().BytesWritten - before; n > 100 {
					t.Errorf("%s: a message of %d bytes took %d", tt.agreed, len(msg), n)
				}
			}
		}
	}
}

// ofServer is o for the server.
func ofServer(o ConnOptions) ConnOptions {
	o.Client = false
	return o
}

// TestNewConnErrors: what contradicts itself is refused, and the net.Conn is
// untouched.
func TestNewConnErrors(t *testing.T) {
	on := Options{Compression: new(CompressionOptions)}
	for _, tt := range []struct {
		opts ConnOptions
		want string
	}{
		{ConnOptions{Subprotocol: "two words"}, `subprotocol "two words" is not a token`},
		{ConnOptions{Options: Options{Compression: &CompressionOptions{Level: 10}}}, "Level is 10"},
		{ConnOptions{Extensions: "permessage-deflate"}, "Options.Compression is nil"},
		{ConnOptions{Client: true, Extensions: "permessage-deflate"}, "Options.Compression is nil"},
		{ConnOptions{Extensions: "x-other"}, `extension "x-other" is not known`},
		{ConnOptions{Client: true, Options: on, Extensions: "x-other"}, `extension "x-other" is not known`},
		{ConnOptions{Options: on, Extensions: "permessage-deflate, permessage-deflate"}, "2 extensions"},
		{ConnOptions{Options: on, Extensions: "permessage-deflate; client_max_window_bits"}, "client_max_window_bits without a value"},
		{ConnOptions{Client: true, Options: on, Extensions: "permessage-deflate; client_max_window_bits"}, "without a value"},
		{ConnOptions{Options: on, Extensions: "permessage-deflate; strange"}, `no parameter "strange"`},
		{ConnOptions{Options: on, Extensions: "permessage-deflate;;"}, "malformed"},
		{ConnOptions{Options: Options{Compression: &CompressionOptions{WindowBits: 10}}, Extensions: "permessage-deflate"}, "the client's messages keep 32768 bytes, and CompressionOptions allows 1024"},
		{ConnOptions{Options: Options{Compression: &CompressionOptions{MemoryBudget: 4096}}, Extensions: "permessage-deflate; client_max_window_bits=13"}, "keep 8192 bytes, and CompressionOptions allows 4096"},
		{ConnOptions{Client: true, Options: Options{Compression: &CompressionOptions{WindowBits: 10}}, Extensions: "permessage-deflate"}, "leaves out server_max_window_bits"},
	} {
		c, err := NewConn(untouched{}, &tt.opts)
		if c != nil || err == nil || !strings.HasPrefix(err.Error(), "websocket: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error is %v, want %q", tt.opts, err, tt.want)
		}
	}
	if c, err := NewConn(nil, nil); c != nil || err == nil {
		t.Error("a nil net.Conn is accepted")
	}
}

// untouched panics whatever is done with it.
type untouched struct{ net.Conn }
