//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Ours is the client, the peer's script the server.
func TestClient(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		server := p.start(t, "server")
		s := &clientSuite{server: server, url: server.url(t)}
		t.Run("echo", s.echo)
		t.Run("fragments", s.fragments)
		t.Run("16 MiB", s.large)
		t.Run("ping", s.ping)
		t.Run("ping by server", s.pingByServer)
		t.Run("close", s.close)
		t.Run("close by server", s.closeByServer)
		t.Run("subprotocol", s.subprotocol)
	})
}

type clientSuite struct {
	server *program
	url    string
}

func (s *clientSuite) dial(t *testing.T, path string, opts websocket.DialOptions) (context.Context, *websocket.Conn) {
	t.Helper()
	ctx := testContext(t)
	opts.ReadLimit = 32 << 20
	c, _, err := websocket.Dial(ctx, s.url+path, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return ctx, c
}

// expect reads one message.
func expect(t *testing.T, ctx context.Context, c *websocket.Conn, typ websocket.MessageType, data []byte) {
	t.Helper()
	gotType, got, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if gotType != typ || !bytes.Equal(got, data) {
		t.Fatalf("got type %v and %d bytes, want type %v and %d bytes", gotType, len(got), typ, len(data))
	}
}

// exchange sends one message and reads its echo.
func exchange(t *testing.T, ctx context.Context, c *websocket.Conn, typ websocket.MessageType, data []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- c.Write(ctx, typ, data) }()
	expect(t, ctx, c, typ, data)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

// closeNormally closes c and checks what the server has seen of that.
func (s *clientSuite) closeNormally(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	if err := c.Close(code, reason); err != nil {
		t.Errorf("Close: %v", err)
	}
	s.expectEnd(t, code, reason)
}

// expectEnd reads how the server's connection ended. Connections are made one
// after the other, so the next line is that of the last connection.
func (s *clientSuite) expectEnd(t *testing.T, code websocket.StatusCode, reason string) {
	t.Helper()
	line := s.server.line(t)
	var got struct {
		Path   string
		Code   websocket.StatusCode
		Reason string
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "closed ")), &got); err != nil {
		t.Fatalf("server says %q: %v", line, err)
	}
	if got.Code != code || got.Reason != reason {
		t.Errorf("server saw %+v, want %v %q", got, code, reason)
	}
}

func (s *clientSuite) echo(t *testing.T) {
	ctx, c := s.dial(t, "echo", websocket.DialOptions{})
	exchange(t, ctx, c, websocket.Text, []byte(text))
	exchange(t, ctx, c, websocket.Binary, []byte{0, 255, 128, 0, 13, 10})
	exchange(t, ctx, c, websocket.Text, nil)
	exchange(t, ctx, c, websocket.Binary, nil)
	for _, n := range []int{125, 126, 65535, 65536} { // where the length field grows
		exchange(t, ctx, c, websocket.Binary, bytes.Repeat([]byte{0xa5}, n))
	}
	s.closeNormally(t, c, websocket.StatusNormalClosure, "")
}

// frames counts the data frames of a connection that are part of a
// fragmented message.
type frames struct{ in, out atomic.Int32 }

func (f *frames) trace() *websocket.Trace {
	count := func(n *atomic.Int32) func(*websocket.Conn, websocket.Header) {
		return func(_ *websocket.Conn, h websocket.Header) {
			if !h.Fin || h.Opcode == websocket.OpContinuation {
				n.Add(1)
			}
		}
	}
	return &websocket.Trace{FrameIn: count(&f.in), FrameOut: count(&f.out)}
}

// reaches waits until there are that many frames, since hooks may be late.
func reaches(ctx context.Context, n *atomic.Int32, want int32) bool {
	for n.Load() < want && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return n.Load() >= want
}

func (s *clientSuite) fragments(t *testing.T) {
	t.Run("out", func(t *testing.T) {
		var n frames
		opts := websocket.DialOptions{}
		opts.Trace = n.trace()
		ctx, c := s.dial(t, "echo", opts)
		sent := make(chan error, 1)
		go func() { sent <- writeMessages(ctx, c) }()
		expect(t, ctx, c, websocket.Text, []byte(longText))
		expect(t, ctx, c, websocket.Binary, nil)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if !reaches(ctx, &n.out, 2) {
			t.Errorf("the messages went out in %d fragments", n.out.Load())
		}
		s.closeNormally(t, c, websocket.StatusNormalClosure, "")
	})
	t.Run("in", func(t *testing.T) {
		var n frames
		opts := websocket.DialOptions{}
		opts.Trace = n.trace()
		ctx, c := s.dial(t, "fragments", opts)
		expect(t, ctx, c, websocket.Text, []byte(text))
		expect(t, ctx, c, websocket.Binary, nil)
		if !reaches(ctx, &n.in, int32(len(text))) {
			t.Errorf("the messages came in %d fragments", n.in.Load())
		}
		s.closeNormally(t, c, websocket.StatusNormalClosure, "")
	})
}

func (s *clientSuite) large(t *testing.T) {
	ctx, c := s.dial(t, "echo", websocket.DialOptions{})
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	exchange(t, ctx, c, websocket.Binary, data)
	exchange(t, ctx, c, websocket.Text, data)
	s.closeNormally(t, c, websocket.StatusNormalClosure, "")
}

func (s *clientSuite) ping(t *testing.T) {
	ctx, c := s.dial(t, "echo", websocket.DialOptions{})
	for range 3 { // with nobody reading
		if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 {
			t.Fatalf("Ping: %v, %v", rtt, err)
		}
	}
	reading := make(chan error, 1)
	go func() {
		_, _, err := c.Read(ctx)
		reading <- err
	}()
	if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 || c.RTT() <= 0 {
		t.Errorf("Ping: %v, %v; RTT: %v", rtt, err, c.RTT())
	}
	s.closeNormally(t, c, websocket.StatusNormalClosure, "")
	if err := <-reading; websocket.CloseCode(err) != websocket.StatusNormalClosure {
		t.Errorf("Read: %v", err)
	}
}

func (s *clientSuite) pingByServer(t *testing.T) {
	for _, payload := range []string{"hi", strings.Repeat("x", 125)} {
		ctx, c := s.dial(t, "ping?payload="+payload, websocket.DialOptions{})
		expect(t, ctx, c, websocket.Text, []byte(payload))
		s.closeNormally(t, c, websocket.StatusNormalClosure, "")
	}
}

func (s *clientSuite) close(t *testing.T) {
	for _, tt := range []struct {
		code   websocket.StatusCode
		reason string
	}{
		{1000, ""},
		{1001, "going"},
		{1011, strings.Repeat("r", 123)},
		{3000, "Tschüß 🙂"},
		{4999, ""},
	} {
		_, c := s.dial(t, "echo", websocket.DialOptions{})
		s.closeNormally(t, c, tt.code, tt.reason)
	}
}

func (s *clientSuite) closeByServer(t *testing.T) {
	for _, tt := range []struct {
		code   websocket.StatusCode
		reason string
	}{
		{1000, ""},
		{1013, "spätér 🙂"},
		{4321, strings.Repeat("r", 123)},
	} {
		query := url.Values{"code": {strconv.Itoa(int(tt.code))}, "reason": {tt.reason}}
		ctx, c := s.dial(t, "close?"+query.Encode(), websocket.DialOptions{})
		_, _, err := c.Read(ctx)
		var end *websocket.CloseError
		if !errors.As(err, &end) {
			t.Fatalf("Read: %v", err)
		}
		if end.Code != tt.code || end.Reason != tt.reason || !end.Remote {
			t.Errorf("got %+v, want %v %q", end, tt.code, tt.reason)
		}
		line := s.server.line(t) // the server may tell the code it sent or the one that came back
		if !strings.HasPrefix(line, "closed ") || !strings.Contains(line, strconv.Itoa(int(tt.code))) {
			t.Errorf("server says %q", line)
		}
	}
}

func (s *clientSuite) subprotocol(t *testing.T) {
	ctx, c := s.dial(t, "subprotocol", websocket.DialOptions{Subprotocols: []string{"stew", "soup"}})
	if got := c.Subprotocol(); got != "soup" {
		t.Errorf("Subprotocol is %q", got)
	}
	expect(t, ctx, c, websocket.Text, []byte("soup"))
	s.closeNormally(t, c, websocket.StatusNormalClosure, "")

	_, c = s.dial(t, "echo", websocket.DialOptions{})
	if got := c.Subprotocol(); got != "" {
		t.Errorf("Subprotocol is %q, none was offered", got)
	}
	s.closeNormally(t, c, websocket.StatusNormalClosure, "")
}
