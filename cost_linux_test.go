package websocket

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// writeCalls counts the write system calls of the calling thread.
func writeCalls(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/io")
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
				before := writeCalls(t)
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
				if calls := writeCalls(t) - before; calls < n || calls > n+2 {
					t.Errorf("%d system calls for %d messages", calls, n)
				}
			})
		}
		c.CloseNow()
		peer.CloseNow()
	}
}
