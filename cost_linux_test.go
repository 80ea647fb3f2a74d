//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
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
