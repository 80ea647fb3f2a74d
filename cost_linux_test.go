//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// writeCalls counts the write system calls of the calling thread, or of all if
// who is "self".
func writeCalls(t *testing.T, who string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + who + "/io")
	if err != nil {
		t.Skip("the kernel does not count calls:", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("syscw: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(line))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOneSystemCallPerMessage: header and payload leave TCP together.
func TestOneSystemCallPerMessage(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, client := range []bool{false, true} {
		a, b := tcpPair(t)
		c := newConn(a, connConfig{client: client, opts: Options{}.withDefaults()})
		peer := newConn(b, connConfig{client: !client, opts: Options{}.withDefaults()})
		for _, size := range []int{0, 1, 125, 126, 4095, 4096, 65_535, 65_536, 150_000} {
			t.Run(fmt.Sprintf("client=%v/%d", client, size), func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				p := make([]byte, size)
				before := writeCalls(t, "thread-self")
				const n = 20
				for range n {
					if err := c.Write(bg, Binary, p); err != nil {
						t.Fatal(err)
					}
					// What was written is read before more is: a full
					// socket would take a message in pieces.
					if _, _, err := peer.Read(bg); err != nil {
						t.Fatal(err)
					}
				}
				// The runtime itself may wake its poller by a write.
				if calls := writeCalls(t, "thread-self") - before; calls < n || calls > n+2 {
					t.Errorf("%d system calls for %d messages", calls, n)
				}
			})
		}
		c.CloseNow()
		peer.CloseNow()
	}
}

// TestBatchCost: sixteen messages that arrived together are answered by one
// system call, and without an allocation.
func TestBatchCost(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items on purpose")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	peer, b := tcpPair(t)
	defer peer.Close()
	c := newConn(b, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	go echo(c)

	const each, batches = 16, 200
	batch := bytes.Repeat(frame(OpBinary, true, true, "some sixty bytes of content, as messages of a game may have"), each)
	answers := make([]byte, len(batch)-4*each) // they have no mask
	exchange := func() {
		peer.Write(batch)
		if _, err := io.ReadFull(peer, answers); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(batches, exchange); n != 0 {
		t.Errorf("%v allocations per batch", n)
	}
	before := writeCalls(t, "self")
	for range batches {
		exchange()
	}
	// The peer's own write is in it, and preemption can split a batch.
	if n := writeCalls(t, "self") - before; n < 2*batches || n > 3*batches {
		t.Errorf("%d system calls for %d batches there and back", n, batches)
	}
}

// TestLoopMemory: an idle connection on a loop, after traffic and with
// keepalive, takes at most 400 bytes and no goroutine.
func TestLoopMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	n := 1000
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur < 10_000 {
		n = int(limit.Cur) / 10
	}
	l := newTestLoop(t, 2)
	s := &loopHandler{loop: l, handler: funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}} // one for all, as a server has it
	opts := Options{PingInterval: time.Hour}.withDefaults()
	peers, conns := make([]net.Conn, n), make([]*Conn, n)
	defer func() {
		for i := range n {
			conns[i].CloseNow()
			peers[i].Close()
		}
	}()
	message, answer := text("some traffic"), make([]byte, 100)
	talk := func() {
		for _, peer := range peers {
			peer.Write(message)
			if _, err := peer.Read(answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	ncs := make([]net.Conn, n)
	for i := range n {
		peers[i], ncs[i] = tcpPair(t)
	}
	before := runtime.NumGoroutine()
	grown := heapAfter(func() {
		for i := range n {
			conns[i] = newConn(ncs[i], connConfig{opts: opts})
			if err := l.attach(conns[i], s); err != nil {
				t.Fatal(err)
			}
		}
		talk()
		talk()
	})
	// ncs keeps the net.Conns alive, which were there before and of which a loop
	// needs nothing: what has come is what a connection on a loop takes.
	if per := grown / int64(n); per > 400 {
		t.Errorf("%d bytes per connection", per)
	} else {
		t.Logf("%d bytes per idle connection", per)
	}
	if g := runtime.NumGoroutine() - before; g > 20 {
		t.Errorf("%d goroutines for %d connections", g, n)
	}
	runtime.KeepAlive(ncs)
}

// TestLoopConnSize: the next larger size class is 320 bytes, and what the
// allocator needs for itself comes on top: a loop has promised no more than 400
// bytes in all.
func TestLoopConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}) + unsafe.Sizeof(pollConn{}); unsafe.Sizeof(uintptr(0)) == 8 && n > 288 {
		t.Errorf("a connection on a loop has %d bytes", n)
	}
}

// TestLoopAllocs: a message there and back costs no allocation.
func TestLoopAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items on purpose")
	}
	for _, size := range []int{0, 10, 125, 1000, 20_000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l := newTestLoop(t, 1)
			a, b := tcpPair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			server := newConn(b, connConfig{opts: Options{}.withDefaults()})
			defer client.CloseNow()
			defer server.CloseNow()
			if err := l.Attach(server, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}); err != nil {
				t.Fatal(err)
			}
			msg, dst := pattern(size), make([]byte, 0, size)
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			if n := testing.AllocsPerRun(200, func() {
				if err := client.Write(bg, Text, msg); err != nil {
					t.Fatal(err)
				}
				if _, _, err := client.ReadAppend(bg, dst); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations for a message there and back", n)
			}
		})
	}
}

// BenchmarkLoopEcho is the whole way of a message of 64 bytes: in by a loop, to
// a handler, and back, in batches as a pipelining peer sends them. One operation
// is one batch, both ends and the system's part included.
func BenchmarkLoopEcho(b *testing.B) {
	for _, batch := range []int{1, 16, 200} {
		b.Run(fmt.Sprintf("Batch=%d", batch), func(b *testing.B) {
			l := newTestLoop(b, 1)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go l.Serve(ln, nil, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) {
				c.Write(context.Background(), typ, p)
			}})
			c, _, err := Dial(context.Background(), "ws://"+ln.Addr().String(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer c.CloseNow()
			nc := c.t.Writer()
			msg := bytes.Repeat(frame(OpBinary, true, true, strings.Repeat("a", 64)), batch)
			back := make([]byte, batch*66)
			b.ReportAllocs()
			for b.Loop() {
				nc.Write(msg)
				if _, err := io.ReadFull(nc, back); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
		})
	}
}
