//go:build !ws_unix && !ws_plain

package websocket

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// newStarvedLoop returns a loop with one worker whose monitor does not get the
// processor: a handler that blocks holds up all.
func newStarvedLoop(t *testing.T) *Loop {
	t.Helper()
	l := &Loop{logger: slog.Default(), listeners: make(map[net.Listener]struct{})}
	e := &engine{loop: l}
	e.monitor.init(e)
	w := &worker{engine: e}
	var err error
	if w.poll, err = epoll.New(); err != nil {
		t.Fatal(err)
	}
	w.clock.Store(monotonic())
	e.workers = []*worker{w}
	l.engine = e
	w.replace()
	t.Cleanup(func() { l.Close() })
	return l
}

// TestLoopKeepaliveLooksFirst: a pong has come, but the worker does not get the
// processor to read it.
func TestLoopKeepaliveLooksFirst(t *testing.T) {
	opts := Options{PingInterval: time.Hour, PongTimeout: time.Hour}
	for _, k := range pollConnKinds {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newStarvedLoop(t)
			c, peer := k.raw(t, false, opts)
			attach(t, l, c, funcHandler{})
			in, out := make(chan struct{}), make(chan struct{})
			first, _ := attached(t, l, funcHandler{message: func(*Conn, MessageType, []byte) { close(in); <-out }}, Options{})
			if err := first.Write(bg, Text, []byte("x")); err != nil {
				t.Fatal(err)
			}
			<-in
			tick := func() { c.sweep(monotonic()) }
			keepsWaiting(t, c, peer, tick)
			close(out)
			until(t, "the pong is read", func() bool { return c.RTT() > 0 })
			givesUp(t, c, tick)
		})
	}
}
