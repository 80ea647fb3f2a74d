package wstest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Client is the client's end of a connection, which speaks frames by hand.
type Client struct {
	T    testing.TB
	Conn net.Conn
	R    *bufio.Reader // of Conn
}

// DialClient makes a handshake that the server accepts. What early holds is sent in
// one packet with it. The test's cleanup closes the connection.
func DialClient(t testing.TB, addr string, early ...byte) *Client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	q := NewRequest()
	q.Rest = string(early)
	return NewClient(t, nc, q.String())
}

// NewClient makes a handshake on nc.
func NewClient(t testing.TB, nc net.Conn, request string) *Client {
	t.Helper()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	p := &Client{Conn: nc, R: bufio.NewReader(nc), T: t}
	resp, err := http.ReadResponse(p.R, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101", resp.StatusCode)
	}
	return p
}

// ReadClose reads frames up to a close frame and returns its code, 1005 for none; it
// returns 0 if the connection ends without one.
func (p *Client) ReadClose() (code uint16) {
	p.T.Helper()
	for {
		first, payload, err := p.readFrame()
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				p.T.Errorf("neither a close frame nor the end came in %v", patience)
			}
			return 0
		}
		if first&0xF != 8 {
			continue
		}
		switch len(payload) {
		case 0:
			return 1005
		case 1:
			p.T.Errorf("a close frame with the payload %x", payload)
			return 0
		}
		return binary.BigEndian.Uint16(payload)
	}
}

// readFrame reads a frame of a server, which is not masked.
func (p *Client) readFrame() (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.R, head[:]); err != nil {
		return 0, nil, err
	}
	if head[1]&0x80 != 0 {
		p.T.Errorf("the header %x of a masked frame", head)
	}
	n := uint64(head[1] & 0x7F)
	switch n {
	case 126:
		var size [2]byte
		_, err = io.ReadFull(p.R, size[:])
		n = uint64(binary.BigEndian.Uint16(size[:]))
	case 127:
		var size [8]byte
		_, err = io.ReadFull(p.R, size[:])
		n = binary.BigEndian.Uint64(size[:])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(p.R, payload)
	return head[0], payload, err
}

// ReplyClose answers a close frame and waits for the end of the connection.
func (p *Client) ReplyClose(code uint16) {
	p.T.Helper()
	if _, err := p.Conn.Write(CloseFrame(code)); err != nil {
		p.T.Fatal(err)
	}
	if rest, err := io.ReadAll(p.R); err != nil || len(rest) > 0 {
		p.T.Errorf("behind the closing handshake: %x, %v, want the end", rest, err)
	}
}

// UntilEnd takes part in whatever end the server gives the connection, and returns
// the code of its close frame or 0.
func (p *Client) UntilEnd() (code uint16) {
	p.T.Helper()
	code = p.ReadClose()
	if code != 0 {
		p.ReplyClose(code)
	}
	return code
}

// CloseFrame is a close frame as a client sends it.
func CloseFrame[C ~uint16](code C) []byte {
	return Frame(0x88, string(binary.BigEndian.AppendUint16(nil, uint16(code))))
}

// Frame is a frame with this first byte as a client sends it.
func Frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}
