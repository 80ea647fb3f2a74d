package messages_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// newConnPair makes both ends by NewConn, whose options differ in the role only.
func newConnPair(t *testing.T, client, server websocket.ConnOptions) (*websocket.Conn, *websocket.Conn) {
	t.Helper()
	a, b := bufpipe.New(wstest.PipeSize)
	client.Client = true
	c, err := websocket.NewConn(a, &client)
	if err != nil {
		t.Fatal(err)
	}
	s, err := websocket.NewConn(b, &server)
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
	early := conntest.Text("early")
	opts := websocket.ConnOptions{Subprotocol: "chat", Request: r, Early: early}
	c, s := newConnPair(t, websocket.ConnOptions{Subprotocol: "chat", Request: r}, opts)
	cancel()
	clear(early)
	if _, p, err := s.Read(bg); string(p) != "early" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
	for _, c := range []*websocket.Conn{c, s} {
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
	for _, ends := range [][2]*websocket.Conn{{c, s}, {s, c}} {
		go ends[0].Write(bg, websocket.Text, []byte("hello"))
		if _, p, err := ends[1].Read(bg); string(p) != "hello" || err != nil {
			t.Errorf("read %q, %v", p, err)
		}
	}
}

// TestNewConnErrors: what contradicts itself is refused, and the net.Conn is
// untouched.
func TestNewConnErrors(t *testing.T) {
	on := websocket.Options{Compression: new(websocket.CompressionOptions)}
	for _, tt := range []struct {
		opts websocket.ConnOptions
		want string
	}{
		{websocket.ConnOptions{Subprotocol: "two words"}, `subprotocol "two words" is not a token`},
		{websocket.ConnOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{Level: 10}}}, "Level is 10"},
		{websocket.ConnOptions{Extensions: "permessage-deflate"}, "Options.Compression is nil"},
		{websocket.ConnOptions{Client: true, Extensions: "permessage-deflate"}, "Options.Compression is nil"},
		{websocket.ConnOptions{Extensions: "x-other"}, `extension "x-other" is not known`},
		{websocket.ConnOptions{Client: true, Options: on, Extensions: "x-other"}, `extension "x-other" is not known`},
		{websocket.ConnOptions{Options: on, Extensions: "permessage-deflate, permessage-deflate"}, "2 extensions"},
		{websocket.ConnOptions{Options: on, Extensions: "permessage-deflate; client_max_window_bits"}, "client_max_window_bits without a value"},
		{websocket.ConnOptions{Client: true, Options: on, Extensions: "permessage-deflate; client_max_window_bits"}, "without a value"},
		{websocket.ConnOptions{Options: on, Extensions: "permessage-deflate; strange"}, `no parameter "strange"`},
		{websocket.ConnOptions{Options: on, Extensions: "permessage-deflate;;"}, "malformed"},
		{websocket.ConnOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{WindowBits: 10}}, Extensions: "permessage-deflate"}, "the client's messages keep 32768 bytes, and CompressionOptions allows 1024"},
		{websocket.ConnOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{MemoryBudget: 4096}}, Extensions: "permessage-deflate; client_max_window_bits=13"}, "keep 8192 bytes, and CompressionOptions allows 4096"},
		{websocket.ConnOptions{Client: true, Options: websocket.Options{Compression: &websocket.CompressionOptions{WindowBits: 10}}, Extensions: "permessage-deflate"}, "leaves out server_max_window_bits"},
	} {
		c, err := websocket.NewConn(untouched{}, &tt.opts)
		if c != nil || err == nil || !strings.HasPrefix(err.Error(), "websocket: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error is %v, want %q", tt.opts, err, tt.want)
		}
	}
	if c, err := websocket.NewConn(nil, nil); c != nil || err == nil {
		t.Error("a nil net.Conn is accepted")
	}
}

// untouched panics whatever is done with it.
type untouched struct{ net.Conn }
