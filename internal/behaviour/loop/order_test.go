package loop_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// overLoop runs f over every kind of connection on a loop of one worker, with a
// Conn that is not attached yet and the bare transport of its peer.
func overLoop(t *testing.T, f func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range conntest.LoopKinds {
		t.Run(k.Name, func(t *testing.T) {
			l := conntest.NewLoop(t, 1)
			c, peer := conntest.Raw(t, k, false, websocket.Options{CloseTimeout: 2 * time.Second})
			f(t, l, c, peer)
		})
	}
}

func text(p string) []byte { return conntest.Frame(websocket.OpText, true, true, p) }

// answerClose answers the close frame and waits for the end.
func answerClose(peer net.Conn) {
	r := &conntest.FrameReader{NC: peer}
	for {
		f, err := r.Next()
		if err != nil {
			peer.Close()
			return
		}
		if f.Opcode == websocket.OpClose {
			peer.Write(conntest.Frame(websocket.OpClose, true, true, f.Payload))
		}
	}
}

// TestLoopEnds: every way to end, with the messages before it.
func TestLoopEnds(t *testing.T) {
	bye := conntest.CloseFrame(true, 1000, "")
	for _, tt := range []struct {
		name string
		wire string
		on   conntest.Handler
		code websocket.StatusCode
		log  []string
	}{
		{"by the peer", string(text("a")) + string(text("b")) + string(bye), conntest.Handler{}, 1000, []string{"a", "b"}},
		{"violation", string(text("a")) + string(text("\xff")), conntest.Handler{}, 1007, []string{"a"}},
		{"Close in OnOpen", string(text("a")), conntest.Handler{Open: func(c *websocket.Conn) { c.Close(4001, "") }}, 4001, nil},
		{"Close in OnMessage", string(text("a")) + string(text("b")), conntest.Handler{Message: func(c *websocket.Conn, _ websocket.MessageType, _ []byte) { c.Close(4002, "") }}, 4002, []string{"a"}},
		{"Close in OnClose", string(text("a")) + string(bye), conntest.Handler{Close: func(c *websocket.Conn, _ error) { c.Close(4003, "") }}, 1000, []string{"a"}},
		{"CloseNow in OnOpen", string(text("a")), conntest.Handler{Open: func(c *websocket.Conn) { c.CloseNow() }}, 1006, nil},
		{"CloseNow in OnMessage", string(text("a")) + string(text("b")), conntest.Handler{Message: func(c *websocket.Conn, _ websocket.MessageType, _ []byte) { c.CloseNow() }}, 1006, []string{"a"}},
		{"CloseNow in OnClose", string(bye), conntest.Handler{Close: func(c *websocket.Conn, _ error) { c.CloseNow() }}, 1000, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overLoop(t, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
				go func() {
					peer.Write([]byte(tt.wire))
					answerClose(peer)
				}()
				conntest.AttachRecorder(t, l, c, tt.on).Want(t, tt.code, tt.log...)
			})
		})
	}
}

// TestLoopPeerGoes: the peer is gone at every point of a stream.
func TestLoopPeerGoes(t *testing.T) {
	wire := append(text("first"), append(conntest.Frame(websocket.OpText, false, true, "sec"), conntest.Frame(websocket.OpContinuation, true, true, "ond")...)...)
	first, second := len(text("first")), len(wire)
	for _, reset := range []bool{false, true} {
		for n := range len(wire) + 1 {
			l := conntest.NewLoop(t, 1)
			for _, k := range conntest.LoopKinds[1:] {
				c, peer := conntest.Raw(t, k, false, websocket.Options{})
				peer.Write(wire[:n])
				if tcp, ok := peer.(*net.TCPConn); ok && reset {
					tcp.SetLinger(0)
				}
				r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
				if reset { // which takes away what was not read
					wstest.Until(t, "all read", func() bool { return c.Stats().BytesRead == uint64(n) })
				}
				peer.Close()
				var log []string
				if n >= first {
					log = append(log, "first")
				}
				if n == second {
					log = append(log, "second")
				}
				r.Want(t, websocket.StatusAbnormalClosure, log...)
			}
		}
	}
}

// TestLoopCloseNowFromOutside at any moment, Attach included.
func TestLoopCloseNowFromOutside(t *testing.T) {
	l := conntest.NewLoop(t, 2)
	for i := range 300 {
		k := conntest.LoopKinds[1+i%2]
		if i%2 == 1 && i > 100 {
			continue // handshakes take long
		}
		c, peer := conntest.Raw(t, k, false, websocket.Options{})
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
		r := conntest.Record(t, conntest.Handler{})
		if err := l.Attach(c, r); err != nil {
			if websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
				t.Fatal(err)
			}
			continue
		}
		wstest.Receive(t, r.Closed)
		peer.Close()
	}
}

// TestLoopCloseEachOther: on one worker, a handler closes another connection
// properly, and pings its own.
func TestLoopCloseEachOther(t *testing.T) {
	for _, k := range conntest.LoopKinds {
		t.Run(k.Name, func(t *testing.T) {
			l := conntest.NewLoop(t, 1)
			c, peer := conntest.Raw(t, k, false, websocket.Options{})
			other, otherPeer := conntest.Raw(t, k, false, websocket.Options{})
			go answerClose(otherPeer)
			r := conntest.AttachRecorder(t, l, other, conntest.Handler{})
			errs := make(chan error, 2)
			own := conntest.AttachRecorder(t, l, c, conntest.Handler{Message: func(c *websocket.Conn, _ websocket.MessageType, _ []byte) {
				errs <- wstest.Second(c.Ping(bg))
				errs <- other.Close(4004, "")
			}})
			peer.Write(text("go"))
			f, err := (&conntest.FrameReader{NC: peer}).Next()
			if err != nil || f.Opcode != websocket.OpPing {
				t.Fatal(f, err)
			}
			peer.Write(conntest.Frame(websocket.OpPong, true, true, f.Payload))
			for range 2 {
				if err := wstest.Receive(t, errs); err != nil {
					t.Error(err)
				}
			}
			r.Want(t, 4004)
			peer.Write(conntest.CloseFrame(true, 1000, ""))
			own.Want(t, 1000, "go")
		})
	}
}

// TestLoopCloseTwice: Shutdown and Close may be called in any order, any number
// of times.
func TestLoopCloseTwice(t *testing.T) {
	l := conntest.NewLoop(t, 1)
	a, b := wstest.TCPPair(t)
	defer a.Close()
	go answerClose(a)
	r := conntest.AttachRecorder(t, l, conntest.New(t, b, false, websocket.Options{}), conntest.Handler{})
	for range 2 {
		if err := l.Shutdown(bg); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	r.Want(t, websocket.StatusGoingAway)
	c, _ := websocket.Pipe()
	defer c.CloseNow()
	if err := l.Attach(c, r); !errors.Is(err, websocket.ErrLoopClosed) || !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "loop") {
		t.Error(err)
	}
}

// TestLoopBatchCounts: messages that come in one piece, and their answers, are
// all counted.
func TestLoopBatchCounts(t *testing.T) {
	for _, k := range conntest.LoopKinds {
		t.Run(k.Name, func(t *testing.T) {
			c, peer := conntest.Raw(t, k, false, websocket.Options{})
			conntest.AttachRecorder(t, conntest.NewLoop(t, 1), c, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) { c.Write(bg, typ, p) }})
			const n = 20
			batch := strings.Repeat(string(text("hello")), n)
			io.WriteString(peer, batch)
			answers := make([]byte, n*len("..hello"))
			if _, err := io.ReadFull(peer, answers); err != nil {
				t.Fatal(err)
			}
			wstest.Until(t, "all is counted", func() bool {
				s := c.Stats()
				return s.MessagesRead == n && s.MessagesWritten == n &&
					s.BytesRead == uint64(len(batch)) && s.BytesWritten == uint64(len(answers))
			})
		})
	}
}
