package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// TestEchoIsExact sends our testees what sections 9 and 10 of the suite send,
// and looks at what the suite does not: the bytes of the echo. The payloads
// are no repetition of anything, so that a piece which is lost, doubled or
// misplaced shows.
func TestEchoIsExact(t *testing.T) {
	const k, m = 1 << 10, 1 << 20
	type shape struct {
		cases          string
		size           int
		fragment, chop int // bytes; 0 for all at once
		times          int
	}
	var shapes []shape
	for i, size := range []int{64 * k, 256 * k, m, 4 * m, 8 * m, 16 * m} {
		shapes = append(shapes, shape{fmt.Sprintf("9.1.%d and 9.2.%[1]d", i+1), size, 0, 0, 1})
	}
	for i, n := range []int{64, 256, k, 4 * k, 16 * k, 64 * k, 256 * k, m, 4 * m} {
		shapes = append(shapes, shape{fmt.Sprintf("9.3.%d and 9.4.%[1]d", i+1), 4 * m, n, 0, 1})
	}
	for i, n := range []int{64, 128, 256, 512, k, 2 * k} {
		shapes = append(shapes, shape{fmt.Sprintf("9.5.%d and 9.6.%[1]d", i+1), m, 0, n, 1})
	}
	for i, size := range []int{0, 16, 64, 256, k, 4 * k} {
		shapes = append(shapes, shape{fmt.Sprintf("9.7.%d and 9.8.%[1]d", i+1), size, 0, 0, 100})
	}
	shapes = append(shapes, shape{"10.1.1", 64 * k, 1300, 0, 1})

	text, noise := payloads(16 * m)
	for name, connect := range map[string]func(*testing.T, string) *rawPeer{"server": rawClient, "client": rawServer} {
		t.Run(name, func(t *testing.T) {
			p := connect(t, "")
			for _, s := range shapes {
				if raceEnabled { // which looks at every byte
					s.size /= 16
				}
				for range s.times {
					for op, data := range map[websocket.Opcode][]byte{websocket.OpText: text, websocket.OpBinary: noise} {
						n := s.size
						for op == websocket.OpText && !utf8.RuneStart(data[n]) {
							n-- // not in the middle of a character
						}
						data = data[:n]
						go p.send(op, data, s.fragment, s.chop)
						got, echo, err := p.receive()
						if err != nil || got != op || !bytes.Equal(echo, data) {
							t.Fatalf("cases %s: sent %d bytes by opcode %d, got %d by %d, %v; the same up to %d", s.cases,
								len(data), op, len(echo), got, err, common(data, echo))
						}
					}
				}
			}
		})
	}
}

// payloads returns a text and a binary message of n bytes without a pattern.
func payloads(n int) (text, noise []byte) {
	state := uint64(1)
	next := func() uint64 {
		state = state*6364136223846793005 + 1442695040888963407
		return state >> 33
	}
	for len(noise) < n {
		noise = binary.LittleEndian.AppendUint32(noise, uint32(next()<<1))
	}
	limits := []rune{0x80, 0x800, 0xd800, 0x10000} // every length of encoding comes often
	for len(text) < n+utf8.UTFMax {
		v := next()
		text = utf8.AppendRune(text, rune(v>>2)%limits[v%4])
	}
	return text, noise
}

// common returns how far two slices agree.
func common(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// rawPeer is the other end of one of our testees, and knows nothing of
// messages.
type rawPeer struct {
	nc     net.Conn
	br     *bufio.Reader
	client bool // we mask, the testee does not
}

const rfcKey = "dGhlIHNhbXBsZSBub25jZQ=="

// rawClient connects to the testee for the server's side. header, if not empty,
// is a line to be added to the handshake.
func rawClient(t *testing.T, header string) *rawPeer {
	s, err := startEchoServer("conn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", rfcKey, header)
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return &rawPeer{nc, br, true}
}

// rawServer lets the testee for the client's side connect, and adds header as
// rawClient does.
func rawServer(t *testing.T, header string) *rawPeer {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { ln.Close() })
	go func() {
		s := &fuzzingServer{url: "ws://" + ln.Addr().String()}
		s.runCase(context.Background(), 1)
	}()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(time.Minute))
	br := bufio.NewReader(nc)
	req, err := http.ReadRequest(br)
	if err != nil {
		t.Fatal(err)
	}
	if req.URL.Path != "/runCase" || req.URL.Query().Get("case") != "1" || req.URL.Query().Get("agent") != agent {
		t.Errorf("asked for %v", req.URL)
	}
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\n%s\r\n", websocket.AcceptKey(req.Header.Get("Sec-WebSocket-Key")), header)
	return &rawPeer{nc, br, false}
}

// send writes a message in fragments of the given size, and each of these in
// writes of the given size.
func (p *rawPeer) send(op websocket.Opcode, data []byte, fragment, chop int) {
	var out io.Writer = p.nc
	if chop == 0 {
		w := bufio.NewWriterSize(p.nc, 1<<20)
		defer w.Flush()
		out, chop = w, 1<<30
	}
	if fragment == 0 {
		fragment = len(data)
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for first := true; first || len(data) > 0; first = false {
		n := min(fragment, len(data))
		h := websocket.Header{Fin: n == len(data), Opcode: op, Length: int64(n)}
		wire := bytes.Clone(data[:n])
		if p.client {
			h.Masked, h.Key = true, key
			websocket.Mask(wire, key, 0)
		}
		wire = append(h.Append(nil), wire...)
		for len(wire) > 0 {
			m, err := out.Write(wire[:min(chop, len(wire))])
			if err != nil {
				return // receive will see it, too
			}
			wire = wire[m:]
		}
		data, op = data[n:], websocket.OpContinuation
	}
}

// receive reads a message.
func (p *rawPeer) receive() (op websocket.Opcode, data []byte, err error) {
	for first := true; ; first = false {
		head, err := p.br.Peek(2)
		if err != nil {
			return op, data, err
		}
		n := 2 + map[byte]int{126: 2, 127: 8}[head[1]&0x7f]
		if !p.client {
			n += 4
		}
		if head, err = p.br.Peek(n); err != nil {
			return op, data, err
		}
		h, used, err := websocket.ParseHeader(head)
		if err != nil {
			return op, data, err
		}
		if used != n || h.Masked == p.client {
			return op, data, errors.New("wrong masking")
		}
		p.br.Discard(n)
		if first {
			op = h.Opcode
		} else if h.Opcode != websocket.OpContinuation {
			return op, data, fmt.Errorf("opcode %d inside the message", h.Opcode)
		}
		from := len(data)
		data = append(data, make([]byte, h.Length)...)
		if _, err := io.ReadFull(p.br, data[from:]); err != nil {
			return op, data, err
		}
		websocket.Mask(data[from:], h.Key, 0)
		if h.Fin {
			return op, data, nil
		}
	}
}

// TestTesteeOnLoop: -mode loop is the same echo.
func TestTesteeOnLoop(t *testing.T) {
	s, err := startEchoServer("loop")
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	c, _, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{Options: testeeOptions})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, msg := range []string{"", "hello", strings.Repeat("x", 1<<20)} {
		if err := c.Write(t.Context(), websocket.Text, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(t.Context()); err != nil || string(p) != msg {
			t.Errorf("%d bytes came back as %d, %v", len(msg), len(p), err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}
