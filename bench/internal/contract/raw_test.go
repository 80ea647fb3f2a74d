package contract_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Of RFC 6455, section 1.3.
const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// rawConn is a client without a library: what it sends and receives are bytes.
type rawConn struct {
	t *testing.T
	net.Conn
	tcp        *net.TCPConn // under Conn
	in         *bufio.Reader
	extensions string // Sec-WebSocket-Extensions of the response
}

// dialRaw makes the handshake, with an offer of extensions unless it is "".
func dialRaw(t *testing.T, addr, path, offer string) *rawConn {
	t.Helper()
	c, err := tryRaw(t, addr, path, offer)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryRaw(t *testing.T, addr, path, offer string) (*rawConn, error) {
	nc, err := net.DialTimeout("tcp", addr, testTimeout)
	if err != nil {
		return nil, err
	}
	return upgrade(t, nc.(*net.TCPConn), nc, path, offer)
}

// dialSecure makes the handshake over TLS.
func dialSecure(t *testing.T, addr, path string) *rawConn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, testTimeout)
	if err != nil {
		t.Fatal(err)
	}
	c, err := upgrade(t, nc.(*net.TCPConn), tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), path, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// upgrade makes the handshake on nc, which is tcp or TLS over it.
func upgrade(t *testing.T, tcp *net.TCPConn, nc net.Conn, path, offer string) (*rawConn, error) {
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(testTimeout))
	request := "GET " + path + " HTTP/1.1\r\nHost: " + nc.RemoteAddr().String() + "\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + sampleKey + "\r\n"
	if offer != "" {
		request += "Sec-WebSocket-Extensions: " + offer + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		return nil, err
	}
	c := &rawConn{t: t, Conn: nc, tcp: tcp, in: bufio.NewReader(nc)}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != sampleAccept {
		return nil, fmt.Errorf("response: %s %v", response.Status, response.Header)
	}
	c.extensions = response.Header.Get("Sec-WebSocket-Extensions")
	return c, nil
}

func (c *rawConn) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads len(want) bytes and compares them.
func (c *rawConn) expect(want []byte) {
	c.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c.in, got); err != nil {
		c.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		c.t.Fatalf("%d bytes came back, but not those that were sent", len(got))
	}
}

// reset ends the connection with a TCP reset instead of a FIN.
func (c *rawConn) reset() {
	c.t.Helper()
	if err := c.tcp.SetLinger(0); err != nil {
		c.t.Fatal(err)
	}
	c.Close()
}

// masked returns p as one client's frame.
func masked(op websocket.Opcode, rsv uint8, p []byte) []byte {
	h := websocket.Header{Fin: true, RSV: rsv, Opcode: op, Masked: true, Key: [4]byte{1, 2, 3, 4}, Length: int64(len(p))}
	frame := h.Append(nil)
	start := len(frame)
	frame = append(frame, p...)
	websocket.Mask(frame[start:], h.Key, 0)
	return frame
}

// readMessage reads one message of the server, which may come in fragments. h
// is the header of the first.
func (c *rawConn) readMessage() (h websocket.Header, p []byte) {
	c.t.Helper()
	for {
		next := c.readHeader()
		if next.Masked {
			c.t.Fatalf("header %+v", next)
		}
		if h.Opcode == 0 {
			h = next
		} else if next.Opcode != websocket.OpContinuation || next.RSV != 0 {
			c.t.Fatalf("header %+v of a continuation", next)
		}
		start := len(p)
		p = append(p, make([]byte, next.Length)...)
		if _, err := io.ReadFull(c.in, p[start:]); err != nil {
			c.t.Fatal(err)
		}
		if next.Fin {
			return h, p
		}
	}
}

func (c *rawConn) readHeader() websocket.Header {
	c.t.Helper()
	var b []byte
	for {
		next, err := c.in.ReadByte()
		if err != nil {
			c.t.Fatal(err)
		}
		b = append(b, next)
		h, n, err := websocket.ParseHeader(b)
		if err != nil {
			c.t.Fatal(err)
		}
		if n > 0 {
			return h
		}
	}
}

// window is the smallest that a server may ask of its client here, in bytes
// (RFC 7692, section 7.1.2.2). A client may always use less than it could.
const window = 4 << 10

// deflater is a client's half of permessage-deflate (section 7.2.1).
type deflater struct {
	takeover bool
	before   []byte // what earlier messages have left in the window
}

func (d *deflater) compress(t *testing.T, p []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, flate.BestSpeed, d.before)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if d.takeover {
		d.before = append(d.before, p...)
		d.before = d.before[max(0, len(d.before)-window):]
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// inflater is the other half (section 7.2.2).
type inflater struct {
	takeover bool
	before   []byte // all that has come; the last 32 KiB count
}

func (i *inflater) decompress(t *testing.T, p []byte) []byte {
	t.Helper()
	end := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff} // the tail, and a last block
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(p), bytes.NewReader(end)), i.before)
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if i.takeover {
		i.before = append(i.before, plain...)
	}
	return plain
}
