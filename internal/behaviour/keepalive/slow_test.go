package keepalive_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// The tests of this file measure time, so each of them runs alone; its kinds of
// transport run at once.

// slowKinds are the transports of which keepalive sees different things.
var slowKinds = []conntest.Kind{
	{Kind: wstest.Kind{Name: "pipe", Pair: wstest.Transports[0].Pair}},
	{Kind: wstest.Kind{Name: "tcp", Pair: wstest.TCPPair}},
	{Kind: wstest.Kind{Name: "tls", Pair: wstest.TLSPair}},
	{Kind: wstest.Kind{Name: "unix", Pair: wstest.UnixPair}},
	{Kind: wstest.Kind{Name: "foreign", Pair: func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(wstest.PipeSize)
		return a, wstest.Opaque{Conn: b}
	}}},
	{Kind: wstest.Kind{Name: "loop tcp", Pair: wstest.TCPPair}, Loop: true},
	{Kind: wstest.Kind{Name: "loop tls", Pair: conntest.LoopKinds[2].Pair}, Loop: true},
	{Kind: wstest.Kind{Name: "loop unix", Pair: wstest.UnixPair}, Loop: true},
}

// slowPeer makes a connection with keepalive, on a loop if the kind says so, and
// its bare peer.
func slowPeer(t *testing.T, k conntest.Kind, opts websocket.Options) (*websocket.Conn, net.Conn) {
	c, peer := conntest.Raw(t, k.Kind, false, opts)
	peer.SetDeadline(time.Now().Add(40 * time.Second))
	if k.Loop {
		conntest.AttachRecorder(t, conntest.NewLoop(t, 1), c, conntest.Handler{})
	} else {
		go func() {
			for wstest.Third(c.Read(bg)) == nil {
			}
		}()
	}
	return c, peer
}

// boundSystem has little of what c writes taken at a time where the system does
// not count what the peer has taken: there the only sign is that a write gets on,
// and a message that the system takes at once gives none while it leaves.
func boundSystem(t *testing.T, c *websocket.Conn, peer net.Conn) {
	tcp := wstest.TCPUnder(peer)
	if tcp == nil || wstest.LoopPolls {
		return
	}
	if err := tcp.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := c.LimitUnsent(64 << 10); err != nil {
		t.Fatal(err)
	}
}

// readSlowly reads n bytes from nc at a steady rate, in bytes per second, and
// answers nothing.
func readSlowly(nc net.Conn, n, rate int) (read int, err error) {
	const period = 20 * time.Millisecond
	b := make([]byte, rate/int(time.Second/period))
	for start := time.Now(); read < n; {
		due := time.Duration(read) * time.Second / time.Duration(rate)
		time.Sleep(time.Until(start.Add(due)))
		m, err := nc.Read(b[:min(len(b), n-read)])
		if read += m; err != nil {
			return read, err
		}
	}
	return read, nil
}

// TestKeepaliveSlowReader: a peer that takes one large message, for much longer
// than keepalive's times, and says nothing meanwhile, is not given up.
func TestKeepaliveSlowReader(t *testing.T) {
	opts := websocket.Options{PingInterval: 1500 * time.Millisecond, PongTimeout: 1500 * time.Millisecond}
	for _, k := range slowKinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c, peer := slowPeer(t, k, opts)
			const size = 16 << 20
			written := make(chan error, 1)
			go func() { written <- c.Write(bg, websocket.Binary, make([]byte, size)) }()
			if n, err := readSlowly(peer, size, 2_000_000); err != nil {
				t.Errorf("after %d bytes: %v, %v", n, err, context.Cause(c.Context()))
			}
			if err := wstest.Receive(t, written); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKeepaliveSlowMessages is the same with one message after the other.
func TestKeepaliveSlowMessages(t *testing.T) {
	opts := websocket.Options{PingInterval: 1500 * time.Millisecond, PongTimeout: 1500 * time.Millisecond}
	for _, k := range slowKinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c, peer := slowPeer(t, k, opts)
			boundSystem(t, c, peer)
			go func() {
				for c.Write(bg, websocket.Binary, make([]byte, 1<<20)) == nil {
				}
			}()
			if n, err := readSlowly(peer, 5<<20, 600_000); err != nil {
				t.Errorf("after %d bytes: %v, %v", n, err, context.Cause(c.Context()))
			}
		})
	}
}

// TestKeepaliveTakesNothing: a peer that takes nothing and sends nothing is found,
// whatever is under way to it; also one whose system goes on acknowledging.
func TestKeepaliveTakesNothing(t *testing.T) {
	opts := websocket.Options{PingInterval: 200 * time.Millisecond, PongTimeout: 200 * time.Millisecond}
	for _, k := range slowKinds {
		for _, tt := range []struct {
			name  string
			write func(c *websocket.Conn) error
		}{
			{"idle", func(c *websocket.Conn) error {
				<-c.Context().Done()
				return context.Cause(c.Context())
			}},
			{"ticks", func(c *websocket.Conn) error {
				for {
					if err := c.Write(bg, websocket.Text, []byte("tick")); err != nil {
						return err
					}
					time.Sleep(15 * time.Millisecond)
				}
			}},
			{"a large message", func(c *websocket.Conn) error {
				c.Write(bg, websocket.Binary, make([]byte, 16<<20))
				<-c.Context().Done()
				return context.Cause(c.Context())
			}},
		} {
			t.Run(k.Name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				c, _ := slowPeer(t, k, opts)
				found := make(chan error, 1)
				go func() { found <- tt.write(c) }()
				if err := wstest.Receive(t, found); !errors.Is(err, websocket.ErrDead) {
					t.Error(err)
				}
			})
		}
	}
}

// TestKeepaliveUnread: on a connection that nobody reads, with a message unread,
// a peer that answers pings lives, and one that does not is found.
func TestKeepaliveUnread(t *testing.T) {
	wstest.NeedsVisibleInput(t)
	opts := websocket.Options{PingInterval: 100 * time.Millisecond, PongTimeout: 2 * time.Second}
	for _, k := range slowKinds {
		if k.Loop || k.Name == "foreign" {
			continue // a loop reads; of a foreign connection nothing can be seen
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c, peer := conntest.RawOf(t, k, false, opts)
			peer.Write(conntest.Text("a message that nobody reads"))
			r := &conntest.FrameReader{NC: peer}
			for range 15 {
				f, err := r.Next()
				if err != nil || f.Opcode != websocket.OpPing {
					t.Fatal(f, err)
				}
				peer.Write(conntest.Frame(websocket.OpPong, true, true, f.Payload))
			}
			start := time.Now()
			<-c.Context().Done()
			if err := context.Cause(c.Context()); !errors.Is(err, websocket.ErrDead) || time.Since(start) < opts.PongTimeout/2 {
				t.Errorf("%v, after %v", err, time.Since(start))
			}
		})
	}
}

// TestKeepaliveClosedBehindMessage: the peer is gone, and a message that nobody
// reads is in front of that. A connection on which nothing is written, or which
// is written to, ends.
func TestKeepaliveClosedBehindMessage(t *testing.T) {
	wstest.NeedsVisibleInput(t)
	opts := websocket.Options{PingInterval: 100 * time.Millisecond, PongTimeout: 10 * time.Second}
	for _, k := range slowKinds {
		if k.Loop || k.Name == "foreign" {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			c, peer := conntest.RawOf(t, k, false, opts)
			peer.Write(append(conntest.Text("unread"), conntest.CloseFrame(true, 1000, "")...))
			peer.Close()
			select {
			case <-c.Context().Done():
			case <-time.After(8 * time.Second):
				t.Error("it goes on")
			}
		})
	}
}
