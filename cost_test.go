package websocket

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"unsafe"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// What the package promises about allocations, memory and calls on the
// transport.

// TestAllocs: a message costs no allocation, however it is written and read,
// and neither does a context that is used again.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items on purpose")
	}
	cancellable, cancel := context.WithCancel(bg)
	defer cancel()
	contexts := map[string]context.Context{"background": bg, "cancellable": cancellable}
	servers := map[string]func(ctx context.Context, c *Conn){
		"Messages": func(ctx context.Context, c *Conn) {
			for m, err := range c.Messages(ctx) {
				if err != nil || c.Write(ctx, m.Type, m.Data) != nil {
					return
				}
			}
		},
		"ReadAppend": func(ctx context.Context, c *Conn) {
			var buf []byte
			for {
				typ, p, err := c.ReadAppend(ctx, buf[:0])
				if err != nil || c.Write(ctx, typ, p) != nil {
					return
				}
				buf = p
			}
		},
	}
	for ctxName, ctx := range contexts {
		for serverName, serve := range servers {
			for _, size := range []int{0, 10, 125, 1000, 20_000, 100_000} {
				t.Run(fmt.Sprintf("%s/%s/%d", serverName, ctxName, size), func(t *testing.T) {
					a, b := tcpPair(t)
					client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
					server := newConn(b, connConfig{opts: Options{}.withDefaults()})
					defer client.CloseNow()
					defer server.CloseNow()
					go serve(ctx, server)
					msg, dst := pattern(size), make([]byte, 0, size)
					// A collection would empty the pools in the middle.
					defer debug.SetGCPercent(debug.SetGCPercent(-1))
					n := testing.AllocsPerRun(100, func() {
						if err := client.Write(ctx, Text, msg); err != nil {
							t.Fatal(err)
						}
						if _, _, err := client.ReadAppend(ctx, dst); err != nil {
							t.Fatal(err)
						}
					})
					if n != 0 {
						t.Errorf("%v allocations for a message there and back", n)
					}
				})
			}
		}
	}
}

// counted is a transport that counts the calls of Write.
type counted struct {
	net.Conn
	writes int
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return c.Conn.Write(p)
}

// TestOneWritePerMessage holds for any transport, up to a size from which
// keepalive has to see that a write gets on; that it also holds for the system
// calls on TCP is in the test for Linux.
func TestOneWritePerMessage(t *testing.T) {
	for _, client := range []bool{false, true} {
		a, b := bufpipe.New(20 << 20)
		nc := &counted{Conn: a}
		c := newConn(nc, connConfig{client: client, opts: Options{}.withDefaults()})
		want := 0
		for _, size := range []int{0, 1, 125, 126, 4096, 65_535, 65_536, 1 << 20, 16 << 20} {
			if err := c.Write(bg, Binary, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			want++
			if piece := 128 << 10; size > piece {
				want += size / piece // and the rest, which has the header
			}
			if nc.writes != want {
				t.Fatalf("client %v: %d bytes took until write %d, want %d", client, size, nc.writes, want)
			}
		}
		c.CloseNow()
		b.Close()
	}
}

// TestIdleHoldsNoBuffer: connections that have spoken, and now wait for input
// or are left alone, hold much less than a read buffer each.
func TestIdleHoldsNoBuffer(t *testing.T) {
	readOnce := func(c *Conn) error {
		typ, p, err := c.Read(bg)
		if err == nil {
			err = c.Write(bg, typ, p)
		}
		return err
	}
	for _, tr := range transports {
		t.Run(tr.name+"/waiting", func(t *testing.T) { testIdle(t, tr.name, tr.pair, echo) })
		t.Run(tr.name+"/alone", func(t *testing.T) { testIdle(t, tr.name, tr.pair, readOnce) })
	}
}

func testIdle(t *testing.T, transport string, pair func(testing.TB) (net.Conn, net.Conn), use func(*Conn) error) {
	const n = 100
	var conns []*Conn
	var peers []net.Conn
	grown := heapAfter(func() {
		for range n {
			a, b := pair(t)
			c := newConn(b, connConfig{opts: Options{}.withDefaults()})
			go use(c)
			conns, peers = append(conns, c), append(peers, a)
			a.Write(frame(OpBinary, true, true, string(pattern(1000))))
			if f, err := (&frameReader{nc: a}).next(); err != nil || len(f.payload) != 1000 {
				t.Fatal(err)
			}
		}
	})
	// crypto/tls keeps a record buffer of its own.
	limit := map[string]int64{"pipe": 6 << 10, "tcp": 6 << 10, "tls": 40 << 10, "no deadlines": 6 << 10}[transport]
	for try := 0; grown/n > limit && try < 50; try++ { // some may not wait yet
		time.Sleep(10 * time.Millisecond)
		grown += heapAfter(func() {})
	}
	if per := grown / n; per > limit {
		t.Errorf("%d bytes per idle connection", per)
	}
	for i := range n {
		conns[i].CloseNow()
		peers[i].Close()
	}
}

// TestDeclaredLengthAllocatesNothing: a thousand peers announce a gigabyte
// each, send a few bytes of it, and wait.
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	const n = 200
	var conns []*Conn
	var peers []net.Conn
	head := Header{Fin: true, Opcode: OpBinary, Masked: true, Length: 1 << 30}.Append(nil)
	grown := heapAfter(func() {
		for range n {
			a, b := bufpipe.New(pipeSize)
			c := newConn(b, connConfig{opts: Options{ReadLimit: 2 << 30}.withDefaults()})
			go c.Read(bg)
			conns, peers = append(conns, c), append(peers, a)
			a.Write(append(head, 1, 2, 3))
			until(t, "read", func() bool { return c.Stats().BytesRead == uint64(len(head)+3) })
		}
	})
	for i := range n {
		conns[i].CloseNow()
		peers[i].Close()
	}
	if per := grown / n; per > 2*buffer.ReadSize {
		t.Errorf("%d bytes per connection", per)
	}
}

// TestManyFragments: a hundred thousand fragments of one byte, or none.
func TestManyFragments(t *testing.T) {
	for _, payload := range []string{"", "x"} {
		t.Run(fmt.Sprintf("%q", payload), func(t *testing.T) {
			a, b := tcpPair(t)
			defer a.Close()
			c := newConn(b, connConfig{opts: Options{}.withDefaults()})
			defer c.CloseNow()
			const n = 100_000
			go func() {
				w := make([]byte, 0, 10*n)
				w = append(w, frame(OpText, false, true, payload)...)
				for range n {
					w = append(w, frame(OpContinuation, false, true, payload)...)
				}
				w = append(w, frame(OpContinuation, true, true, payload)...)
				a.Write(w)
			}()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, p, err := c.Read(bg)
			runtime.ReadMemStats(&after)
			if err != nil || len(p) != (n+2)*len(payload) {
				t.Fatal(len(p), err)
			}
			// The sender's own 1 MB and what grew by doubling are in it.
			if total := after.TotalAlloc - before.TotalAlloc; total > 6<<20 {
				t.Errorf("%d bytes were allocated", total)
			}
		})
	}
}

// TestContextRegistersOnce: a context that is used for many calls gets one
// registration per direction, and none is left when the connection ends.
func TestContextRegistersOnce(t *testing.T) {
	client, server := Pipe()
	defer server.CloseNow()
	go echo(server)
	ctx := &countingContext{Context: bg, done: make(chan struct{})}
	for range 10 {
		if err := client.Write(ctx, Text, nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Read(ctx); err != nil {
			t.Fatal(err)
		}
	}
	client.CloseNow()
	if ctx.registered != 2 || ctx.stopped != 2 {
		t.Errorf("%d registrations, %d taken back", ctx.registered, ctx.stopped)
	}
}

// countingContext is asked by context.AfterFunc itself.
type countingContext struct {
	context.Context
	done                chan struct{}
	registered, stopped int
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

func (c *countingContext) AfterFunc(func()) func() bool {
	c.registered++
	return func() bool { c.stopped++; return true }
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{16, 125, 1024, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			x, y := tcpPair(b)
			client := newConn(x, connConfig{client: true, opts: Options{}.withDefaults()})
			server := newConn(y, connConfig{opts: Options{}.withDefaults()})
			defer client.CloseNow()
			defer server.CloseNow()
			go echo(server)
			msg, dst := pattern(size), make([]byte, 0, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				client.Write(bg, Binary, msg)
				client.ReadAppend(bg, dst)
			}
		})
	}
}

// TestConnSize: the next larger size class of the allocator is 256 bytes.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); unsafe.Sizeof(uintptr(0)) == 8 && n > 240 {
		t.Errorf("a Conn has %d bytes", n)
	}
}

// TestIdleStack: the goroutine of a connection that has echoed a message, and
// waits for the next, has the smallest stack there is. A frame more or a larger
// one, on the way to the system call, would double it.
func TestIdleStack(t *testing.T) {
	if raceEnabled || runtime.GOARCH != "amd64" {
		t.Skip("frames are larger, or not known to fit")
	}
	if !loopPolls {
		t.Skip("the frames of the code for systems other than Linux are larger: twice the stack")
	}
	const n = 200
	s := &Server{AcceptOptions: AcceptOptions{ForgetRequest: true}, Handler: func(c *Conn) {
		for m, err := range c.Messages(bg) {
			if err != nil || c.Write(bg, m.Type, m.Data) != nil {
				return
			}
		}
	}}
	ts := httptest.NewServer(s)
	defer ts.Close()
	defer s.Close()
	open := func(n int) {
		for range n {
			c, _, err := Dial(bg, ts.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.CloseNow() })
			c.Write(bg, Text, make([]byte, 1000))
			if _, _, err := c.Read(bg); err != nil {
				t.Fatal(err)
			}
		}
	}
	stacks := func() uint64 {
		runtime.GC()
		runtime.GC() // the first one ends what the second one lets go of
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse
	}
	open(10)
	before := stacks()
	open(n)
	if per := int64(stacks()-before) / n; per > 3000 {
		t.Errorf("%d bytes of stack per connection", per)
	} else {
		t.Logf("%d bytes of stack per connection", per)
	}
}

// TestWriteTimeoutCost: without a WriteTimeout a connection has nothing for it, and
// with one a write allocates nothing.
func TestWriteTimeoutCost(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		a, b := tcpPair(t)
		defer b.Close()
		c := newConn(a, connConfig{opts: Options{WriteTimeout: timeout, PingInterval: -1}.withDefaults()})
		defer c.CloseNow()
		p := make([]byte, 10)
		write := func() {
			if err := c.Write(bg, Binary, p); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if n := testing.AllocsPerRun(1000, write); n > 0 && !raceEnabled {
			t.Errorf("with %v: %v allocations", timeout, n)
		}
		if made := c.cancel.Load() != nil; made != (timeout > 0) {
			t.Errorf("with %v there is a clock: %v", timeout, made)
		}
	}
}
