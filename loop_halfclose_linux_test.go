//go:build !ws_unix && !ws_plain

package websocket

import (
	"runtime"
	"testing"
	"time"
)

// TestLoopFlushesOnce: the end of the input, while much is queued for a peer that
// does not read, is waited out by one goroutine.
func TestLoopFlushesOnce(t *testing.T) {
	l := newTestLoop(t, 1)
	closed := make(chan struct{})
	peer, server := bareAttached(t, l, funcHandler{close: func(*Conn, error) { close(closed) }}, Options{CloseTimeout: time.Minute})
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
