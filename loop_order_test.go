package websocket

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// overLoop runs f over every kind of connection on a loop of one worker, with a
// Conn that is not attached yet and the bare transport of its peer.
func overLoop(t *testing.T, f func(t *testing.T, l *Loop, c *Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newTestLoop(t, 1)
			c, peer := k.raw(t, false, Options{CloseTimeout: 2 * time.Second})
			f(t, l, c, peer)
		})
	}
}

func text(p string) []byte { return frame(OpText, true, true, p) }

// answerClose answers the close frame and waits for the end.
func answerClose(peer net.Conn) {
	r := &frameReader{nc: peer}
	for {
		f, err := r.next()
		if err != nil {
			peer.Close()
			return
		}
		if f.Opcode == OpClose {
			peer.Write(frame(OpClose, true, true, f.payload))
		}
	}
}

// TestLoopEnds: every way to end, with the messages before it.
func TestLoopEnds(t *testing.T) {
	bye := closeFrame(true, 1000, "")
	for _, tt := range []struct {
		name string
		wire string
		on   funcHandler
		code StatusCode
		log  []string
	}{
		{"by the peer", string(text("a")) + string(text("b")) + string(bye), funcHandler{}, 1000, []string{"a", "b"}},
		{"violation", string(text("a")) + string(text("\xff")), funcHandler{}, 1007, []string{"a"}},
		{"Close in OnOpen", string(text("a")), funcHandler{Open: func(c *Conn) { c.Close(4001, "") }}, 4001, nil},
		{"Close in OnMessage", string(text("a")) + string(text("b")), funcHandler{Message: func(c *Conn, _ MessageType, _ []byte) { c.Close(4002, "") }}, 4002, []string{"a"}},
		{"Close in OnClose", string(text("a")) + string(bye), funcHandler{Close: func(c *Conn, _ error) { c.Close(4003, "") }}, 1000, []string{"a"}},
		{"CloseNow in OnOpen", string(text("a")), funcHandler{Open: func(c *Conn) { c.CloseNow() }}, 1006, nil},
		{"CloseNow in OnMessage", string(text("a")) + string(text("b")), funcHandler{Message: func(c *Conn, _ MessageType, _ []byte) { c.CloseNow() }}, 1006, []string{"a"}},
		{"CloseNow in OnClose", string(bye), funcHandler{Close: func(c *Conn, _ error) { c.CloseNow() }}, 1000, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overLoop(t, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
				go func() {
					peer.Write([]byte(tt.wire))
					answerClose(peer)
				}()
				attach(t, l, c, tt.on).want(t, tt.code, tt.log...)
			})
		})
	}
}

// TestLoopPeerGoes: the peer is gone at every point of a stream.
func TestLoopPeerGoes(t *testing.T) {
	wire := append(text("first"), append(frame(OpText, false, true, "sec"), frame(OpContinuation, true, true, "ond")...)...)
	first, second := len(text("first")), len(wire)
	for _, reset := range []bool{false, true} {
		for n := range len(wire) + 1 {
			l := newTestLoop(t, 1)
			for _, k := range loopTransports[1:] {
				k.loop = false
				c, peer := k.raw(t, false, Options{})
				peer.Write(wire[:n])
				if tcp, ok := peer.(*net.TCPConn); ok && reset {
					tcp.SetLinger(0)
				}
				r := attach(t, l, c, funcHandler{})
				if reset { // which takes away what was not read
					until(t, "all read", func() bool { return c.Stats().BytesRead == uint64(n) })
				}
				peer.Close()
				var log []string
				if n >= first {
					log = append(log, "first")
				}
				if n == second {
					log = append(log, "second")
				}
				r.want(t, StatusAbnormalClosure, log...)
			}
		}
	}
}

// TestLoopCloseNowFromOutside at any moment, Attach included.
func TestLoopCloseNowFromOutside(t *testing.T) {
	l := newTestLoop(t, 2)
	for i := range 300 {
		k := loopTransports[1+i%2]
		if k.loop = false; i%2 == 1 && i > 100 {
			continue // handshakes take long
		}
		c, peer := k.raw(t, false, Options{})
		peer.Write(text("a"))
		started := make(chan struct{})
		go func() {
			close(started)
			for range i * 10 {
				_ = c.Stats()
			}
			c.CloseNow()
		}()
		<-started
		r := record(t, funcHandler{})
		if err := l.Attach(c, r); err != nil {
			if CloseCode(err) != StatusAbnormalClosure {
				t.Fatal(err)
			}
			continue
		}
		mustReceive(t, r.Closed)
		peer.Close()
	}
}

// TestLoopCloseEachOther: on one worker, a handler closes another connection
// properly, and pings its own.
func TestLoopCloseEachOther(t *testing.T) {
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newTestLoop(t, 1)
			c, peer := k.raw(t, false, Options{})
			other, otherPeer := k.raw(t, false, Options{})
			go answerClose(otherPeer)
			r := attach(t, l, other, funcHandler{})
			errs := make(chan error, 2)
			own := attach(t, l, c, funcHandler{Message: func(c *Conn, _ MessageType, _ []byte) {
				errs <- second(c.Ping(bg))
				errs <- other.Close(4004, "")
			}})
			peer.Write(text("go"))
			f, err := (&frameReader{nc: peer}).next()
			if err != nil || f.Opcode != OpPing {
				t.Fatal(f, err)
			}
			peer.Write(frame(OpPong, true, true, f.payload))
			for range 2 {
				if err := mustReceive(t, errs); err != nil {
					t.Error(err)
				}
			}
			r.want(t, 4004)
			peer.Write(closeFrame(true, 1000, ""))
			own.want(t, 1000, "go")
		})
	}
}

// TestLoopCloseTwice: Shutdown and Close may be called in any order, any number
// of times.
func TestLoopCloseTwice(t *testing.T) {
	l := newTestLoop(t, 1)
	a, b := tcpPair(t)
	defer a.Close()
	go answerClose(a)
	r := attach(t, l, newConn(b, connConfig{opts: Options{}.withDefaults()}), funcHandler{})
	for range 2 {
		if err := l.Shutdown(bg); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	r.want(t, StatusGoingAway)
	c, _ := Pipe()
	defer c.CloseNow()
	if err := l.Attach(c, r); !errors.Is(err, ErrLoopClosed) || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "loop") {
		t.Error(err)
	}
}

// TestLoopBatchCounts: messages that come in one piece, and their answers, are
// all counted.
func TestLoopBatchCounts(t *testing.T) {
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, Options{})
			attach(t, newTestLoop(t, 1), c, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }})
			const n = 20
			batch := strings.Repeat(string(text("hello")), n)
			io.WriteString(peer, batch)
			answers := make([]byte, n*len("..hello"))
			if _, err := io.ReadFull(peer, answers); err != nil {
				t.Fatal(err)
			}
			until(t, "all is counted", func() bool {
				s := c.Stats()
				return s.MessagesRead == n && s.MessagesWritten == n &&
					s.BytesRead == uint64(len(batch)) && s.BytesWritten == uint64(len(answers))
			})
		})
	}
}
