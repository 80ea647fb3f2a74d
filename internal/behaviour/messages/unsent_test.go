package messages_test

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// socketKinds are the kinds of connections that lie on a socket.
var socketKinds = []conntest.Kind{
	{Kind: wstest.Kind{Name: "tcp", Pair: wstest.TCPPair}}, {Kind: wstest.Kind{Name: "loop tcp", Pair: wstest.TCPPair}, Loop: true},
	{Kind: wstest.Kind{Name: "tls", Pair: wstest.TLSPair}}, {Kind: wstest.Kind{Name: "loop tls", Pair: conntest.LoopKinds[2].Pair}, Loop: true},
	{Kind: wstest.Kind{Name: "unix", Pair: wstest.UnixPair}}, {Kind: wstest.Kind{Name: "loop unix", Pair: wstest.UnixPair}, Loop: true},
}

// takenBySystem sends small messages to a peer that does not read, until the
// system has taken nothing for a while, and returns how many bytes it has. On a
// slow machine there may be fewer.
func takenBySystem(t *testing.T, c *websocket.Conn) int {
	t.Helper()
	msg := bytes.Repeat([]byte("x"), 98) // 100 with its header
	taken := 0
	for refused := 0; refused < 50; {
		err := c.Send(websocket.Binary, msg)
		switch {
		case err == nil:
			taken += len(msg) + 2
			refused = 0
		case err == websocket.ErrBackpressure:
			refused++
			time.Sleep(time.Millisecond)
		default:
			t.Fatal(err)
		}
	}
	return taken - c.Buffered()
}

// What a producer that only sends can put into the system is bounded, together
// with what the peer's system receives.
func TestLimitUnsent(t *testing.T) {
	const limit = 16 << 10
	for _, k := range socketKinds {
		t.Run(k.Name, func(t *testing.T) {
			c, peer := conntest.RawOf(t, k, false, websocket.Options{SendBuffer: 64 << 10})
			bound := limit // a Unix socket holds all that the peer has not read
			if tcp := wstest.TCPUnder(peer); tcp != nil {
				if err := tcp.SetReadBuffer(64 << 10); err != nil {
					t.Fatal(err)
				}
				bound = 512 << 10 // without a limit it is some megabytes
			}
			if err := c.LimitUnsent(limit); err != nil {
				t.Fatal(err)
			}
			if n := takenBySystem(t, c); n > bound {
				t.Errorf("the system has taken %d bytes", n)
			}
		})
	}
}

// The limit stays when a Loop takes the connection.
func TestLimitUnsentThenAttach(t *testing.T) {
	c, peer := conntest.Raw(t, wstest.Kind{Name: "tcp", Pair: wstest.TCPPair}, false, websocket.Options{SendBuffer: 64 << 10})
	if err := wstest.TCPUnder(peer).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := c.LimitUnsent(16 << 10); err != nil {
		t.Fatal(err)
	}
	if err := conntest.NewLoop(t, 1).Attach(c, conntest.Handler{}); err != nil {
		t.Fatal(err)
	}
	if n := takenBySystem(t, c); n > 512<<10 {
		t.Errorf("the system has taken %d bytes", n)
	}
}

// A peer that reads gets all, and in order, however low the limit is.
func TestLimitUnsentLosesNothing(t *testing.T) {
	for _, k := range socketKinds {
		t.Run(k.Name, func(t *testing.T) {
			c, peer := conntest.RawOf(t, k, false, websocket.Options{SendBuffer: 64 << 10})
			if err := c.LimitUnsent(1); err != nil {
				t.Fatal(err)
			}
			sent := make(chan error, 1)
			const messages = 3000
			go func() {
				for i := range messages {
					msg := bytes.Repeat([]byte{byte(i)}, i)
					err := c.Send(websocket.Binary, msg)
					for err == websocket.ErrBackpressure {
						<-c.Drained()
						err = c.Send(websocket.Binary, msg)
					}
					if err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			r := &conntest.FrameReader{NC: peer}
			for i := range messages {
				f, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.Repeat(string([]byte{byte(i)}), i); f.Payload != want {
					t.Fatalf("message %d is another one, of %d bytes", i, len(f.Payload))
				}
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestLimitUnsentErrors(t *testing.T) {
	a, b := websocket.Pipe()
	defer a.CloseNow()
	defer b.CloseNow()
	if err := a.LimitUnsent(1000); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("on a Pipe: %v", err)
	}
	for _, k := range socketKinds {
		t.Run(k.Name, func(t *testing.T) {
			c, _ := conntest.RawOf(t, k, false, websocket.Options{})
			for _, n := range []int{0, -1} {
				if err := c.LimitUnsent(n); err == nil || errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("limited to %d: %v", n, err)
				}
			}
			c.CloseNow()
			<-c.Context().Done()
			var closed *websocket.CloseError
			if err := c.LimitUnsent(1000); !errors.As(err, &closed) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
	t.Run("wrapped", func(t *testing.T) {
		nc, peer := wstest.TCPPair(t)
		defer peer.Close()
		c := conntest.New(t, struct{ net.Conn }{nc}, false, websocket.Options{})
		defer c.CloseNow()
		if err := c.LimitUnsent(1000); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	})
}
