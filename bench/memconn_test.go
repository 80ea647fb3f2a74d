package bench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// sizes are the payload sizes: a tick, the most that a short header can
// announce, a document, and more than any library buffers.
var sizes = []int{16, 125, 1 << 10, 64 << 10}

// wireSize is about how much input a memConn repeats: more than a read takes
// at once, and little enough to stay in the processor's second cache.
const wireSize = 256 << 10

// memConn is a connection that costs next to nothing, so that what is measured
// is the library. It can be read without end: the same frames come again and
// again, as many whole ones as the buffer has room for, as from a peer that is
// always ahead. Bytes written to it are counted and dropped.
//
// One goroutine reads and one writes.
type memConn struct {
	wire  []byte // frames of one length, to be read over and over
	frame int    // that length
	pos   int
	ended bool // Read returns io.EOF from now on

	writes  int           // calls of Write since the handshake
	written int           // bytes in them
	tape    *bytes.Buffer // keeps what was written, if not nil

	// A client shakes hands with the connection itself: Write takes the
	// request, up to its end, and has the first Read return the response.
	asking   bool          // Write's own, as are the next two
	request  []byte        // what has come of it
	answer   chan<- []byte // where the response goes
	response <-chan []byte // where it comes from; Read's own, nil when it has
}

// newMemConn returns a connection on which frames with that payload arrive,
// each masked with a key of its own if the reader is a server. With client set,
// an opening handshake comes first.
func newMemConn(payload []byte, server, client bool) *memConn {
	c := new(memConn)
	h := websocket.Header{Fin: true, Opcode: websocket.OpBinary, Masked: server, Length: int64(len(payload))}
	for i := uint32(0); len(c.wire) < wireSize; i++ {
		binary.LittleEndian.PutUint32(h.Key[:], 0x9e3779b9*(i+1))
		c.wire = h.Append(c.wire)
		start := len(c.wire)
		c.wire = append(c.wire, payload...)
		if server {
			websocket.Mask(c.wire[start:], h.Key, 0)
		}
		if i == 0 {
			c.frame = len(c.wire)
		}
	}
	if client {
		response := make(chan []byte, 1)
		c.asking, c.answer, c.response = true, response, response
	}
	return c
}

func (c *memConn) Read(p []byte) (int, error) {
	if c.response != nil {
		r := <-c.response
		c.response = nil
		return copy(p, r), nil
	}
	if c.ended {
		return 0, io.EOF
	}
	end := min(c.pos+len(p), len(c.wire))
	if whole := end - end%c.frame; whole > c.pos {
		end = whole
	}
	n := copy(p, c.wire[c.pos:end])
	c.pos = end
	if end == len(c.wire) {
		c.pos = 0
	}
	return n, nil
}

func (c *memConn) Write(p []byte) (int, error) {
	if c.asking {
		return len(p), c.ask(p)
	}
	c.writes++
	c.written += len(p)
	if c.tape != nil {
		c.tape.Write(p)
	}
	return len(p), nil
}

// ask takes a piece of the client's request.
func (c *memConn) ask(p []byte) error {
	c.request = append(c.request, p...)
	if !bytes.HasSuffix(c.request, []byte("\r\n\r\n")) {
		return nil
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(c.request)))
	if err != nil {
		return err
	}
	c.asking = false
	c.answer <- fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		websocket.AcceptKey(r.Header.Get("Sec-WebSocket-Key")))
	return nil
}

func (c *memConn) Close() error                     { return nil }
func (c *memConn) LocalAddr() net.Addr              { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr             { return memAddr{} }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "memory" }

// hijackWriter is a ResponseWriter that gives nc away, with the buffers that
// net/http has for a connection.
type hijackWriter struct {
	header http.Header
	nc     *memConn
}

func (w hijackWriter) Header() http.Header         { return w.header }
func (w hijackWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w hijackWriter) WriteHeader(int)             {}

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.nc, bufio.NewReadWriter(bufio.NewReaderSize(w.nc, 4<<10), bufio.NewWriterSize(w.nc, 4<<10)), nil
}

// upgrade returns what a server's handshake wants: where to answer, and a
// request to open a connection.
func upgrade(nc *memConn) (http.ResponseWriter, *http.Request) {
	r, _ := http.NewRequest("GET", "http://server.example/", nil)
	r.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	return hijackWriter{http.Header{}, nc}, r
}

// payload returns n bytes that show where they belong.
func payload(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*31
	}
	return p
}

// messages decodes what was written: each message with its fragments joined.
func messages(wire []byte, masked bool) (all [][]byte, err error) {
	var msg []byte
	for len(wire) > 0 {
		h, n, err := websocket.ParseHeader(wire)
		switch {
		case err != nil:
			return nil, err
		case n == 0 || h.Length > int64(len(wire)-n):
			return nil, errors.New("a frame is cut off")
		case h.Masked != masked:
			return nil, fmt.Errorf("masked is %v", h.Masked)
		}
		p := wire[n : n+int(h.Length)]
		wire = wire[n+int(h.Length):]
		if h.Masked {
			websocket.Mask(p, h.Key, 0)
		}
		if msg = append(msg, p...); h.Fin {
			all, msg = append(all, msg), nil
		}
	}
	return all, nil
}

// maskedOrPlain is a part of a benchmark's name. Frames from a client to a server are
// masked; those of a server are plain.
func maskedOrPlain(masked bool) string {
	if masked {
		return "masked"
	}
	return "plain"
}

// must ends the test or benchmark if something went wrong.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
