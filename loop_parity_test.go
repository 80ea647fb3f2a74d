package websocket

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// TestSameWithAndWithoutLoop: what a connection tells about itself does not
// depend on who reads.
func TestSameWithAndWithoutLoop(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var mu sync.Mutex
			var log []string
			note := func(event string) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, event)
			}
			ended := make(chan error, 1)
			opts := Options{Trace: &Trace{
				FrameIn:  func(_ *Conn, h Header) { note("<" + h.Opcode.String()) },
				FrameOut: func(_ *Conn, h Header) { note(">" + h.Opcode.String()) },
				Close:    func(_ *Conn, err error) { ended <- err },
			}}.withDefaults()
			type key struct{}
			req, err := http.NewRequestWithContext(context.WithValue(bg, key{}, "value"), "GET", "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			a, b := k.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			c := newConn(b, connConfig{opts: opts, agreement: agreement{subprotocol: "chat"}, request: req})
			defer c.CloseNow()
			local, remote := c.LocalAddr().String(), c.RemoteAddr().String()
			before := c.Context()
			if k.loop {
				readOnLoop(t, newTestLoop(t, 1), c)
			}
			go echo(c)
			for range 3 {
				if err := client.Write(bg, Text, []byte("12345")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := client.Read(bg); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Ping(bg); err != nil {
				t.Fatal(err)
			}
			want := Stats{MessagesRead: 3, MessagesWritten: 3, BytesRead: 3*(6+5) + 6 + 8, BytesWritten: 3*(2+5) + 2 + 8}
			until(t, fmt.Sprintf("Stats %+v", want), func() bool { return c.Stats() == want })
			if c.Subprotocol() != "chat" || c.Request() != req || c.Context() != before || before.Value(key{}) != "value" || before.Err() != nil {
				t.Error("it does not remember its handshake")
			}
			if l, r := c.LocalAddr().String(), c.RemoteAddr().String(); l != local || r != remote {
				t.Errorf("addresses %s, %s, want %s, %s", l, r, local, remote)
			}
			if err := client.Close(4321, "why not"); err != nil {
				t.Error(err)
			}
			err = mustReceive(t, ended)
			if cause := context.Cause(before); cause != err || CloseCode(err) != 4321 {
				t.Errorf("Trace.Close was told %v, the cause is %v", err, cause)
			}
			mu.Lock()
			defer mu.Unlock()
			if got, want := fmt.Sprint(log), "[<text >text <text >text <text >text <ping >pong <close >close]"; got != want {
				t.Errorf("frames %v, want %v", got, want)
			}
		})
	}
}

// TestRemoteAddrAfterEnd: who has left is known to those who hear of it, however
// the end came.
func TestRemoteAddrAfterEnd(t *testing.T) {
	for _, k := range kinds {
		for name, leave := range map[string]func(c *Conn, peer net.Conn){
			"closed": func(_ *Conn, peer net.Conn) { peer.Write(closeFrame(true, 1000, "")) },
			"gone":   func(_ *Conn, peer net.Conn) { peer.Close() },
			"cut":    func(c *Conn, _ net.Conn) { c.CloseNow() },
			"reset": func(_ *Conn, peer net.Conn) {
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
			t.Run(k.name+"/"+name, func(t *testing.T) {
				told := make(chan string, 2)
				tell := func(c *Conn, _ error) { told <- c.RemoteAddr().Network() + " " + c.RemoteAddr().String() }
				loop := k.loop
				k.loop = false
				c, peer := k.raw(t, false, Options{Trace: &Trace{Close: tell}})
				want, times := c.RemoteAddr().Network()+" "+c.RemoteAddr().String(), 1
				if loop {
					attach(t, newTestLoop(t, 1), c, funcHandler{Close: tell})
					times = 2
				} else {
					go c.Read(bg)
				}
				leave(c, peer)
				for range times {
					if got := mustReceive(t, told); got != want {
						t.Errorf("the remote address is %s, it was %s", got, want)
					}
				}
			})
		}
	}
}
