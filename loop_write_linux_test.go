//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// pollConnKinds are those that an engine watches.
var pollConnKinds = loopTransports[1:]

// overPollConn is overLoop for those that an engine watches.
func overPollConn(t *testing.T, f func(t *testing.T, l *Loop, c *Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range pollConnKinds {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, Options{ReadLimit: 32 << 20, CloseTimeout: 2 * time.Second})
			f(t, newTestLoop(t, 1), c, peer)
		})
	}
}

// TestLoopCork: what a handler writes for a batch of input leaves in one system
// call, however many messages there are.
func TestLoopCork(t *testing.T) {
	overPollConn(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		const each, batches = 16, 100
		attach(t, l, c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
			for range 3 {
				if err := c.Write(bg, typ, p); err != nil {
					t.Error(err)
				}
			}
		}})
		batch := bytes.Repeat(text("a message of a few bytes"), each)
		answers := make([]byte, 3*(len(batch)-4*each))
		exchange := func() {
			peer.Write(batch)
			if _, err := io.ReadFull(peer, answers); err != nil {
				t.Fatal(err)
			}
		}
		exchange()
		before := writeCalls(t, "self")
		for range batches {
			exchange()
		}
		// The peer's own are in it, and those that wake somebody; a handler that
		// the system holds up is left alone.
		if n := writeCalls(t, "self") - before; n < 2*batches || n > 5*batches {
			t.Errorf("%d write calls for %d batches of %d messages there and %d back", n, batches, each, 3*each)
		}
	})
}

// TestLoopHandlerBlocks: what a handler wrote before it blocks arrives, and so
// does what others write meanwhile.
func TestLoopHandlerBlocks(t *testing.T) {
	overPollConn(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		in, out := make(chan struct{}), make(chan struct{})
		attach(t, l, c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
			c.Write(bg, Text, []byte("before"))
			c.Write(bg, Text, []byte("and"))
			close(in)
			<-out
			c.Write(bg, Text, []byte("after"))
		}})
		r := &frameReader{nc: peer}
		want := func(p string) {
			t.Helper()
			if f, err := r.next(); err != nil || f.payload != p {
				t.Fatalf("%q, %v, want %q", f.payload, err, p)
			}
		}
		peer.Write(text("go"))
		<-in
		want("before")
		want("and")
		for i := range 10 {
			c.Write(bg, Text, []byte{byte('0' + i)})
			want(string(byte('0' + i)))
		}
		close(out)
		want("after")
		c.Write(bg, Text, []byte("idle"))
		want("idle")
	})
}

// fill has c write until more than above bytes are queued, and returns how many
// messages that took.
func fill(t *testing.T, c *Conn, size, above int) (n int) {
	t.Helper()
	for c.Buffered() <= above {
		if err := c.Write(bg, Binary, bytes.Repeat([]byte{byte(n)}, size)); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestLoopBackpressure: a peer sends requests and does not read the answers. The
// queue is bounded, nothing more is read, others are served; when it reads,
// all arrives in order.
func TestLoopBackpressure(t *testing.T) {
	overPollConn(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		const size, n = 10_000, 3000
		r := attach(t, l, c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
			if err := c.Write(bg, typ, p); err != nil {
				t.Error(err)
			}
		}})
		request := func(i int) []byte {
			return frame(OpBinary, true, true, fmt.Sprintf("%*d", size, i))
		}
		sent := make(chan int, n)
		go func() {
			for i := range n {
				if _, err := peer.Write(request(i)); err != nil {
					t.Error(err)
				}
				sent <- i
			}
			close(sent)
		}()
		p := pollConnOf(c.loopTransport())
		until(t, "it does not read any more", func() bool { return p.state.has(pollPaused) })
		if b := c.Buffered(); b < highWater || b > 2*highWater+size {
			t.Errorf("%d bytes are queued", b)
		}
		until(t, "the peer cannot send any more", func() bool {
			was := len(sent)
			time.Sleep(20 * time.Millisecond)
			return len(sent) == was
		})
		if len(sent) == n {
			t.Fatal("the peer could send all it wanted")
		}
		if b := c.Buffered(); b > 2*highWater+size {
			t.Errorf("%d bytes are queued", b)
		}

		a, b := tcpPair(t) // on the same worker
		defer a.Close()
		attach(t, l, newConn(b, connConfig{opts: Options{}.withDefaults()}), funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }})
		a.Write(text("others"))
		if f, err := (&frameReader{nc: a}).next(); err != nil || f.payload != "others" {
			t.Errorf("%q, %v", f.payload, err)
		}

		fr := &frameReader{nc: peer}
		for i := range n {
			f, err := fr.next()
			if err != nil || strings.TrimSpace(f.payload) != fmt.Sprint(i) {
				t.Fatalf("answer %d: %d bytes, %v", i, len(f.payload), err)
			}
		}
		until(t, "nothing is queued", func() bool { return c.Buffered() == 0 })
		peer.Write(closeFrame(true, 1000, ""))
		if err := mustReceive(t, r.Closed); CloseCode(err) != 1000 {
			t.Error(err)
		}
	})
}

// TestLoopWriteWaits: when too much is queued a Write waits for room. It can be
// given up, and others go on.
func TestLoopWriteWaits(t *testing.T) {
	overPollConn(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		r := attach(t, l, c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
			for range 2 { // the first is queued whole, the other one waits for it
				if err := c.Write(bg, Binary, make([]byte, 20<<20)); err != nil {
					t.Error(err)
				}
			}
		}})
		n := fill(t, c, 50_000, highWater)
		ctx, cancel := context.WithTimeout(bg, 20*time.Millisecond)
		defer cancel()
		for range 2 {
			if err := c.Write(ctx, Text, []byte("given up")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
		}
		waits := make(chan error, 1)
		go func() { waits <- c.Write(bg, Text, []byte("waits")) }()
		until(t, "it waits", func() bool { return c.Buffered() > 0 && busy(c) })
		fr := &frameReader{nc: peer}
		for i := range n {
			if f, err := fr.next(); err != nil || len(f.payload) != 50_000 || f.payload[0] != byte(i) {
				t.Fatalf("message %d: %d bytes, %v", i, len(f.payload), err)
			}
		}
		if f, err := fr.next(); err != nil || f.payload != "waits" {
			t.Fatalf("%d bytes, %v", len(f.payload), err)
		}
		if err := mustReceive(t, waits); err != nil {
			t.Error(err)
		}
		until(t, "nothing is queued", func() bool { return c.Buffered() == 0 })

		peer.Write(text("large")) // a handler that is held up itself
		until(t, "it is queued", func() bool { return c.Buffered() > highWater })
		a, b := tcpPair(t)
		defer a.Close()
		attach(t, l, newConn(b, connConfig{opts: Options{}.withDefaults()}), funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }})
		a.Write(text("others"))
		if f, err := (&frameReader{nc: a}).next(); err != nil || f.payload != "others" {
			t.Errorf("%q, %v", f.payload, err)
		}
		drained := make(chan error, 1)
		go func() {
			_, err := io.CopyN(io.Discard, peer, 2*(20<<20+10))
			drained <- err
		}()
		if err := mustReceive(t, drained); err != nil {
			t.Error(err)
		}
		peer.Write(closeFrame(true, 1000, ""))
		r.want(t, 1000, "large")
	})
}

// TestLoopCloseWhileFull: the peer says goodbye while something is queued for it
// that it does not read. Nothing more is to be read then, and nobody looks for it.
func TestLoopCloseWhileFull(t *testing.T) {
	overPollConn(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		attach(t, l, c, funcHandler{})
		fill(t, c, 50_000, 0)
		peer.Write(append(closeFrame(true, 1000, ""), text("behind")...))
		if w, ok := peer.(interface{ CloseWrite() error }); ok {
			w.CloseWrite()
		}
		<-c.Context().Done()
		turns := func() uint64 { return l.engine.workers[0].runner.Load().state.Load() }
		before := turns()
		time.Sleep(100 * time.Millisecond)
		if n := turns() - before; n > 200 {
			t.Errorf("it turned to the connection %d times", n/2)
		}
		go io.Copy(io.Discard, peer)
		<-c.ended()
	})
}

// TestLoopLostClose: a close frame that was still queued when the connection
// ended was not exchanged.
func TestLoopLostClose(t *testing.T) {
	for _, k := range pollConnKinds {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, Options{CloseTimeout: 100 * time.Millisecond})
			attach(t, newTestLoop(t, 1), c, funcHandler{})
			// The peer reads nothing, and the system has no room for all of the queue.
			if err := c.LimitUnsent(16 << 10); err != nil {
				t.Fatal(err)
			}
			for c.queued() < highWater/2 {
				if err := c.Write(bg, Binary, make([]byte, 8<<10)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := peer.Write(closeFrame(true, StatusNormalClosure, "")); err != nil {
				t.Fatal(err)
			}
			<-c.Context().Done()
			c.Close(StatusNormalClosure, "")
			until(t, "nobody writes any more", func() bool { return !c.out.write.held() })
			if err := c.Close(StatusNormalClosure, ""); err == nil {
				t.Error("Close says that both close frames were exchanged")
			}
		})
	}
}

// TestLoopFlushesOnce: the end of the input, while much is queued for a peer that
// does not read, is waited out by one goroutine.
func TestLoopFlushesOnce(t *testing.T) {
	l := newTestLoop(t, 1)
	closed := make(chan struct{})
	peer, server := bareAttached(t, l, funcHandler{Close: func(*Conn, error) { close(closed) }}, Options{CloseTimeout: time.Minute})
	p := pollConnOf(server.loopTransport())
	for !p.state.has(pollOut) {
		server.Write(bg, Binary, make([]byte, 8<<10))
	}
	before := runtime.NumGoroutine()
	peer.CloseWrite()
	until(t, "the end of the input is seen", func() bool { return server.life.closeState() == stateFlushing })
	for range 50 {
		time.Sleep(time.Millisecond)
		if n := runtime.NumGoroutine(); n > before+20 {
			t.Fatalf("%d goroutines, %d before", n, before)
		}
	}
	server.CloseNow()
	<-closed
}
