//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
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
				t.Run(fmt.Sprintf("%s/loop=%v/each=%v", tls.VersionName(version), loop, each), func(t *testing.T) {
					testTLSBatch(t, version, loop, each)
				})
			}
		}
	}
}

func testTLSBatch(t *testing.T, version uint16, loop, each bool) {
	const depth, batches = 16, 50
	client, under := tlsEcho(t, loop, version)
	var in, want []byte
	for i := range depth {
		p := fmt.Sprintf("message %d of some forty bytes of content", i)
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
