//go:build !ws_unix && !ws_plain

package websocket

import (
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

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
	s := &loopHandler{loop: l, handler: funcHandler{message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}} // one for all, as a server has it
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
			if err := l.Attach(server, funcHandler{message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}); err != nil {
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
