package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// newInflatingPeer returns the peer of a connection that sends as p says.
func inflatingPeer(t testing.TB, nc net.Conn, p compression) *deflatetest.Peer {
	r := &frameReader{nc: nc}
	return deflatetest.NewPeer(t, p, func() (byte, string, error) {
		f, err := r.next()
		if err != nil {
			return 0, "", err
		}
		return f.Header.Append(nil)[0], f.payload, nil
	})
}

// withTakeover keeps a window in the direction of writing.
var withTakeover = compression{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true}

// numbered returns a message that resembles the others, and begins with its name.
func numbered(name string) []byte { return append([]byte(name+": "), deflatetest.Text(300, 3)...) }

func nameOf(msg string) string {
	name, rest, _ := strings.Cut(msg, ": ")
	if rest != string(deflatetest.Text(300, 3)) {
		return fmt.Sprintf("%q, spoilt", name)
	}
	return name
}

// TestCancelledCompressedWrite: a message that was compressed and never left
// does not keep the following ones from being understood.
func TestCancelledCompressedWrite(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, c, nc := newShutConn(t, connConfig{client: client, agreement: compressing(&withTakeover)})
		peer := inflatingPeer(t, nc, withTakeover)
		close(s.open)
		for i := range 4 {
			for _, name := range []string{"one", "two"} {
				if err := c.Write(bg, Text, numbered(name)); err != nil {
					t.Fatal(err)
				}
				if got := nameOf(peer.Next()); got != name || !peer.RSV1 {
					t.Errorf("%d: got %s, compressed %v", i, got, peer.RSV1)
				}
			}
			s.shutAgain()
			ctx, cancel := context.WithCancel(bg)
			errs := make(chan error, 1)
			go func() {
				if i%2 == 0 {
					errs <- c.Write(ctx, Text, append(numbered("lost"), wstest.Noise(100, 1)[0]&0x7f))
					return
				}
				w, err := c.Writer(ctx, Text)
				if err == nil {
					_, err = w.Write(bytes.Repeat([]byte("lost"), fragmentSize/4))
				}
				errs <- err
			}()
			was := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.writes }
			until(t, "it writes", func() bool { return was() == 3*(i+1) })
			cancel()
			if err := <-errs; !errors.Is(err, context.Canceled) || CloseCode(err) != 0 {
				t.Fatal(err)
			}
			close(s.open)
		}
		if err := c.Write(bg, Text, numbered("last")); err != nil {
			t.Fatal(err)
		}
		if got := nameOf(peer.Next()); got != "last" {
			t.Errorf("got %s", got)
		}
	}
}

// TestCompressedAnswerBehindCancelledWrite: an answer that would be held while
// somebody else writes must not refer to what that one may yet take back.
func TestCompressedAnswerBehindCancelledWrite(t *testing.T) {
	s, c, nc := newShutConn(t, connConfig{agreement: compressing(&withTakeover)})
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	first, answer := make(chan error, 1), make(chan error, 1)
	go func() { first <- c.Write(ctx, Text, numbered("first")) }()
	until(t, "it writes", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.writes == 1 })
	nc.Write(append(frame(OpText, true, true, "request"), frame(OpText, true, true, "and another")...))
	if _, _, err := c.Read(bg); err != nil {
		t.Fatal(err)
	}
	go func() { answer <- c.Write(bg, Text, numbered("answer")) }()
	until(t, "it waits, or is held", func() bool { return waiters(c) == 1 || len(answer) == 1 })
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(s.open)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if got := nameOf(inflatingPeer(t, nc, withTakeover).Next()); got != "answer" {
		t.Errorf("got %s", got)
	}
}

// TestCompressedWritersMeet: those that wait leave together, in the order in
// which they were compressed.
func TestCompressedWritersMeet(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, c, nc := newShutConn(t, connConfig{client: client, agreement: compressing(&withTakeover)})
		const n = 50
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := c.Write(bg, Text, numbered(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
			until(t, "it waits", func() bool { return busy(c) && waiters(c) == i })
		}
		close(s.open)
		wg.Wait()
		if s.writes != 2 {
			t.Errorf("client %v: %d writes, want 2", client, s.writes)
		}
		peer := inflatingPeer(t, nc, withTakeover)
		seen := map[string]bool{}
		for range n {
			seen[nameOf(peer.Next())] = true
		}
		if len(seen) != n || !seen["0"] || !seen["49"] {
			t.Errorf("arrived: %v", seen)
		}
		if n := c.Stats().BytesWritten; n > 50*60+300 {
			t.Errorf("%d bytes for messages that resemble each other", n)
		}
	}
}

// TestCompressedWritersMeetAndGiveUp: as without compression, and what was
// compressed for nothing is forgotten.
func TestCompressedWritersMeetAndGiveUp(t *testing.T) {
	s, c, nc := newShutConn(t, connConfig{agreement: compressing(&withTakeover)})
	errs := map[string]chan error{}
	cancels := map[string]context.CancelFunc{}
	write := func(name string) {
		ctx, cancel := context.WithCancel(bg)
		errs[name], cancels[name] = make(chan error, 1), cancel
		go func() { errs[name] <- c.Write(ctx, Text, numbered(name)) }()
	}
	want := func(name string, target error) {
		t.Helper()
		if err := <-errs[name]; !errors.Is(err, target) {
			t.Errorf("%s: %v, want %v", name, err, target)
		}
	}
	write("first")
	until(t, "it writes", func() bool { return busy(c) })
	for i, name := range []string{"leader", "follower", "leaves early", "goes along", "second follower"} {
		write(name)
		until(t, "it waits", func() bool { return waiters(c) == i+1 })
	}
	cancels["leaves early"]()
	want("leaves early", context.Canceled)
	cancels["first"]()
	want("first", context.Canceled)
	until(t, "all leave", func() bool { return waiters(c) == 0 && busy(c) })
	cancels["goes along"]()
	want("goes along", context.Canceled)
	cancels["leader"]()
	want("leader", context.Canceled)
	want("follower", nil)
	want("second follower", nil)
	close(s.open)
	for _, name := range []string{"almost last", "last"} {
		if err := c.Write(bg, Text, numbered(name)); err != nil {
			t.Fatal(err)
		}
	}
	peer := inflatingPeer(t, nc, withTakeover)
	var names []string
	for len(names) == 0 || names[len(names)-1] != "last" {
		names = append(names, nameOf(peer.Next()))
	}
	if fmt.Sprint(names) != "[follower goes along second follower almost last last]" {
		t.Errorf("arrived: %q", names)
	}
	for _, cancel := range cancels {
		cancel()
	}
}

// TestCompressedAnswersLeaveTogether: those to a batch of requests, in one
// write.
func TestCompressedAnswersLeaveTogether(t *testing.T) {
	for i, p := range deflatetest.Kinds[:2] {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			a, nc := bufpipe.New(pipeSize)
			defer nc.Close()
			conn := &counted{Conn: a}
			c := newConn(conn, connConfig{opts: Options{}.withDefaults(), agreement: compressing(&p)})
			defer c.CloseNow()
			go echo(c)
			peer := inflatingPeer(t, nc, p)
			d := deflatetest.NewDeflater()
			const batches, each = 20, 16
			for range batches {
				var batch []byte
				for j := range each {
					batch = append(batch, encode(true, wireFrame{0xc1, d.Part(string(numbered(fmt.Sprint(j))), true)})...)
					if !p.RecvTakeover {
						d.Forget()
					}
				}
				nc.Write(batch)
				for j := range each {
					if got := nameOf(peer.Next()); got != fmt.Sprint(j) || !peer.RSV1 {
						t.Fatalf("%d: got %s, want %d; compressed %v", i, got, j, peer.RSV1)
					}
				}
			}
			c.out.lock()
			defer c.out.unlock()
			if conn.writes > 2*batches { // preemption can split a batch
				t.Errorf("%d: %d writes for %d batches", i, conn.writes, batches)
			}
		}()
	}
}

// greedy is a transport that overwrites, before each write, what the pools of
// buffers have to give.
type greedy struct{ transport.Conn }

func (g greedy) WriteAll(b *transport.Backlog) (int, error) {
	for size := 1 << 10; size <= 1<<20; size *= 2 {
		for range 4 {
			p := buffer.Get(size).B
			p = p[:cap(p)]
			for i := range p {
				p[i] = 0xff
			}
		}
	}
	return g.Conn.WriteAll(b)
}

// TestCompressedBehindOthers: a large message is in the buffer that it was compressed
// into until it is written, also if something leaves ahead of it.
func TestCompressedBehindOthers(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		p := compression{Level: 1, SendBits: 15, RecvBits: 15, SendTakeover: takeover}
		a, b := tcpPair(t)
		c := newConn(a, connConfig{opts: Options{PingInterval: -1}.withDefaults(), agreement: compressing(&p)})
		defer c.CloseNow()
		defer b.Close()
		c.t = greedy{c.t}
		peer := inflatingPeer(t, b, p)
		msg := string(deflatetest.Text(200<<10, 3))
		for range 5 {
			c.out.lock()
			c.out.queueLocked().control.pongs = c.appendControl(nil, OpPong, []byte("ahead"))
			c.out.unlock()
			if err := c.Write(t.Context(), Text, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			if got := peer.Next(); got != msg {
				t.Fatalf("takeover %v: another message has arrived", takeover)
			}
		}
	}
}
