package websocket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Tests of what a NetConn keeps in its context, and what that keeps alive.

// streamPair makes a connection in memory and a stream of each end, on ctx. There
// is no keepalive, which is another matter.
func streamPair(ctx context.Context) (a, b *netConn) {
	x, y := bufpipe.New(pipeSize)
	opts := Options{PingInterval: -1}.withDefaults()
	client := newConn(x, connConfig{client: true, opts: opts})
	server := newConn(y, connConfig{opts: opts})
	return client.NetConn(ctx, Binary).(*netConn), server.NetConn(ctx, Binary).(*netConn)
}

// netConnEnds are ways in which a connection comes to its end. What they are given
// has a registration with its context.
var netConnEnds = []struct {
	name string
	end  func(t *testing.T, a, b *netConn)
	lost bool // nobody ends it: the program has dropped it
}{
	{"Close", func(t *testing.T, a, b *netConn) {
		done := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			done <- err
		}()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != io.EOF {
			t.Error(err)
		}
	}, false},
	{"Conn.Close", func(t *testing.T, a, b *netConn) {
		done := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			done <- err
		}()
		if err := a.c.Close(StatusGoingAway, ""); err != nil {
			t.Error(err)
		}
		if err := <-done; err != io.EOF {
			t.Error(err)
		}
	}, false},
	{"CloseNow", func(t *testing.T, a, b *netConn) {
		a.c.CloseNow()
		b.c.CloseNow()
	}, false},
	{"transport", func(t *testing.T, a, b *netConn) {
		a.c.currentTransport().Close()
		for _, n := range []*netConn{a, b} {
			if _, err := n.Read(make([]byte, 1)); err == nil {
				t.Error("read from a connection that is lost")
			}
		}
	}, false},
	{"dropped", func(t *testing.T, a, b *netConn) {}, true},
	{"dropped with a deadline", func(t *testing.T, a, b *netConn) {
		a.SetDeadline(time.Now().Add(time.Hour))
		b.SetDeadline(time.Now().Add(time.Hour))
	}, true},
}

// TestNetConnKeepsNothing: a context that lives on keeps nothing for connections
// that have ended, or were dropped, and does not keep these.
func TestNetConnKeepsNothing(t *testing.T) {
	conns := 2000
	if raceEnabled {
		conns = 300
	}
	for _, how := range netConnEnds {
		t.Run(how.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			run := func() (alive func() int) {
				var ptrs []weak.Pointer[netConn]
				for range conns {
					a, b := streamPair(ctx)
					wstest.RoundTrip(t, a, b)
					if a.calls.stop == nil || b.calls.stop == nil {
						t.Fatal("the end of the context would not be noticed")
					}
					how.end(t, a, b)
					for _, n := range []*netConn{a, b} {
						if !how.lost {
							until(t, "the registration was taken back", func() bool {
								n.calls.mu.Lock()
								defer n.calls.mu.Unlock()
								return n.calls.stop == nil
							})
						}
						ptrs = append(ptrs, weak.Make(n))
					}
				}
				return func() (n int) {
					runtime.GC()
					for _, p := range ptrs {
						if p.Value() != nil {
							n++
						}
					}
					return n
				}
			}
			heap := func() int64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			gone := func(alive func() int) {
				// The last few may be on a stack, or in a pool.
				until(t, "the connections were collected", func() bool { return alive() <= 2 })
			}
			gone(run()) // fills the pools, and the context's table
			before := heap()
			gone(run())
			limit := int64(100*conns + 20_000)
			if how.name == "dropped with a deadline" {
				limit = int64(1000*conns + 20_000) // four timers, until they fire
			}
			if how.lost { // then a cleanup takes the registration back, some time after the collection
				until(t, "the registrations were taken back", func() bool { return heap()-before < limit })
			}
			if grown := heap() - before; grown > limit {
				t.Errorf("%d bytes are left of each connection", grown/int64(conns))
			}
		})
	}
}

// TestNetConnContextEnds: the end of the context ends calls that wait and those that
// come, also where nobody was registered at the time.
func TestNetConnContextEnds(t *testing.T) {
	cause := errors.New("the program ends")
	ctx, cancel := context.WithCancelCause(bg)
	a, b := streamPair(ctx)
	defer a.c.CloseNow()
	defer b.c.CloseNow()
	goroutines := runtime.NumGoroutine()
	wstest.RoundTrip(t, a, b)
	until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	unused, _ := streamPair(ctx)
	defer unused.c.CloseNow()

	read := make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		read <- err
	}()
	written := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = a.Write(make([]byte, 1000))
		}
		written <- err
	}()
	until(t, "the pipe is full", func() bool { return a.c.Buffered() > 0 })
	cancel(cause)
	if err := <-read; !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) { // the write may have been cut in a frame
		t.Error(err)
	}
	if err := <-written; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, n := range []*netConn{b, unused} {
		n.SetDeadline(time.Now().Add(time.Hour))
		_, readErr := n.Read(make([]byte, 1))
		_, writeErr := n.Write([]byte("x"))
		for _, err := range []error{readErr, writeErr} {
			if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
				t.Error(err)
			}
		}
	}
	if unused.c.closing() {
		t.Error("the connection was closed by its context")
	}
}

// TestCallContextAfterFunc: what is registered with a call's context runs once, when
// it ends, unless it was taken back.
func TestCallContextAfterFunc(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	a, b := streamPair(ctx)
	defer a.c.CloseNow()
	defer b.c.CloseNow()
	x, err := a.calls.begin(forReads)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	ran := make(chan string, 10)
	context.AfterFunc(x, func() { ran <- "first" })
	stop := context.AfterFunc(x, func() { ran <- "taken back" })
	child, cancelChild := context.WithCancel(x)
	defer cancelChild()
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines wait for the context", n-goroutines)
	}
	if !stop() || stop() {
		t.Error("a function that has not run was not taken back once")
	}
	a.calls.end()
	if a.calls.stop == nil {
		t.Error("the end of the context would not be noticed")
	}
	a.SetReadDeadline(time.Now())
	<-child.Done()
	if got := <-ran; got != "first" {
		t.Error(got)
	}
	if err := context.Cause(child); err != errDeadline {
		t.Error(err)
	}
	if a.calls.stop != nil || a.calls.users != 0 {
		t.Errorf("%d users are left", a.calls.users)
	}
	context.AfterFunc(x, func() { ran <- "late" })
	if got := <-ran; got != "late" {
		t.Error(got)
	}
}

// TestNetConnLateTimer: a timer that fires late goes by the deadline as it is then.
func TestNetConnLateTimer(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	n := client.NetConn(bg, Binary).(*netConn)
	for _, at := range []time.Time{{}, time.Now().Add(time.Hour)} {
		n.SetReadDeadline(time.Now().Add(time.Minute)) // there is a timer
		n.SetReadDeadline(at)
		ctx, err := n.calls.begin(forReads)
		if err != nil {
			t.Fatal(err)
		}
		n.calls.fire(forReads)
		if err := ctx.Err(); err != nil {
			t.Errorf("a deadline of %v: %v", at, err)
		}
		n.calls.end()
	}
}

// TestNetConnLimitBeforeRead: a ping has the header of a large message read before
// the first Read.
func TestNetConnLimitBeforeRead(t *testing.T) {
	overBlockingRaw(t, false, Options{ReadLimit: 1000}, func(t *testing.T, c *Conn, peer net.Conn) {
		n := c.NetConn(bg, Binary)
		pinged := make(chan error, 1)
		go func() {
			_, err := c.Ping(bg)
			pinged <- err
		}()
		r := frameReader{nc: peer}
		ping, err := r.next()
		if err != nil || ping.Opcode != OpPing {
			t.Fatal(ping.Header, err)
		}
		big := frame(OpBinary, true, true, string(pattern(5000)))
		if _, err := peer.Write(big[:100]); err != nil {
			t.Fatal(err)
		}
		until(t, "the message was met", func() bool { return c.in.flags.has(messageBlocks) })
		if _, err := peer.Write(append(big[100:], frame(OpPong, true, true, ping.payload)...)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5000)
		if _, err := io.ReadFull(n, got); err != nil || !bytes.Equal(got, pattern(5000)) {
			t.Fatal(err)
		}
		go n.Read(got) // meets the pong
		if err := <-pinged; err != nil {
			t.Error(err)
		}
	})
}

// TestNetConnWriteCutInBatch: the first message of two that leave together has left,
// the second has not.
func TestNetConnWriteCutInBatch(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	n := c.NetConn(bg, Binary)
	go func() {
		b.Read(make([]byte, 10))
		if m, err := io.ReadFull(b, make([]byte, 40<<10)); err != nil {
			t.Errorf("read %d bytes: %v", m, err)
		}
		n.SetWriteDeadline(time.Now())
	}()
	if m, err := n.Write(make([]byte, 1<<20)); m != batchMessage || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", m, err)
	}
	if s := c.Stats(); s.MessagesWritten != 1 {
		t.Errorf("%d messages counted", s.MessagesWritten)
	}
}
