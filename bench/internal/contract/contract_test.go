package contract_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

// servers lists what each server claims to do. All else it must refuse.
var servers = []struct {
	name     string
	flags    []string        // besides those of a setting
	floor    bool            // it sends frames back as they came, masks included
	secure   []contract.Mode // the modes in which it can do TLS
	quirks   quirks
	supports []setting
}{
	{name: "server", secure: []contract.Mode{contract.Conn, contract.Loop}, supports: settingsOf(contract.Conn, contract.Loop)},
	{name: "server", flags: []string{"-window", "12"}, quirks: quirks{takeover: []string{"client_max_window_bits=12"}},
		supports: settingsOf(contract.Conn, contract.Loop)},
	{name: "peer-gorilla", secure: []contract.Mode{contract.Conn}, supports: []setting{{contract.Conn, contract.Off}, {contract.Conn, contract.NoTakeover}}},
	{name: "peer-coder", secure: []contract.Mode{contract.Conn}, supports: []setting{{contract.Conn, contract.Off}, {contract.Conn, contract.NoTakeover}, {contract.Conn, contract.Takeover}}},
	{name: "peer-gobwas", secure: []contract.Mode{contract.Conn}, supports: []setting{{contract.Conn, contract.Off}, {contract.Conn, contract.NoTakeover}}},
	{name: "peer-gws", secure: []contract.Mode{contract.Conn}, quirks: quirks{takeover: []string{"client_max_window_bits=12", "server_max_window_bits=12"}}, supports: []setting{{contract.Conn, contract.Off}, {contract.Conn, contract.NoTakeover}, {contract.Conn, contract.Takeover}}},
	{name: "peer-nbio", secure: []contract.Mode{contract.Conn, contract.Loop}, quirks: quirks{noEmpty: true, mayCut: true}, supports: []setting{
		{contract.Conn, contract.Off}, {contract.Conn, contract.NoTakeover},
		{contract.Loop, contract.Off}, {contract.Loop, contract.NoTakeover},
	}},
	{name: "floor-goroutine", floor: true, secure: []contract.Mode{contract.Conn}, supports: []setting{{contract.Conn, contract.Off}}},
	{name: "floor-epoll", floor: true, supports: []setting{{contract.Loop, contract.Off}}},
}

// quirks are the points of the contract that a peer cannot keep.
type quirks struct {
	// noEmpty: it never hands an empty message to the application.
	noEmpty bool
	// mayCut: it may cut a new connection while others are being reset. Its
	// event loop looks descriptors up after they have changed hands.
	mayCut bool
	// takeover are the parameters in its answer to an offer with takeover.
	takeover []string
}

// smallest is the size of the smallest message that is echoed.
func (q quirks) smallest() int {
	if q.noEmpty {
		return 1
	}
	return 0
}

type setting struct {
	mode     contract.Mode
	compress contract.Compression
}

func (s setting) flags() []string {
	return []string{"-mode", string(s.mode), "-compress", string(s.compress)}
}

// settingsOf are modes with every compression.
func settingsOf(modes ...contract.Mode) (all []setting) {
	for _, m := range modes {
		all = append(all, setting{m, contract.Off}, setting{m, contract.NoTakeover}, setting{m, contract.Takeover})
	}
	return all
}

// settings are all that the flags can say, and two that they cannot.
func settings() (all []setting) {
	for _, mode := range []contract.Mode{contract.Conn, contract.Loop} {
		for _, compress := range []contract.Compression{contract.Off, contract.NoTakeover, contract.Takeover} {
			all = append(all, setting{mode, compress})
		}
	}
	return append(all, setting{"fibre", contract.Off}, setting{contract.Conn, "brotli"})
}

func TestServers(t *testing.T) {
	var names []string
	for _, s := range servers {
		names = append(names, s.name)
	}
	dir := build(t, names)
	for _, s := range servers {
		path := filepath.Join(dir, s.name)
		t.Run(strings.Join(append([]string{s.name}, s.flags...), " "), func(t *testing.T) {
			for _, set := range settings() {
				t.Run(fmt.Sprintf("%s,%s", set.mode, set.compress), func(t *testing.T) {
					switch {
					case !slices.Contains(s.supports, set):
						if status := exitStatus(t, path, append(set.flags(), s.flags...)...); status != 3 {
							t.Errorf("exit status %d, want 3", status)
						}
					case s.floor:
						testFloor(t, start(t, path, append(set.flags(), s.flags...)...))
					default:
						testPeer(t, start(t, path, append(set.flags(), s.flags...)...), set.compress, s.quirks)
					}
				})
			}
			if s.flags == nil {
				testTLS(t, path, s.floor, s.secure)
			}
		})
	}
}

// testPeer puts one server to everything, in the order of its life, and ends
// it.
func testPeer(t *testing.T, p *process, compress contract.Compression, q quirks) {
	t.Run("echo", func(t *testing.T) { testEcho(t, p, q.smallest()) })
	t.Run("order", func(t *testing.T) { testOrder(t, p, q.smallest()) })
	t.Run("broadcast", func(t *testing.T) { testBroadcast(t, p, q.smallest()) })
	t.Run("negotiation", func(t *testing.T) { testNegotiation(t, p, compress, q.takeover) })
	if compress != contract.Off {
		t.Run("compression", func(t *testing.T) { testCompression(t, p, compress) })
	}
	t.Run("reset", func(t *testing.T) {
		testResets(t, p)
		p.collect()
		for {
			_, err := tryRaw(t, p.addr, "/", "")
			if err == nil {
				break
			}
			if !q.mayCut || t.Context().Err() != nil {
				t.Fatal(err)
			}
		}
		testOrder(t, p, q.smallest())
	})
	for range 100 {
		dial(t, p, "/") // still open when the server is told to end
	}
	p.terminate()
}

func dial(t *testing.T, p *process, path string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+p.addr+path, &websocket.DialOptions{
		Options: websocket.Options{ReadLimit: contract.ReadLimit},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// limited is a context for the messages of one test.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// payload returns n bytes of ASCII that differ from one seed to the next and
// do not repeat within a frame's border.
func payload(n, seed int) []byte {
	p := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = 'a' + byte(x>>24)%26
	}
	return p
}

func send(t *testing.T, c *websocket.Conn, typ websocket.MessageType, p []byte) {
	t.Helper()
	if err := c.Write(limited(t), typ, p); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c *websocket.Conn, typ websocket.MessageType, want []byte) {
	t.Helper()
	gotType, got, err := c.Read(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if gotType != typ || !bytes.Equal(got, want) {
		t.Fatalf("received %d bytes of %v, want the %d of %v that were sent", len(got), gotType, len(want), typ)
	}
}

func testEcho(t *testing.T, p *process, smallest int) {
	c := dial(t, p, "/")
	for _, typ := range []websocket.MessageType{websocket.Text, websocket.Binary} {
		for _, size := range []int{smallest, 1, 125, 126, 65535, 65536, 1 << 20, contract.ReadLimit} {
			message := payload(size, size)
			// In the background: a server may write before it has read all.
			sent := make(chan error, 1)
			go func() { sent <- c.Write(limited(t), typ, message) }()
			expect(t, c, typ, message)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// pipelined returns 100 messages of all frame formats and both types.
func pipelined(smallest int) (messages []websocket.Message) {
	for i := range 100 {
		typ := websocket.Text
		if i%3 == 0 {
			typ = websocket.Binary
		}
		size := []int{smallest, 7, 64, 125, 126, 1024, 5000}[i%7]
		messages = append(messages, websocket.Message{Type: typ, Data: payload(size, i)})
	}
	return messages
}

// testOrder sends a batch in one write, so that the server finds many messages
// in one read.
func testOrder(t *testing.T, p *process, smallest int) {
	c := dialRaw(t, p.addr, "/", "")
	var batch []byte
	for _, m := range pipelined(smallest) {
		batch = append(batch, masked(websocket.Opcode(m.Type), 0, m.Data)...)
	}
	c.write(batch)
	for i, want := range pipelined(smallest) {
		h, got := c.readMessage()
		if h.RSV != 0 || h.Opcode != websocket.Opcode(want.Type) || !bytes.Equal(got, want.Data) {
			t.Fatalf("message %d: header %+v with %d bytes, want %d of %v", i, h, len(got), len(want.Data), want.Type)
		}
	}
}

// testBroadcast lets five connections in, one after the other. A connection is
// in when it has received a message of its own; the others receive it too.
func testBroadcast(t *testing.T, p *process, smallest int) {
	var in []*websocket.Conn
	broadcast := func(from *websocket.Conn, typ websocket.MessageType, message []byte) {
		t.Helper()
		send(t, from, typ, message)
		for _, c := range in {
			expect(t, c, typ, message)
		}
	}
	for i := range 5 {
		in = append(in, dial(t, p, "/broadcast"))
		broadcast(in[i], websocket.Binary, payload(100, i))
	}
	outside := dial(t, p, "/")
	broadcast(in[2], websocket.Text, payload(70000, 1))
	broadcast(in[0], websocket.Text, payload(smallest, 2))
	send(t, outside, websocket.Text, []byte("mine"))
	expect(t, outside, websocket.Text, []byte("mine")) // and nothing before it

	// One that leaves is no reason for the others to be left out.
	if err := in[4].CloseNow(); err != nil {
		t.Fatal(err)
	}
	in = in[:4]
	for i := range 20 {
		broadcast(in[i%4], websocket.Text, payload(50, i))
	}
}

const offer = "permessage-deflate; client_max_window_bits"

// testNegotiation checks what the server answers to the offer that browsers
// make, and that without one there is no extension.
func testNegotiation(t *testing.T, p *process, compress contract.Compression, takeover []string) {
	if c := dialRaw(t, p.addr, "/", ""); c.extensions != "" {
		t.Errorf("answer without an offer: %q", c.extensions)
	}
	c := dialRaw(t, p.addr, "/", offer)
	var params []string
	for param := range strings.SplitSeq(c.extensions, ";") {
		params = append(params, strings.TrimSpace(param))
	}
	slices.Sort(params)
	want := map[contract.Compression][]string{
		contract.Off:        {""},
		contract.NoTakeover: {"client_no_context_takeover", "permessage-deflate", "server_no_context_takeover"},
		contract.Takeover:   append([]string{"permessage-deflate"}, takeover...),
	}[compress]
	slices.Sort(want)
	if !slices.Equal(params, want) {
		t.Errorf("answer %q, want %q", c.extensions, want)
	}
}

// testCompression sends compressible messages, and wants them back compressed,
// with the window of those before them where there is takeover.
func testCompression(t *testing.T, p *process, compress contract.Compression) {
	takeover := compress == contract.Takeover
	c := dialRaw(t, p.addr, "/", offer)
	out, in := deflater{takeover: takeover}, inflater{takeover: takeover}
	random := payload(window-100, 1)
	var sizes []int
	for i := range 4 {
		message := fmt.Appendf(nil, "message %d: %s", i, random)
		c.write(masked(websocket.OpText, websocket.RSV1, out.compress(t, message)))
		h, reply := c.readMessage()
		if h.Opcode != websocket.OpText || h.RSV != websocket.RSV1 {
			t.Fatalf("message %d: header %+v", i, h)
		}
		if got := in.decompress(t, reply); !bytes.Equal(got, message) {
			t.Fatalf("message %d: %d bytes, want the %d that were sent", i, len(got), len(message))
		}
		sizes = append(sizes, len(reply))
	}
	// The same message again takes a few bytes, or as many as the first time.
	if again := sizes[3] < sizes[0]/4; again != takeover {
		t.Errorf("sizes of the replies: %v", sizes)
	}

	// A message in the clear is in order at any time.
	c.write(masked(websocket.OpBinary, 0, []byte("clear")))
	h, reply := c.readMessage()
	if h.RSV == websocket.RSV1 {
		reply = in.decompress(t, reply)
	}
	if h.Opcode != websocket.OpBinary || string(reply) != "clear" {
		t.Errorf("a message in the clear came back as %q, header %+v", reply, h)
	}
}

// testResets resets connections that are idle, that are in the middle of a
// frame, and that have replies under way.
func testResets(t *testing.T, p *process) {
	frame := masked(websocket.OpText, 0, payload(5000, 1))
	var all []*rawConn
	for _, path := range []string{"/", "/broadcast"} {
		for range 10 {
			for _, sent := range [][]byte{nil, frame[:len(frame)/2], bytes.Repeat(frame, 20)} {
				c := dialRaw(t, p.addr, path, "")
				c.write(sent)
				all = append(all, c)
			}
		}
	}
	for _, c := range all {
		c.reset()
	}
}
