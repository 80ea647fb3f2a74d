package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// joinable returns messages of several sizes and both types, and them joined.
func joinable(t *testing.T) (contents []string, joined *PreparedMessage) {
	t.Helper()
	var all []*PreparedMessage
	for i, size := range []int{0, 70_000, 5, 150, 300, 3} {
		p := deflatetest.Text(size, i)
		m, err := NewPreparedMessage([]MessageType{Text, Binary}[i%2], p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		contents = append(contents, string(p))
	}
	two, err := JoinPrepared(all[0], all[1])
	if err != nil {
		t.Fatal(err)
	}
	joined, err = JoinPrepared(two, all[2], all[3], all[4], all[5]) // what was joined may be joined
	if err != nil {
		t.Fatal(err)
	}
	return contents, joined
}

// Joined messages arrive as the messages that they are, whatever the connection has
// negotiated and whichever end sends them, and each is counted and traced.
func TestJoinPrepared(t *testing.T) {
	contents, joined := joinable(t)
	for i := range append(deflatetest.Kinds, compression{}) {
		var p *compression
		if i < len(deflatetest.Kinds) {
			p = &deflatetest.Kinds[i]
		}
		for _, client := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v client %v", p, client), func(t *testing.T) {
				var traced atomic.Int64
				opts := Options{SendBuffer: 1 << 20}
				opts.Trace = &Trace{FrameOut: func(_ *Conn, h Header) {
					if traced.Add(1); h.Masked != client {
						t.Errorf("masked: %v", h.Masked)
					}
				}}
				a, b := bufpipe.New(1 << 20)
				var theirs *compression
				if p != nil {
					theirs = &compression{Level: p.Level, Threshold: p.Threshold, SendBits: p.RecvBits, RecvBits: p.SendBits,
						SendTakeover: p.RecvTakeover, RecvTakeover: p.SendTakeover}
				}
				from := newConn(a, connConfig{client: client, opts: opts.withDefaults(), agreement: compressing(p)})
				to := newConn(b, connConfig{client: !client, opts: Options{}.withDefaults(), agreement: compressing(theirs)})
				defer from.CloseNow()
				defer to.CloseNow()
				var want []string
				single := string(deflatetest.Text(400, 9))
				for range 2 { // and others between, for the encoder's sake
					if err := from.SendPrepared(joined); err != nil {
						t.Fatal(err)
					}
					if err := from.Write(context.Background(), Text, []byte(single)); err != nil {
						t.Fatal(err)
					}
					if err := from.WritePrepared(context.Background(), joined); err != nil {
						t.Fatal(err)
					}
					want = append(append(append(want, contents...), single), contents...)
				}
				for i, w := range want {
					typ, got, err := to.Read(context.Background())
					if err != nil || string(got) != w {
						t.Fatalf("message %d has %d bytes, %v; want %d", i, len(got), err, len(w))
					}
					if k := i % (2*len(contents) + 1); k < len(contents) && typ != []MessageType{Text, Binary}[k%2] {
						t.Errorf("message %d has type %d", i, typ)
					}
				}
				if n := int(from.Stats().MessagesWritten); n != len(want) {
					t.Errorf("%d messages were counted, of %d", n, len(want))
				}
				until(t, "each message is traced", func() bool { return int(traced.Load()) >= len(want) })
				if n := int(traced.Load()); n != len(want) {
					t.Errorf("%d messages were traced, of %d", n, len(want))
				}
			})
		}
	}
}

// Connections share the memory of what is joined, but not where they differ in which
// messages they compress.
func TestJoinedIsShared(t *testing.T) {
	_, joined := joinable(t)
	frames := make(map[*byte]int)
	for _, threshold := range []int{0, 0, 200, 200, 100_000, -1} {
		var p *compression
		if threshold >= 0 {
			p = &compression{Level: 4, SendBits: 15, RecvBits: 15, Threshold: threshold}
		}
		_, server := bufpipe.New(1)
		c := newConn(server, connConfig{opts: Options{}.withDefaults(), agreement: compressing(p)})
		defer c.CloseNow()
		var f outFrame
		joined.frame(c, &f)
		frames[unsafe.SliceData(f.p)]++
		if small := len(f.p) < 35_000; small != (threshold == 0 || threshold == 200) {
			t.Errorf("%d bytes with threshold %d", len(f.p), threshold)
		}
	}
	if len(frames) != 3 { // of all, of two, and of none, which is the plain one
		t.Errorf("%d encodings", len(frames))
	}
}

// If there is room for some of the messages only, none is sent. They wait behind a
// message of Writer, and then leave.
func TestJoinedIsWhole(t *testing.T) {
	var ms []*PreparedMessage
	for i := range 3 {
		m, err := NewPreparedMessage(Binary, make([]byte, 1000+i))
		if err != nil {
			t.Fatal(err)
		}
		ms = append(ms, m)
	}
	joined, err := JoinPrepared(ms...)
	if err != nil {
		t.Fatal(err)
	}
	a, b := bufpipe.New(1 << 20)
	c := newConn(b, connConfig{opts: Options{SendBuffer: 3500}.withDefaults()})
	peer := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	defer peer.CloseNow()
	w, err := c.Writer(context.Background(), Text)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendPrepared(ms[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.SendPrepared(joined); err != ErrBackpressure {
		t.Errorf("with room for two of three: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lengths := func(n int) (got []int) {
		for range n {
			_, p, err := peer.Read(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, len(p))
		}
		return got
	}
	if got := lengths(2); !slices.Equal(got, []int{0, 1000}) {
		t.Errorf("got %v", got)
	}
	<-c.Drained()
	w, err = c.Writer(context.Background(), Text)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendPrepared(joined); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := lengths(4); !slices.Equal(got, []int{0, 1000, 1001, 1002}) {
		t.Errorf("then got %v", got)
	}
	if n := c.Stats().MessagesWritten; n != 6 {
		t.Errorf("counted %d messages", n)
	}
	larger, err := JoinPrepared(joined, ms[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendPrepared(larger); !errors.Is(err, ErrMessageTooBig) {
		t.Errorf("more than SendBuffer: %v", err)
	}
}

func TestJoinPreparedErrors(t *testing.T) {
	m, err := NewPreparedMessage(Text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ms := range [][]*PreparedMessage{nil, {nil}, {m, nil}} {
		if j, err := JoinPrepared(ms...); err == nil || j != nil {
			t.Errorf("joined %v", ms)
		}
	}
	if j, err := JoinPrepared(m); j != m || err != nil {
		t.Errorf("one message became another, %v", err)
	}
}

// writeCounter counts writes.
type writeCounter struct {
	net.Conn
	n atomic.Int32
}

func (w *writeCounter) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

func TestJoinedLeavesInOneWrite(t *testing.T) {
	contents, joined := joinable(t)
	a, b := bufpipe.New(1 << 20)
	w := &writeCounter{Conn: b}
	c := newConn(w, connConfig{opts: Options{}.withDefaults()})
	peer := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	defer peer.CloseNow()
	for i, send := range []func() error{
		func() error { return c.SendPrepared(joined) },
		func() error { return c.WritePrepared(context.Background(), joined) },
	} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
		for range contents {
			if _, _, err := peer.Read(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if n := int(w.n.Load()); n != i+1 {
			t.Errorf("%d writes, want %d", n, i+1)
		}
	}
}
