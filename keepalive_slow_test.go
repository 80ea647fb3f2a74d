package websocket

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// opaque hides what a connection is made of, as one of a foreign package does.
type opaque struct{ net.Conn }

// The tests of this file measure time, so each of them runs alone; its kinds of
// transport run at once.

// slowKinds are the transports of which keepalive sees different things.
var slowKinds = []kind{
	{"pipe", transports[0].pair, false},
	{"tcp", tcpPair, false},
	{"tls", tlsPair, false},
	{"unix", wstest.UnixPair, false},
	{"foreign", func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(pipeSize)
		return a, opaque{b}
	}, false},
	{"loop tcp", tcpPair, true},
	{"loop tls", pollableTLSPair, true},
	{"loop unix", wstest.UnixPair, true},
}

// slowPeer makes a connection with keepalive, on a loop if the kind says so, and
// its bare peer.
func (k kind) slowPeer(t *testing.T, opts Options) (*Conn, net.Conn) {
	loop := k.loop
	k.loop = false
	c, peer := k.raw(t, false, opts)
	peer.SetDeadline(time.Now().Add(40 * time.Second))
	if loop {
		attach(t, newTestLoop(t, 1), c, funcHandler{})
	} else {
		go func() {
			for third(c.Read(bg)) == nil {
			}
		}()
	}
	return c, peer
}

// boundSystem has little of what c writes taken at a time where the system does
// not count what the peer has taken: there the only sign is that a write gets on,
// and a message that the system takes at once gives none while it leaves.
func boundSystem(t *testing.T, c *Conn, peer net.Conn) {
	tcp := wstest.TCPUnder(peer)
	if tcp == nil || loopPolls {
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

// needsVisibleInput skips a test that says what keepalive finds out from input that
// nobody has read.
func needsVisibleInput(t *testing.T) {
	t.Helper()
	a, b := tcpPair(t)
	defer a.Close()
	defer b.Close()
	if transport.New(a).Probe(transport.AskInput).Readable == transport.Unknown {
		t.Skip("a socket does not tell here whether there is unread input")
	}
}

// TestKeepaliveSlowReader: a peer that takes one large message, for much longer
// than keepalive's times, and says nothing meanwhile, is not given up.
func TestKeepaliveSlowReader(t *testing.T) {
	opts := Options{PingInterval: 1500 * time.Millisecond, PongTimeout: 1500 * time.Millisecond}
	for _, k := range slowKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.slowPeer(t, opts)
			const size = 16 << 20
			written := make(chan error, 1)
			go func() { written <- c.Write(bg, Binary, make([]byte, size)) }()
			if n, err := readSlowly(peer, size, 2_000_000); err != nil {
				t.Errorf("after %d bytes: %v, %v", n, err, c.readError())
			}
			if err := mustReceive(t, written); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKeepaliveSlowMessages is the same with one message after the other.
func TestKeepaliveSlowMessages(t *testing.T) {
	opts := Options{PingInterval: 1500 * time.Millisecond, PongTimeout: 1500 * time.Millisecond}
	for _, k := range slowKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.slowPeer(t, opts)
			boundSystem(t, c, peer)
			go func() {
				for c.Write(bg, Binary, make([]byte, 1<<20)) == nil {
				}
			}()
			if n, err := readSlowly(peer, 5<<20, 600_000); err != nil {
				t.Errorf("after %d bytes: %v, %v", n, err, c.readError())
			}
		})
	}
}

// TestKeepaliveTakesNothing: a peer that takes nothing and sends nothing is found,
// whatever is under way to it; also one whose system goes on acknowledging.
func TestKeepaliveTakesNothing(t *testing.T) {
	opts := Options{PingInterval: 200 * time.Millisecond, PongTimeout: 200 * time.Millisecond}
	for _, k := range slowKinds {
		for _, tt := range []struct {
			name  string
			write func(c *Conn) error
		}{
			{"idle", func(c *Conn) error {
				<-c.ended()
				return c.readError()
			}},
			{"ticks", func(c *Conn) error {
				for {
					if err := c.Write(bg, Text, []byte("tick")); err != nil {
						return err
					}
					time.Sleep(15 * time.Millisecond)
				}
			}},
			{"a large message", func(c *Conn) error {
				c.Write(bg, Binary, make([]byte, 16<<20))
				<-c.ended()
				return c.readError()
			}},
		} {
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				c, _ := k.slowPeer(t, opts)
				found := make(chan error, 1)
				go func() { found <- tt.write(c) }()
				if err := mustReceive(t, found); !errors.Is(err, ErrDead) {
					t.Error(err)
				}
			})
		}
	}
}

// TestKeepaliveUnread: on a connection that nobody reads, with a message unread,
// a peer that answers pings lives, and one that does not is found.
func TestKeepaliveUnread(t *testing.T) {
	needsVisibleInput(t)
	opts := Options{PingInterval: 100 * time.Millisecond, PongTimeout: 2 * time.Second}
	for _, k := range slowKinds {
		if k.loop || k.name == "foreign" {
			continue // a loop reads; of a foreign connection nothing can be seen
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.raw(t, false, opts)
			peer.Write(text("a message that nobody reads"))
			r := &frameReader{nc: peer}
			for range 15 {
				f, err := r.next()
				if err != nil || f.Opcode != OpPing {
					t.Fatal(f, err)
				}
				peer.Write(frame(OpPong, true, true, f.payload))
			}
			start := time.Now()
			<-c.ended()
			if err := c.readError(); !errors.Is(err, ErrDead) || time.Since(start) < opts.PongTimeout/2 {
				t.Errorf("%v, after %v", err, time.Since(start))
			}
		})
	}
}

// TestKeepaliveFullBuffer: the peer has sent more than there is room for, and its
// pongs do not come through. It lives as long as it, or its system, takes the
// pings.
func TestKeepaliveFullBuffer(t *testing.T) {
	needsVisibleInput(t)
	opts := Options{PingInterval: 50 * time.Millisecond, PongTimeout: time.Second}
	for _, k := range slowKinds {
		if k.loop || k.name == "foreign" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.raw(t, false, opts)
			go func() { // until the end
				for {
					if _, err := peer.Write(frame(OpBinary, true, true, string(make([]byte, 64<<10)))); err != nil {
						return
					}
				}
			}()
			go frames(peer)
			until(t, "the buffer is full", func() bool { s := c.activity(); return s.Full })
			time.Sleep(3 * opts.PongTimeout)
			if err := c.readError(); err != nil {
				t.Error(err)
			}
		})
	}
}

// frames reads all that comes.
func frames(nc net.Conn) {
	r := &frameReader{nc: nc}
	for {
		if _, err := r.next(); err != nil {
			return
		}
	}
}

// TestKeepaliveClosedBehindMessage: the peer is gone, and a message that nobody
// reads is in front of that. A connection on which nothing is written, or which
// is written to, ends.
func TestKeepaliveClosedBehindMessage(t *testing.T) {
	needsVisibleInput(t)
	opts := Options{PingInterval: 100 * time.Millisecond, PongTimeout: 10 * time.Second}
	for _, k := range slowKinds {
		if k.loop || k.name == "foreign" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.raw(t, false, opts)
			peer.Write(append(text("unread"), closeFrame(true, 1000, "")...))
			peer.Close()
			select {
			case <-c.Context().Done():
			case <-time.After(8 * time.Second):
				t.Error("it goes on")
			}
		})
	}
}
