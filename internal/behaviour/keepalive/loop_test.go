package keepalive_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// Keepalive on a loop, in real time: what is expected comes within generous bounds,
// and a connection that lives is watched for many intervals.

var loopKeepalive = websocket.Options{PingInterval: 30 * time.Millisecond, PongTimeout: 2 * time.Second}

func overKeepalive(t *testing.T, opts websocket.Options, f func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range conntest.LoopKinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c, peer := conntest.Raw(t, k, false, opts)
			f(t, conntest.NewLoop(t, 1), c, peer)
		})
	}
}

// TestLoopKeepaliveFindsDeadPeer: a silent peer is pinged, and given up.
func TestLoopKeepaliveFindsDeadPeer(t *testing.T) {
	opts := websocket.Options{PingInterval: 30 * time.Millisecond, PongTimeout: 60 * time.Millisecond}
	overKeepalive(t, opts, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
		r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
		if f, err := (&conntest.FrameReader{NC: peer}).Next(); err != nil || f.Opcode != websocket.OpPing {
			t.Fatal(f, err)
		}
		if err := wstest.Receive(t, r.Closed); !errors.Is(err, websocket.ErrDead) || websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
			t.Error(err)
		}
	})
}

// TestLoopKeepaliveKeepsAlive: a peer that answers stays, and its round-trip
// time is known.
func TestLoopKeepaliveKeepsAlive(t *testing.T) {
	overKeepalive(t, loopKeepalive, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
		r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
		fr := &conntest.FrameReader{NC: peer}
		for range 20 {
			f, err := fr.Next()
			if err != nil || f.Opcode != websocket.OpPing {
				t.Fatal(f, err)
			}
			peer.Write(conntest.Frame(websocket.OpPong, true, true, f.Payload))
		}
		wstest.Until(t, "RTT is known", func() bool { return c.RTT() > 0 })
		peer.Write(conntest.CloseFrame(true, 1000, ""))
		r.Want(t, 1000)
	})
}

// TestLoopKeepaliveAnySign: whoever sends anything lives, even if it never
// answers a ping.
func TestLoopKeepaliveAnySign(t *testing.T) {
	opts := websocket.Options{PingInterval: 300 * time.Millisecond, PongTimeout: 300 * time.Millisecond}
	overKeepalive(t, opts, func(t *testing.T, l *websocket.Loop, c *websocket.Conn, peer net.Conn) {
		r := conntest.AttachRecorder(t, l, c, conntest.Handler{})
		var log []string
		for range 100 { // over three times as long as a silent one would have
			time.Sleep(20 * time.Millisecond)
			log = append(log, "x")
			peer.Write(conntest.Text("x"))
		}
		peer.Write(conntest.CloseFrame(true, 1000, ""))
		r.Want(t, 1000, log...)
	})
}
