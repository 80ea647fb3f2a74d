package websocket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// The key and the answer to it are those of RFC 6455, section 1.3.
const (
	rfcKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// handshakeRequest is an opening handshake for the wire, to be spoilt line by
// line.
type handshakeRequest struct {
	first string
	lines []string
	rest  string // what follows the head
}

func newHandshakeRequest() *handshakeRequest {
	return &handshakeRequest{
		first: "GET /chat HTTP/1.1",
		lines: []string{
			"Host: server.example",
			"Upgrade: websocket",
			"Connection: Upgrade",
			"Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: " + rfcKey,
		},
	}
}

// set puts lines in the place of those that have the first one's name.
func (q *handshakeRequest) set(lines ...string) *handshakeRequest {
	name, _, _ := strings.Cut(lines[0], ":")
	return q.drop(name).add(lines...)
}

func (q *handshakeRequest) drop(name string) *handshakeRequest {
	q.lines = slices.DeleteFunc(q.lines, func(line string) bool {
		n, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(n, name)
	})
	return q
}

func (q *handshakeRequest) add(lines ...string) *handshakeRequest {
	q.lines = append(q.lines, lines...)
	return q
}

func (q *handshakeRequest) String() string {
	return q.first + "\r\n" + strings.Join(q.lines, "\r\n") + "\r\n\r\n" + q.rest
}

// exchangeRaw sends a request over a connection of its own, and waits until the
// server has closed it. It returns the response with all that came behind its
// head.
func exchangeRaw(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	br := bufio.NewReader(bytes.NewReader(answer))
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	behind, _ := io.ReadAll(br)

	// ReadResponse keeps Connection to itself.
	_, head, _ := bytes.Cut(answer, []byte("\r\n"))
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(head))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	resp.Header = http.Header(header)
	return resp, string(body) + string(behind)
}

// rawPeer is a client that speaks frames by hand.
type rawPeer struct {
	t  *testing.T
	nc net.Conn
	br *bufio.Reader
}

// dialRaw makes a handshake that the server accepts. What early holds is sent
// in one packet with it.
func dialRaw(t *testing.T, addr string, early ...byte) *rawPeer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	q := newHandshakeRequest()
	q.rest = string(early)
	return newRawPeer(t, nc, q.String())
}

func newRawPeer(t *testing.T, nc net.Conn, request string) *rawPeer {
	t.Helper()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	p := &rawPeer{t: t, nc: nc, br: bufio.NewReader(nc)}
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101", resp.StatusCode)
	}
	return p
}

// readClose reads frames up to a close frame and returns its code; it returns
// 0 if the connection ends without one.
func (p *rawPeer) readClose() StatusCode {
	p.t.Helper()
	var head []byte
	for {
		b, err := p.br.ReadByte()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				p.t.Error("neither a close frame nor the end came in 10 seconds")
			}
			return 0
		}
		head = append(head, b)
		h, n, err := ParseHeader(head)
		if err != nil {
			p.t.Error(err)
			return 0
		}
		if n == 0 {
			continue
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p.br, payload); err != nil {
			return 0
		}
		if h.Opcode == OpClose {
			code, _, err := parseClosePayload(payload)
			if err != nil {
				p.t.Error(err)
			}
			return code
		}
		head = nil
	}
}

// replyClose answers a close frame and waits for the end of the connection.
func (p *rawPeer) replyClose(code StatusCode) {
	p.t.Helper()
	if _, err := p.nc.Write(rawClose(code)); err != nil {
		p.t.Fatal(err)
	}
	if rest, err := io.ReadAll(p.br); err != nil || len(rest) > 0 {
		p.t.Errorf("behind the closing handshake: %x, %v, want the end", rest, err)
	}
}

// untilEnd takes part in whatever end the server gives the connection, and
// returns the code of its close frame or 0.
func (p *rawPeer) untilEnd() StatusCode {
	p.t.Helper()
	code := p.readClose()
	if code != 0 {
		p.replyClose(code)
	}
	return code
}

// rawClose is what a client sends.
func rawClose(code StatusCode) []byte {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	h := Header{Fin: true, Opcode: OpClose, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: 2}
	Mask(payload, h.Key, 0)
	return append(h.Append(nil), payload...)
}
