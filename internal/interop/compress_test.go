//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// direction holds the negotiated parameters for the messages of one side.
type direction struct {
	takeover bool
	bits     int // of the window
}

// agreements are made with every peer, in both roles: what the two want, and
// what comes of it.
var agreements = []struct {
	name           string
	ours           websocket.CompressionOptions
	peers          string // parameters, for its script
	server, client direction
	// The parameters in the answer, for either side as server; "-" where the peers
	// cannot: zlib does not compress within a window of 256 bytes.
	weAnswer, peerAnswers string
}{
	{
		"defaults", websocket.CompressionOptions{}, `{}`,
		direction{true, 15}, direction{true, 15}, "", "",
	},
	{
		"we want no takeover", websocket.CompressionOptions{ServerNoContextTakeover: true, ClientNoContextTakeover: true}, `{}`,
		direction{false, 15}, direction{false, 15},
		"client_no_context_takeover server_no_context_takeover",
		"client_no_context_takeover server_no_context_takeover",
	},
	{
		"peer wants no takeover", websocket.CompressionOptions{},
		`{"server_no_context_takeover": true, "client_no_context_takeover": true}`,
		direction{false, 15}, direction{false, 15},
		"client_no_context_takeover server_no_context_takeover",
		"client_no_context_takeover server_no_context_takeover",
	},
	{
		"takeover by the server only", websocket.CompressionOptions{ClientNoContextTakeover: true}, `{}`,
		direction{true, 15}, direction{false, 15},
		"client_no_context_takeover", "client_no_context_takeover",
	},
	{
		"we want small windows", websocket.CompressionOptions{WindowBits: 9}, `{}`,
		direction{true, 9}, direction{true, 9},
		"client_max_window_bits=9", // about its own a server need not speak
		"client_max_window_bits=9 server_max_window_bits=9",
	},
	{
		"peer wants small windows", websocket.CompressionOptions{},
		`{"server_max_window_bits": 9, "client_max_window_bits": 10}`,
		direction{true, 9}, direction{true, 10},
		"client_max_window_bits=10 server_max_window_bits=9",
		"client_max_window_bits=10 server_max_window_bits=9",
	},
	{
		"peer wants the smallest window", websocket.CompressionOptions{},
		`{"server_max_window_bits": 8}`,
		direction{true, 8}, direction{true, 15},
		"server_max_window_bits=8", "-",
	},
	{
		"small windows without takeover", websocket.CompressionOptions{WindowBits: 10, ServerNoContextTakeover: true},
		`{"client_no_context_takeover": true}`,
		direction{false, 10}, direction{false, 10},
		"client_max_window_bits=10 client_no_context_takeover server_no_context_takeover",
		"client_max_window_bits=10 client_no_context_takeover server_max_window_bits=10 server_no_context_takeover",
	},
	{
		"little memory, hard work", websocket.CompressionOptions{MemoryBudget: 16384, Level: 9, Threshold: -1}, `{}`,
		direction{true, 11}, direction{true, 11},
		"client_max_window_bits=11", "client_max_window_bits=11 server_max_window_bits=11",
	},
}

// checkAnswer fails the test if header is not permessage-deflate with these
// parameters, which are given in order.
func checkAnswer(t *testing.T, header, want string) {
	t.Helper()
	name, rest, _ := strings.Cut(header, ";")
	params := strings.FieldsFunc(rest, func(r rune) bool { return r == ';' || r == ' ' })
	slices.Sort(params)
	if got := strings.Join(params, " "); name != "permessage-deflate" || got != want {
		t.Fatalf("the server's answer is %q, want permessage-deflate with %q", header, want)
	}
}

// Ours is the server.
func TestCompressionServer(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		for _, a := range agreements {
			t.Run(a.name, func(t *testing.T) {
				s := startCompressing(t, a.ours)
				client := p.start(t, "compress-client", s.url, a.peers)
				c := s.accepted(t)
				checkAnswer(t, strings.TrimPrefix(client.line(t), "answer "), a.weAnswer)
				s.traffic.converse(t, c, true, a.server, a.client)
				if err := client.wait(); err != nil {
					t.Errorf("client script: %v", err)
				}
			})
		}
	})
}

// Ours is the client.
func TestCompressionClient(t *testing.T) {
	forEachPeer(t, func(t *testing.T, p peer) {
		for _, a := range agreements {
			if a.peerAnswers == "-" {
				continue
			}
			t.Run(a.name, func(t *testing.T) {
				server := p.start(t, "compress-server", a.peers)
				tr, c := dialCompressing(t, server.url(t), a.ours, a.peerAnswers, websocket.DialOptions{})
				tr.converse(t, c, true, a.client, a.server)
			})
		}
	})
}

// A proxy passes on what the two ends settle.
func TestCompressionNginx(t *testing.T) {
	s := startCompressing(t, websocket.CompressionOptions{WindowBits: 12})
	proxy := startNginx(t, s.url, time.Minute)
	for name, url := range map[string]string{"ws": proxy.url, "wss": proxy.wss} {
		t.Run(name, func(t *testing.T) {
			tr, c := dialCompressing(t, url, websocket.CompressionOptions{ClientNoContextTakeover: true},
				"client_max_window_bits=12 client_no_context_takeover", websocket.DialOptions{HTTPClient: proxy.http})
			server := s.accepted(t)
			go echoCompressed(testContext(t), server)
			tr.converse(t, c, true, direction{false, 12}, direction{true, 12})
		})
	}
}

// compressing is a server of ours whose connections the test uses.
type compressing struct {
	url     string
	conns   chan *websocket.Conn
	traffic *traffic // of all connections
}

func startCompressing(t *testing.T, o websocket.CompressionOptions) *compressing {
	t.Helper()
	s := &compressing{conns: make(chan *websocket.Conn), traffic: new(traffic)}
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		select {
		case s.conns <- c:
			<-c.Context().Done()
		case <-c.Context().Done():
		}
	}}
	ws.Compression = &o
	ws.ReadLimit = 32 << 20
	ws.OriginPatterns = []string{"*"}
	ws.Trace = s.traffic.trace()
	server := httptest.NewServer(ws)
	t.Cleanup(func() {
		ws.Close()
		server.Close()
	})
	s.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/"
	return s
}

// accepted returns the next connection.
func (s *compressing) accepted(t *testing.T) *websocket.Conn {
	t.Helper()
	select {
	case c := <-s.conns:
		t.Cleanup(func() { c.CloseNow() })
		return c
	case <-testContext(t).Done():
		t.Fatal("no client has come")
		return nil
	}
}

// dialCompressing connects, and expects these parameters in the answer.
func dialCompressing(t *testing.T, url string, o websocket.CompressionOptions, answer string, opts websocket.DialOptions) (*traffic, *websocket.Conn) {
	t.Helper()
	tr := new(traffic)
	opts.Compression = &o
	opts.ReadLimit = 32 << 20
	opts.Trace = tr.trace()
	c, resp, err := websocket.Dial(testContext(t), url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	checkAnswer(t, resp.Header.Get("Sec-WebSocket-Extensions"), answer)
	return tr, c
}

// traffic describes the messages of a connection on the wire.
type traffic struct {
	mu      sync.Mutex
	in, out []onWire
	ended   chan struct{} // receives when a connection has ended
}

type onWire struct {
	compressed    bool
	frames, bytes int
}

func (tr *traffic) trace() *websocket.Trace {
	record := func(list *[]onWire) func(*websocket.Conn, websocket.Header) {
		return func(_ *websocket.Conn, h websocket.Header) {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			switch h.Opcode {
			case websocket.OpText, websocket.OpBinary:
				*list = append(*list, onWire{compressed: h.RSV == websocket.RSV1})
			case websocket.OpContinuation:
			default:
				return
			}
			m := &(*list)[len(*list)-1]
			m.frames++
			m.bytes += int(h.Length)
		}
	}
	tr.ended = make(chan struct{}, 100)
	return &websocket.Trace{FrameIn: record(&tr.in), FrameOut: record(&tr.out),
		Close: func(*websocket.Conn, error) { tr.ended <- struct{}{} }}
}

// spoken is a message of the conversation. Its judge, if it has one, says what
// is wrong about its size.
type spoken struct {
	what  string
	typ   websocket.MessageType
	data  []byte
	judge func(bytes int, d direction) string
}

// conversation returns messages by whose sizes one sees what the sender does.
// The digits are new every time: nothing but their repetition makes them
// shorter than half.
func conversation() []spoken {
	digits := func(n int) []byte {
		p := make([]byte, n/2)
		rand.Read(p)
		return []byte(hex.EncodeToString(p))
	}
	below := func(limit int) func(int, direction) string {
		return func(n int, _ direction) string {
			if n >= limit {
				return fmt.Sprintf("want less than %d", limit)
			}
			return ""
		}
	}
	prose := func(n int) []byte {
		var b bytes.Buffer
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Message %d to the world (世界): %s\n", i, text)
		}
		return []byte(strings.ToValidUTF8(string(b.Bytes()[:n]), ""))
	}
	noise := make([]byte, 1<<20)
	rand.Read(noise)

	// Less than 250 bytes: zlib does not look further back in a window of 512.
	probe := digits(200)
	far := bytes.Repeat(digits(3000), 20)
	return []spoken{
		{"nothing", websocket.Text, nil, nil},
		{"nothing", websocket.Binary, nil, nil},
		{"a byte", websocket.Text, []byte("x"), nil},
		{"digits", websocket.Text, probe, func(n int, _ direction) string {
			if n < 100 || n > 160 {
				return "want 100 to 160"
			}
			return ""
		}},
		{"the same digits", websocket.Text, probe, func(n int, d direction) string {
			switch {
			case d.takeover && n > 50:
				return "want at most 50, with takeover"
			case !d.takeover && n < 100:
				return "want at least 100, without takeover"
			}
			return ""
		}},
		{"digits that repeat after 3000 bytes", websocket.Binary, far, func(n int, d direction) string {
			switch {
			case d.bits >= 12 && n > len(far)/8:
				return fmt.Sprintf("want at most %d, with a window of %d bits", len(far)/8, d.bits)
			case d.bits < 12 && n < len(far)/2:
				return fmt.Sprintf("want at least %d, with a window of %d bits", len(far)/2, d.bits)
			}
			return ""
		}},
		{"1000 bytes", websocket.Text, prose(1000), below(500)},
		{"1000 bytes", websocket.Binary, prose(1000), below(500)},
		{"64 KiB", websocket.Text, prose(64 << 10), below(32 << 10)},
		{"1 MiB", websocket.Text, prose(1 << 20), below(1 << 19)},
		{"1 MiB of noise", websocket.Binary, noise, below(1<<20 + 1<<14)},
		{"3 MiB", websocket.Binary, prose(3 << 20), below(3 << 19)},
		{"fragments", websocket.Text, append([]byte("F"), prose(64<<10)...), below(32 << 10)},
	}
}

// converse has the peer echo every message, compares the echoes, and then
// judges the messages of both sides; ours and theirs are the negotiated parameters.
// Some peers can send the last message in fragments.
func (tr *traffic) converse(t *testing.T, c *websocket.Conn, fragments bool, ours, theirs direction) {
	t.Helper()
	ctx := testContext(t)
	messages := conversation()
	for i, m := range messages {
		if i < len(messages)-1 {
			exchange(t, ctx, c, m.typ, m.data)
			continue
		}
		sent := make(chan error, 1)
		go func() { sent <- writeParts(ctx, c, m.data) }()
		expect(t, ctx, c, m.typ, m.data)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
	<-tr.ended // the last call of a hook

	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, side := range []struct {
		name      string
		messages  []onWire
		direction direction
		fragments bool
	}{{"we", tr.out, ours, true}, {"the peer", tr.in, theirs, fragments}} {
		if len(side.messages) != len(messages) {
			t.Errorf("%s sent %d messages, want %d", side.name, len(side.messages), len(messages))
			continue
		}
		for i, got := range side.messages {
			m := messages[i]
			if m.judge == nil {
				continue
			}
			if !got.compressed && m.what != "1 MiB of noise" { // some send what does not shrink as it is
				t.Errorf("%s sent %s uncompressed", side.name, m.what)
			}
			if wrong := m.judge(got.bytes, side.direction); wrong != "" {
				t.Errorf("%s sent %s (%d bytes) in %d bytes, %s", side.name, m.what, len(m.data), got.bytes, wrong)
			}
		}
		if n := side.messages[len(messages)-1].frames; side.fragments && n < 2 {
			t.Errorf("%s sent the last message in %d frames", side.name, n)
		}
	}
}

// writeParts streams a text.
func writeParts(ctx context.Context, c *websocket.Conn, data []byte) error {
	w, err := c.Writer(ctx, websocket.Text)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(data, 1000) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// echoCompressed sends every message back, as the scripts do.
func echoCompressed(ctx context.Context, c *websocket.Conn) {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return
		}
		if m.Type == websocket.Text && bytes.HasPrefix(m.Data, []byte("F")) {
			err = writeParts(ctx, c, m.Data)
		} else {
			err = c.Write(ctx, m.Type, m.Data)
		}
		if err != nil {
			return
		}
	}
}
