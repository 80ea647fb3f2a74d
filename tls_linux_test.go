//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// recordCounter counts the records of TLS that it is given to read, and keeps what
// is written while hold is set, so that several records arrive at once.
type recordCounter struct {
	holdWrites
	records atomic.Int64
	left    int // bytes that are missing of the record under way
	header  []byte
}

func (r *recordCounter) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if r.left > 0 {
			m := min(r.left, len(b))
			r.left -= m
			b = b[m:]
			continue
		}
		m := min(5-len(r.header), len(b))
		r.header = append(r.header, b[:m]...)
		if b = b[m:]; len(r.header) == 5 {
			r.left = int(r.header[3])<<8 | int(r.header[4])
			r.header = r.header[:0]
			r.records.Add(1)
		}
	}
	return n, err
}

// tlsEcho returns the client's side of a connection to an echo, and what is under it.
func tlsEcho(t *testing.T, loop bool, version uint16) (*tls.Conn, *recordCounter) {
	t.Helper()
	a, b := tcpPair(t)
	under := &recordCounter{holdWrites: holdWrites{Conn: a}}
	client := tls.Client(under, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	var below net.Conn = b
	if loop {
		below = transport.NewPollable(b)
	}
	server := tls.Server(below, testTLS())
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c := newConn(server, connConfig{opts: Options{}.withDefaults()})
	t.Cleanup(func() {
		client.Close()
		c.CloseNow()
	})
	if !loop {
		go echo(c)
		return client, under
	}
	err := newTestLoop(t, 1).Attach(c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
		if err := c.Write(bg, typ, p); err != nil {
			t.Error(err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return client, under
}

// TestTLSBatch: messages that arrived together, in one record or each in its own,
// are answered by one system call and few records, in order.
func TestTLSBatch(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's scheduling splits batches")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, loop := range []bool{false, true} {
			for _, each := range []bool{false, true} {
				// The frame of 10 bytes fills the buffer that an idle connection waits with.
				for _, content := range []string{"message %02d of some forty bytes of content", "message %02d"} {
					t.Run(fmt.Sprintf("%s/loop=%v/each=%v/%d", tls.VersionName(version), loop, each, len(content)-2), func(t *testing.T) {
						testTLSBatch(t, version, loop, each, content)
					})
				}
			}
		}
	}
}

func testTLSBatch(t *testing.T, version uint16, loop, each bool, content string) {
	const depth, batches = 16, 50
	client, under := tlsEcho(t, loop, version)
	var in, want []byte
	for i := range depth {
		p := fmt.Sprintf(content, i)
		in = append(in, frame(OpText, true, true, p)...)
		want = append(want, frame(OpText, true, false, p)...)
	}
	size := len(in) / depth
	got := make([]byte, len(want))
	exchange := func() {
		under.hold = true
		for b := in; len(b) > 0; {
			n := len(b)
			if each {
				n = min(n, size)
			}
			if _, err := client.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		under.hold = false
		if err := under.flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("the answers differ from the messages")
		}
	}
	// The first records of crypto/tls are small.
	for range 256 << 10 / len(want) {
		exchange()
	}
	calls, records := writeCalls(t, "self"), under.records.Load()
	for range batches {
		exchange()
	}
	// The client's own writes are in it. Preemption can split a batch.
	if n := writeCalls(t, "self") - calls - batches; n > 2*batches {
		t.Errorf("%d system calls for %d batches", n, batches)
	}
	if n := under.records.Load() - records; n > 2*batches {
		t.Errorf("%d records for %d batches", n, batches)
	}
}

// TestTLSPingInBatch: on a loop a ping among messages does not end the batch: the
// pong and the answers share a record.
func TestTLSPingInBatch(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's scheduling splits batches")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	client, under := tlsEcho(t, true, tls.VersionTLS13)
	var in, want []byte
	for i := range 16 {
		p := fmt.Sprint("message ", i)
		in = append(append(in, frame(OpPing, true, true, "")...), frame(OpText, true, true, p)...)
		want = append(append(want, frame(OpPong, true, false, "")...), frame(OpText, true, false, p)...)
	}
	const batches = 50
	got := make([]byte, len(want))
	records := under.records.Load()
	for range batches {
		if _, err := client.Write(in); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%q", got)
		}
	}
	// Preemption can split a batch.
	if n := under.records.Load() - records; n > 3*batches {
		t.Errorf("%d records for %d batches", n, batches)
	}
}

// TestTLSAnswerLeaves: an answer leaves while its handler waits, even if more input
// has been read from the socket.
func TestTLSAnswerLeaves(t *testing.T) {
	a, b := tcpPair(t)
	under := &holdWrites{Conn: a}
	client, server := tlsOver(t, under, b)
	c := newConn(server, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	defer client.Close()
	under.hold = true
	for _, p := range []string{"one", "two"} {
		client.Write(frame(OpText, true, true, p))
	}
	if err := under.flush(); err != nil {
		t.Fatal(err)
	}
	typ, p, err := c.Read(bg)
	if err != nil || string(p) != "one" {
		t.Fatal(typ, p, err)
	}
	if !c.t.HoldsInput() {
		t.Fatal("the second record is not seen")
	}
	if err := c.Write(bg, typ, p); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(Text, []byte("sent")); err != nil {
		t.Fatal(err)
	}
	want := append(frame(OpText, true, false, "one"), frame(OpText, true, false, "sent")...)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%q, %v", got, err)
	}
	if _, p, err := c.Read(bg); err != nil || string(p) != "two" {
		t.Fatal(p, err)
	}
	if c.t.HoldsInput() {
		t.Error("it is said to hold input that was read")
	}
}

// TestTLSSendAtOnce: Send over TLS writes by itself while there is room.
func TestTLSSendAtOnce(t *testing.T) {
	client, server := tlsPair(t)
	c := newConn(server, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	defer client.Close()
	for i := range 100 {
		p := fmt.Sprint("message ", i)
		if err := c.Send(Text, []byte(p)); err != nil {
			t.Fatal(err)
		}
		if n := c.Buffered(); n != 0 {
			t.Fatalf("%d bytes are queued where there is room", n)
		}
		want := frame(OpText, true, false, p)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// holdWrites is a net.Conn that keeps what is written until flush, so that several
// records of TLS arrive at once.
type holdWrites struct {
	net.Conn
	hold bool
	b    []byte
}

func (h *holdWrites) Write(p []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(p)
	}
	h.b = append(h.b, p...)
	return len(p), nil
}

func (h *holdWrites) flush() error {
	_, err := h.Conn.Write(h.b)
	h.b = h.b[:0]
	return err
}

// BenchmarkTLSEcho: an operation is a batch of messages of 128 bytes over TLS and
// the answers to it. The CPU and the writes are those of both sides; the client's
// are one write per batch.
func BenchmarkTLSEcho(b *testing.B) {
	for _, engine := range []string{"floor", "conn", "loop"} {
		for _, batch := range []struct {
			depth   int
			records string
		}{{1, "one"}, {16, "one"}, {16, "each"}} {
			b.Run(fmt.Sprintf("engine=%s/depth=%d/records=%s", engine, batch.depth, batch.records), func(b *testing.B) {
				benchTLSEcho(b, engine, batch.depth, batch.records == "each")
			})
		}
	}
}

func benchTLSEcho(b *testing.B, engine string, depth int, each bool) {
	a, s := tcpPair(b)
	under := &holdWrites{Conn: a}
	var client, server net.Conn
	if engine == "loop" {
		client, server = tlsOver(b, under, transport.NewPollable(s))
	} else {
		client, server = tlsOver(b, under, s)
	}
	defer client.Close()
	switch engine {
	case "floor":
		go echoFrames(server.(*tls.Conn))
	case "conn":
		c := newConn(server, connConfig{opts: Options{}.withDefaults()})
		defer c.CloseNow()
		go echo(c)
	case "loop":
		c := newConn(server, connConfig{opts: Options{}.withDefaults()})
		if err := newTestLoop(b, 1).Attach(c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}); err != nil {
			b.Fatal(err)
		}
	}
	msg := frame(OpBinary, true, true, string(make([]byte, 128)))
	out := bytes.Repeat(msg, depth)
	answers := make([]byte, len(out)-4*depth)
	under.hold = true
	exchange := func() {
		if each {
			for range depth {
				client.Write(msg)
			}
		} else {
			client.Write(out)
		}
		if err := under.flush(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, answers); err != nil {
			b.Fatal(err)
		}
	}
	for range 1000 / depth {
		exchange()
	}
	b.ReportAllocs()
	writes, cpu := selfWrites(), selfCPU()
	b.ResetTimer()
	for range b.N {
		exchange()
	}
	b.StopTimer()
	n := float64(b.N * depth)
	b.ReportMetric(float64(selfCPU()-cpu)/n, "cpu-ns/msg")
	b.ReportMetric(float64(selfWrites()-writes-b.N)/n, "writes/msg")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/msg")
}

// echoFrames answers frames of 128 bytes by hand, all that a read brings at once.
func echoFrames(nc *tls.Conn) {
	const in, out = 2 + 2 + 4 + 128, 2 + 2 + 128
	buf := make([]byte, 0, 16<<10)
	var reply []byte
	for {
		n, err := nc.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		buf = buf[:len(buf)+n]
		reply = reply[:0]
		for len(buf) >= in {
			key := [4]byte(buf[4:8])
			reply = append(append(reply, buf[0], 126, 0, 128), buf[8:in]...)
			Mask(reply[len(reply)-128:], key, 0)
			buf = buf[:copy(buf, buf[in:])]
		}
		if len(reply) > 0 {
			if _, err := nc.Write(reply); err != nil {
				return
			}
		}
	}
}

func selfCPU() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func selfWrites() int {
	text, _ := os.ReadFile("/proc/self/io")
	_, rest, _ := bytes.Cut(text, []byte("syscw: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := strconv.Atoi(string(line))
	return n
}
