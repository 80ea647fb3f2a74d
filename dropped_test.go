package websocket

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// programContext is a context that outlives all connections. It counts what is
// registered with it.
type programContext struct {
	context.Context // that can end
	registered      atomic.Int64
}

func newProgramContext(t *testing.T) *programContext {
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	return &programContext{Context: ctx}
}

// Value hides what is inside from package context, which would register with
// that directly.
func (p *programContext) Value(any) any { return nil }

// AfterFunc is what package context calls to register.
func (p *programContext) AfterFunc(f func()) func() bool {
	p.registered.Add(1)
	stop := context.AfterFunc(p.Context, f)
	var once sync.Once
	return func() bool {
		once.Do(func() { p.registered.Add(-1) })
		return stop()
	}
}

// collected waits until none of conns is kept.
func collected(t *testing.T, conns []weak.Pointer[Conn]) {
	t.Helper()
	kept := 0
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		runtime.GC()
		kept = 0
		for _, w := range conns {
			if w.Value() != nil {
				kept++
			}
		}
		if kept == 0 {
			return
		}
	}
	t.Errorf("%d of %d connections are kept", kept, len(conns))
}

// TestDroppedConn: a connection that the program has dropped, in whatever state,
// is collected, and nothing of it is left with a context that lives on.
func TestDroppedConn(t *testing.T) {
	for _, k := range transports {
		for _, tt := range []struct {
			name string
			use  func(ctx context.Context, c *Conn, peer net.Conn) error
		}{
			{"unused", func(context.Context, *Conn, net.Conn) error { return nil }},
			{"written", func(ctx context.Context, c *Conn, peer net.Conn) error { return c.Write(ctx, Text, []byte("x")) }},
			{"read", func(ctx context.Context, c *Conn, peer net.Conn) error {
				peer.Write(text("x"))
				return third(c.Read(ctx))
			}},
			{"read in part", func(ctx context.Context, c *Conn, peer net.Conn) error {
				peer.Write(text("xyz"))
				_, r, err := c.Reader(ctx)
				if err == nil {
					_, err = io.ReadFull(r, make([]byte, 1))
				}
				return err
			}},
			{"its own context", func(ctx context.Context, c *Conn, peer net.Conn) error {
				context.AfterFunc(c.Context(), func() { c.CloseNow() })
				return c.Write(c.Context(), Text, []byte("x"))
			}},
			{"a context that knows it", func(ctx context.Context, c *Conn, peer net.Conn) error {
				type key struct{}
				own, cancel := context.WithCancel(context.WithValue(bg, key{}, c))
				_ = cancel
				if err := c.Write(own, Text, []byte("x")); err != nil {
					return err
				}
				peer.Write(text("x"))
				return third(c.Read(ctx))
			}},
			{"pinged", func(ctx context.Context, c *Conn, peer net.Conn) error {
				age(c, time.Hour)
				c.keepaliveTick()
				_, err := (&frameReader{nc: peer}).next()
				return err
			}},
		} {
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				ctx := newProgramContext(t)
				var conns []weak.Pointer[Conn]
				for range 20 {
					c, peer := k.dropped(t)
					if err := tt.use(ctx, c, peer); err != nil {
						t.Fatal(err)
					}
					conns = append(conns, weak.Make(c))
				}
				collected(t, conns)
				until(t, "nothing is registered any more", func() bool { return ctx.registered.Load() == 0 })
			})
		}
	}
}

// dropped is raw for a connection that nothing else refers to.
func (k kind) dropped(t *testing.T) (*Conn, net.Conn) {
	peer, nc := k.pair(t)
	t.Cleanup(func() { peer.Close() })
	peer.SetDeadline(time.Now().Add(20 * time.Second))
	return newConn(nc, connConfig{opts: Options{}.withDefaults()}), peer
}

// TestDroppedByPanic: the handler accepts and panics, net/http recovers, and the
// client sees the end.
func TestDroppedByPanic(t *testing.T) {
	const n = 20
	var mu sync.Mutex
	var conns []weak.Pointer[Conn]
	accepted := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if conns = append(conns, weak.Make(c)); len(conns) == n {
			close(accepted)
		}
		panic("a fault of the program")
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	defer srv.Close()
	var peers []*wstest.Client
	for range n {
		peers = append(peers, wstest.DialClient(t, srv.Listener.Addr().String()))
	}
	mustReceive(t, accepted)
	collected(t, conns)
	done := make(chan struct{})
	defer close(done)
	go func() { // net/http may have let go of a descriptor later than of the connection
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.GC()
			}
		}
	}()
	for _, p := range peers {
		p.Conn.SetDeadline(time.Now().Add(20 * time.Second))
		if b, err := io.ReadAll(p.R); err != nil || len(b) > 0 {
			t.Errorf("%x, %v", b, err)
		}
	}
}

// TestDroppedContext: whoever waits for the end of a connection hears of it also
// if that was dropped.
func TestDroppedContext(t *testing.T) {
	c, _ := transports[0].dropped(t)
	ctx, conn := c.Context(), weak.Make(c)
	collected(t, []weak.Pointer[Conn]{conn})
	mustReceive(t, ctx.Done())
	if err := context.Cause(ctx); CloseCode(err) != StatusAbnormalClosure {
		t.Error(err)
	}
}

// TestEndedConnLeavesContext: calls that race with the end of their connection
// leave nothing with their context, and very many connections do not make it
// grow.
func TestEndedConnLeavesContext(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, c *Conn)
	}{
		{"Write", func(ctx context.Context, c *Conn) { c.Write(ctx, Text, []byte("x")) }},
		{"Read", func(ctx context.Context, c *Conn) { c.Read(ctx) }},
		{"both", func(ctx context.Context, c *Conn) {
			go c.Write(ctx, Text, []byte("x"))
			c.Read(ctx)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := newProgramContext(t)
			var conns []weak.Pointer[Conn]
			var wg sync.WaitGroup
			for i := range 4000 {
				a, b := bufpipe.New(pipeSize)
				c := newConn(a, connConfig{opts: Options{}.withDefaults()})
				conns = append(conns, weak.Make(c))
				wg.Go(func() { tt.call(ctx, c) })
				for range i % 8 {
					runtime.Gosched()
				}
				c.CloseNow()
				b.Close()
			}
			wg.Wait()
			collected(t, conns)
			until(t, "nothing is registered any more", func() bool { return ctx.registered.Load() == 0 })
		})
	}
}

// TestCallAfterEnd: a call that has come past its first look before the connection
// ends, and registers with its context afterwards.
func TestCallAfterEnd(t *testing.T) {
	for _, used := range []bool{false, true} {
		ctx := newProgramContext(t)
		c, _ := Pipe()
		if used {
			if err := c.armRead(ctx); err != nil {
				t.Fatal(err)
			}
			c.disarmRead(ctx)
			if n := ctx.registered.Load(); n != 1 {
				t.Errorf("%d registrations of an open connection", n)
			}
		}
		c.CloseNow()
		if err := c.armRead(ctx); err != nil {
			t.Error(err)
		}
		c.disarmRead(ctx)
		if err := c.armWrite(ctx); err != nil {
			t.Error(err)
		}
		c.disarmWrite(ctx)
		if n := ctx.registered.Load(); n != 0 {
			t.Errorf("used before %v: %d registrations are left", used, n)
		}
	}
}

// TestContextDoesNotGrow measures what connections leave with a context of the
// standard library, as programs use it.
func TestContextDoesNotGrow(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	round := func(n int) {
		var conns []weak.Pointer[Conn]
		for i := range n {
			a, b := bufpipe.New(pipeSize)
			c := newConn(a, connConfig{opts: Options{PingInterval: -1}.withDefaults()})
			if err := c.Write(ctx, Text, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				c.CloseNow()
			}
			b.Close()
			conns = append(conns, weak.Make(c))
		}
		collected(t, conns)
	}
	round(100)
	before := liveHeap()
	const n = 4000
	round(n)
	grown := int64(0)
	for range 100 { // clean-ups run on a goroutine of their own
		if grown = liveHeap() - before; grown < n*40 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d bytes are kept for each of %d connections", grown/n, n)
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
