package websocket

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// The benchmarks' names are made of pairs of key and value, for benchstat.
// Those of the masks and of an echo over TCP are beside their tests.

var benchSizes = []int{16, 125, 1 << 10, 64 << 10}

// eachFrame runs f for masked and for plain frames of every size. Masked is
// what a server reads and a client writes.
func eachFrame(b *testing.B, f func(b *testing.B, masked bool, size int)) {
	for _, masked := range []bool{true, false} {
		for _, size := range benchSizes {
			name := "plain"
			if masked {
				name = "masked"
			}
			b.Run(fmt.Sprintf("%s/size=%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				f(b, masked, size)
			})
		}
	}
}

func benchHeader(masked bool, size int) Header {
	return Header{Fin: true, Opcode: OpBinary, Masked: masked, Key: [4]byte{0x12, 0xed, 0x7f, 0x80}, Length: int64(size)}
}

func BenchmarkParseHeader(b *testing.B) {
	eachFrame(b, func(b *testing.B, masked bool, size int) {
		wire := benchHeader(masked, size).Append(nil)
		for b.Loop() {
			if _, n, err := ParseHeader(wire); n != len(wire) || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}

func BenchmarkHeaderAppend(b *testing.B) {
	eachFrame(b, func(b *testing.B, masked bool, size int) {
		h, buf := benchHeader(masked, size), make([]byte, 0, maxHeaderSize)
		want := len(h.Append(nil))
		for b.Loop() {
			if len(h.Append(buf)) != want {
				b.Fatal("another length")
			}
		}
	})
}

// BenchmarkReceiver: an operation takes a message from memory and moves it.
func BenchmarkReceiver(b *testing.B) {
	eachFrame(b, func(b *testing.B, masked bool, size int) {
		b.SetBytes(int64(size))
		wire := append(benchHeader(masked, size).Append(nil), make([]byte, size)...)
		dst := make([]byte, size)
		r := receiver{client: !masked, limit: defaultReadLimit}
		for b.Loop() {
			n, ev, _, err := r.next(wire)
			if ev != evData || err != nil {
				b.Fatal(ev, err)
			}
			if err := r.payloadTo(dst, wire[n:]); err != nil {
				b.Fatal(err)
			}
			if end, err := r.endFrame(); !end || err != nil {
				b.Fatal(end, err)
			}
		}
	})
}

// BenchmarkSender: an operation makes a frame of a message, masking key
// included.
func BenchmarkSender(b *testing.B) {
	eachFrame(b, func(b *testing.B, masked bool, size int) {
		b.SetBytes(int64(size))
		s := sender{client: masked}
		p, buf := make([]byte, size), make([]byte, 0, size+maxHeaderSize)
		want := len(benchHeader(masked, size).Append(nil)) + size
		for b.Loop() {
			if len(appendFrame(buf, s.next(OpBinary, true, size), p)) != want {
				b.Fatal("another length")
			}
		}
	})
}

// endless is a transport in memory. What can be read from it are the frames in
// wire, over and over, as many whole ones at a time as there is room for; what
// is written to it is counted and dropped.
type endless struct {
	net.Conn // for the methods that nobody calls
	wire     []byte
	frame    int // the length of each frame in wire
	pos      int
	writes   int
	written  int
}

func newEndless(masked bool, size int) *endless {
	const wireSize = 256 << 10
	f := frame(OpBinary, true, masked, string(pattern(size)))
	e := &endless{frame: len(f)}
	for len(e.wire) < wireSize {
		e.wire = append(e.wire, f...)
	}
	return e
}

func (e *endless) Read(p []byte) (int, error) {
	end := min(e.pos+len(p), len(e.wire))
	if whole := end - end%e.frame; whole > e.pos {
		end = whole
	}
	n := copy(p, e.wire[e.pos:end])
	e.pos = end % len(e.wire)
	return n, nil
}

func (e *endless) Write(p []byte) (int, error) {
	e.writes++
	e.written += len(p)
	return len(p), nil
}

func (e *endless) Close() error                     { return nil }
func (e *endless) SetDeadline(time.Time) error      { return nil }
func (e *endless) SetReadDeadline(time.Time) error  { return nil }
func (e *endless) SetWriteDeadline(time.Time) error { return nil }

// endlessConn makes a connection of e. Nobody answers there, so keepalive is
// off.
func endlessConn(b *testing.B, e *endless, client bool) *Conn {
	c := newConn(e, connConfig{client: client, opts: Options{PingInterval: -1}.withDefaults()})
	b.Cleanup(func() { c.CloseNow() })
	return c
}

// BenchmarkConnRead: an operation is a message read.
func BenchmarkConnRead(b *testing.B) {
	for _, api := range []struct {
		name string
		read func(c *Conn, n, size int) error
	}{
		{"Messages", readByMessages},
		{"ReadAppend", readByReadAppend},
		{"Read", readByRead},
		{"Reader", readByReader},
	} {
		b.Run("api="+api.name, func(b *testing.B) {
			eachFrame(b, func(b *testing.B, masked bool, size int) {
				b.SetBytes(int64(size))
				c := endlessConn(b, newEndless(masked, size), !masked)
				b.ResetTimer()
				if err := api.read(c, b.N, size); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if n := c.Stats().MessagesRead; n != uint64(b.N) {
					b.Fatalf("%d messages were read, want %d", n, b.N)
				}
			})
		})
	}
}

func readByMessages(c *Conn, n, size int) error {
	for m, err := range c.Messages(bg) {
		if err != nil || len(m.Data) != size {
			return fmt.Errorf("%d bytes: %v", len(m.Data), err)
		}
		if n--; n == 0 {
			break
		}
	}
	return nil
}

func readByReadAppend(c *Conn, n, size int) error {
	buf := make([]byte, 0, size)
	for range n {
		if _, p, err := c.ReadAppend(bg, buf); err != nil || len(p) != size {
			return fmt.Errorf("%d bytes: %v", len(p), err)
		}
	}
	return nil
}

func readByRead(c *Conn, n, size int) error {
	for range n {
		if _, p, err := c.Read(bg); err != nil || len(p) != size {
			return fmt.Errorf("%d bytes: %v", len(p), err)
		}
	}
	return nil
}

func readByReader(c *Conn, n, size int) error {
	buf := make([]byte, size+1) // one more, to find the end
	for range n {
		_, r, err := c.Reader(bg)
		if err != nil {
			return err
		}
		if got, err := io.ReadFull(r, buf); err != io.ErrUnexpectedEOF || got != size {
			return fmt.Errorf("%d bytes: %v", got, err)
		}
	}
	return nil
}

// BenchmarkConnWrite: an operation is a message written, and writes/op how
// often that calls the transport.
func BenchmarkConnWrite(b *testing.B) {
	eachFrame(b, func(b *testing.B, masked bool, size int) {
		b.SetBytes(int64(size))
		e := &endless{}
		c := endlessConn(b, e, masked)
		p := pattern(size)
		want := len(benchHeader(masked, size).Append(nil)) + size
		b.ResetTimer()
		for range b.N {
			if err := c.Write(bg, Binary, p); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		if e.written != b.N*want {
			b.Fatalf("%d bytes were written for %d messages of %d", e.written, b.N, size)
		}
		b.ReportMetric(float64(e.writes)/float64(b.N), "writes/op")
	})
}

// BenchmarkConnContext: what a context that can end adds to a call. An
// operation reads or writes a message of 125 bytes.
func BenchmarkConnContext(b *testing.B) {
	const size = 125
	cancellable, cancel := context.WithCancel(bg)
	defer cancel()
	for _, ctx := range []struct {
		name string
		context.Context
	}{{"background", bg}, {"cancellable", cancellable}} {
		b.Run("read/ctx="+ctx.name, func(b *testing.B) {
			b.ReportAllocs()
			c, buf := endlessConn(b, newEndless(true, size), false), make([]byte, 0, size)
			for b.Loop() {
				if _, _, err := c.ReadAppend(ctx.Context, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("write/ctx="+ctx.name, func(b *testing.B) {
			b.ReportAllocs()
			c, p := endlessConn(b, &endless{}, false), pattern(size)
			for b.Loop() {
				if err := c.Write(ctx.Context, Binary, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAcceptKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if AcceptKey(wstest.Key) != wstest.Accept {
			b.Fatal("another key")
		}
	}
}

// BenchmarkAccept: an operation answers a handshake over a transport in
// memory, makes the connection and drops it. The HTTP server's own work, which
// includes parsing the request, is not in it.
func BenchmarkAccept(b *testing.B) {
	b.ReportAllocs()
	e := &endless{}
	r := wstest.SampleRequest()
	w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return e, nil, nil })
	for b.Loop() {
		c, err := Accept(w, r, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.CloseNow()
	}
}

// BenchmarkHandshake: an operation is a connection opened over the loopback
// interface, by Dial and Server with all of net/http, and cut by the client.
// It is cut by a reset, since tens of thousands of closed connections would
// otherwise keep their ports for a minute.
func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	s := &Server{Handler: func(c *Conn) { c.Read(bg) }}
	web := httptest.NewServer(s)
	defer func() {
		web.Close()
		s.Close()
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = nc.(*net.TCPConn).SetLinger(0)
		}
		return nc, err
	}}
	opts := &DialOptions{HTTPClient: &http.Client{Transport: tr}}
	for b.Loop() {
		c, _, err := Dial(bg, web.URL, opts)
		if err != nil {
			b.Fatal(err)
		}
		c.CloseNow()
	}
}
