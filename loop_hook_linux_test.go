//go:build !ws_unix && !ws_plain

package websocket

import (
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"
)

// exitOn are options whose hooks end the goroutine when there is a frame of that
// kind, or the end if there is none.
func exitOn(op Opcode) Options {
	return Options{Logger: slog.New(slog.DiscardHandler), Trace: &Trace{
		FrameOut: func(_ *Conn, h Header) {
			if h.Opcode == op {
				runtime.Goexit()
			}
		},
		Close: func(*Conn, error) {
			if op == OpContinuation {
				runtime.Goexit()
			}
		},
	}}
}

// A hook ends the goroutine that looks after the keepalive of all. It goes on.
func TestLoopSweeperSurvives(t *testing.T) {
	l := newTestLoop(t, 1)
	opts := exitOn(OpPing)
	opts.PingInterval = 10 * time.Millisecond
	_, victim := bareAttached(t, l, funcHandler{}, opts)
	<-victim.ended()
	peer, _ := bareAttached(t, l, funcHandler{}, Options{PingInterval: 10 * time.Millisecond})
	if f, err := (&frameReader{nc: peer}).next(); err != nil || f.Opcode != OpPing {
		t.Error(f, err)
	}
}

// A hook ends the goroutine that looks after the runners. It goes on.
func TestLoopMonitorSurvives(t *testing.T) {
	l := newTestLoop(t, 1)
	in, out := make(chan struct{}), make(chan struct{})
	defer close(out)
	block := funcHandler{message: func(c *Conn, typ MessageType, p []byte) {
		if c.opts.Trace == nil {
			c.Write(bg, typ, p)
		} else {
			onPoller := pollConnOf(c.loopTransport())
			onPoller.CloseWrite()                    // what is pending cannot be written
			c.life.state.Store(uint32(stateClosing)) // in which that is the end
			if onPoller.writeCorked(Header{Fin: true, Opcode: Opcode(typ), Length: int64(len(p))}, p) == 0 {
				go c.breakWrite(net.ErrClosed) // the monitor was here before
			}
		}
		in <- struct{}{}
		<-out
	}}
	for _, opts := range []Options{exitOn(OpContinuation), {}, {}} {
		peer, server := bareAttached(t, l, block, opts)
		peer.Write(text("x"))
		<-in
		if opts.Trace != nil {
			<-server.ended() // by the monitor
		}
		settle(t, l) // another runner has come
	}
}

// A hook ends the goroutine of a runner that is at a handshake. No other
// connection is concerned.
func TestLoopHandshakeSurvives(t *testing.T) {
	l := newTestLoop(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go l.Serve(ln, &AcceptOptions{Options: exitOn(OpClose)}, funcHandler{close: func(_ *Conn, err error) { closed <- err }})
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	nc.Write([]byte(request[:20]))
	w := l.engine.workers[0]
	until(t, "the handshake has begun", func() bool { return len(w.allHandshakes()) == 1 })

	other, _ := loopConns(t, l, tcpPair, loopEcho{}, Options{})
	mustEcho(t, other, "what the runner was last busy with")
	phase := func(p serverPhase) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.phase = p
	}
	phase(phaseDraining) // so that the connection is closed as soon as it is made
	nc.Write([]byte(request[20:]))
	if err := mustReceive(t, closed); err == nil {
		t.Error("no error")
	}
	phase(phaseServing)
	mustEcho(t, other, "afterwards")
}
