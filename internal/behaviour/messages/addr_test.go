package messages_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// TestRemoteAddrAfterEnd: who has left is known to those who hear of it, however
// the end came.
func TestRemoteAddrAfterEnd(t *testing.T) {
	for _, k := range conntest.Kinds {
		for name, leave := range map[string]func(c *websocket.Conn, peer net.Conn){
			"closed": func(_ *websocket.Conn, peer net.Conn) { peer.Write(conntest.CloseFrame(true, 1000, "")) },
			"gone":   func(_ *websocket.Conn, peer net.Conn) { peer.Close() },
			"cut":    func(c *websocket.Conn, _ net.Conn) { c.CloseNow() },
			"reset": func(_ *websocket.Conn, peer net.Conn) {
				switch under := peer.(type) {
				case *tls.Conn:
					peer = under.NetConn()
					if p, ok := peer.(*transport.Pollable); ok {
						peer = p.Get()
					}
				}
				if tcp, ok := peer.(*net.TCPConn); ok {
					tcp.SetLinger(0)
				}
				peer.Close()
			},
		} {
			t.Run(k.Name+"/"+name, func(t *testing.T) {
				told := make(chan string, 2)
				tell := func(c *websocket.Conn, _ error) { told <- c.RemoteAddr().Network() + " " + c.RemoteAddr().String() }
				loop := k.Loop
				k.Loop = false
				c, peer := conntest.RawOf(t, k, false, websocket.Options{Trace: &websocket.Trace{Close: tell}})
				want, times := c.RemoteAddr().Network()+" "+c.RemoteAddr().String(), 1
				if loop {
					conntest.AttachRecorder(t, conntest.NewLoop(t, 1), c, conntest.Handler{Close: tell})
					times = 2
				} else {
					go c.Read(bg)
				}
				leave(c, peer)
				for range times {
					if got := wstest.Receive(t, told); got != want {
						t.Errorf("the remote address is %s, it was %s", got, want)
					}
				}
			})
		}
	}
}
