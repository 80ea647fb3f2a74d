package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// bubble runs f in a synctest bubble with a server's Conn whose peer is bare.
func bubble(t *testing.T, opts Options, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(pipeSize)
		c := newConn(a, connConfig{opts: opts.withDefaults()})
		defer c.CloseNow()
		defer b.Close()
		f(t, c, b)
	})
}

// TestPingWhileReadsComeAndGo: the reader that a Ping found leaves, others
// come and go.
func TestPingWhileReadsComeAndGo(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go c.Read(ctx)
		until(t, "reader at work", c.in.readLock.busy)
		pong := make(chan error, 1)
		go func() { pong <- second(c.Ping(bg)) }()
		f, err := (&frameReader{nc: peer}).next()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		until(t, "reader gone", func() bool { return !c.in.readLock.busy() })
		for range 3 {
			short, cancel := context.WithTimeout(bg, time.Millisecond)
			if _, _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
		peer.Write(frame(OpPong, true, true, f.payload))
		if err := <-pong; err != nil {
			t.Error(err)
		}
		peer.Write(frame(OpText, true, true, "x"))
		if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

// TestPingFlood: a peer sends pings and never reads. Reading goes on, memory
// stays bounded, and the newest pong is what it gets in the end.
func TestPingFlood(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go echo(c)
		const n = 10_000
		for i := range n {
			if _, err := peer.Write(frame(OpPing, true, true, fmt.Sprintf("%125d", i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.out.lock()
		waiting := 0
		if q := c.out.queue; q != nil {
			waiting = q.pending.Len() + cap(q.control.pongs) + cap(q.control.ping) + cap(q.control.close)
		}
		c.out.unlock()
		if waiting > 2*maxPongs*(maxControlPayload+2) {
			t.Errorf("%d bytes wait", waiting)
		}
		r := &frameReader{nc: peer}
		for last := ""; strings.TrimSpace(last) != fmt.Sprint(n-1); {
			f, err := r.next()
			if err != nil {
				t.Fatalf("after pong %q: %v", last, err)
			}
			last = f.payload
		}
	})
}

// TestKeepaliveFullBuffer: the peer has sent more than there is room for, and its
// pongs do not come through. It lives as long as it, or its system, takes the
// pings.
func TestKeepaliveFullBuffer(t *testing.T) {
	wstest.NeedsVisibleInput(t)
	opts := Options{PingInterval: 50 * time.Millisecond, PongTimeout: time.Second}
	for _, k := range append(slices.Clip(transports[:3]), kind{"unix", wstest.UnixPair, false}) { // pipe, tcp, tls
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

// Keepalive on a loop, in real time: what is expected comes within generous
// bounds, and a connection that lives is watched for many intervals.

// TestLoopKeepalivePaused: messages are not read from a peer that does not read,
// nor is a pong behind them. But it is seen, and the messages are delivered when
// the peer reads again.
func TestLoopKeepalivePaused(t *testing.T) {
	if !loopPolls {
		t.Skip("a goroutine that reads a connection does not pause: only what is polled queues without bound, and then stops reading")
	}
	opts := Options{PingInterval: time.Hour, PongTimeout: time.Hour}
	for _, k := range loopTransports[1:] {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			c, peer := k.raw(t, false, opts)
			r := attach(t, newTestLoop(t, 1), c, funcHandler{})
			want := 0
			for c.Buffered() <= 256<<10 {
				if err := c.Write(bg, Binary, make([]byte, 1<<20)); err != nil {
					t.Fatal(err)
				}
				want++
			}
			peer.Write(append(text("x"), text("y")...))
			for range 10 {
				age(c, 2*time.Hour)
				c.keepaliveTick()
				until(t, "the loop has looked", func() bool { return c.in.wanted.Load() == 0 || c.in.flags.has(messageBlocks) })
				before := c.activity()
				peer.Write(frame(OpPong, true, true, ""))
				until(t, "the pong can be seen", func() bool { now := c.activity(); return now.shows(before) })
			}
			if err := c.readError(); err != nil {
				t.Fatal(err)
			}
			fr := &frameReader{nc: peer}
			for want > 0 {
				f, err := fr.next()
				if err != nil {
					t.Fatal(err)
				}
				if f.Opcode == OpBinary {
					want--
				}
			}
			until(t, "all is read", func() bool { return c.Stats().MessagesRead == 2 })
			givesUp(t, c, c.keepaliveTick) // now it can tell
			r.want(t, StatusAbnormalClosure, "x", "y")
		})
	}
}

// TestKeepaliveFullPeer: a peer that reads nothing lives as long as it sends
// something, even when nothing more can be written to it. It is given up when it
// falls silent. So it is with a message in front of what it sends.
func TestKeepaliveFullPeer(t *testing.T) {
	opts := Options{PingInterval: time.Hour, PongTimeout: time.Hour}
	for _, k := range kinds {
		loop := k.loop
		k.loop = false
		for _, tt := range []struct {
			name            string
			answer, message bool // it has sent a message, whose handler writes; and another one
		}{{"full", false, false}, {"full for the handler", true, false}, {"full, with a message", true, true}} {
			if tt.message && !k.seesUnread() {
				continue
			}
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				if tt.message && k.name != "pipe" && k.name != "loop pipe" {
					wstest.NeedsVisibleInput(t)
				}
				c, peer := k.raw(t, false, opts)
				var written atomic.Int64
				write := func() {
					for c.Write(bg, Binary, make([]byte, 64<<10)) == nil {
						written.Add(1)
					}
				}
				if loop {
					attach(t, newTestLoop(t, 1), c, funcHandler{Message: func(*Conn, MessageType, []byte) { write() }})
				} else {
					go func() {
						for third(c.Read(bg)) == nil {
							write()
						}
					}()
				}
				if tt.answer {
					peer.Write(text("x"))
				} else {
					go write()
				}
				until(t, "nothing more can be written", func() bool {
					before := written.Load()
					time.Sleep(20 * time.Millisecond)
					return c.Buffered() > 0 && written.Load() == before
				})
				for range 3 {
					before := c.Stats().BytesRead
					until(t, "keepalive wants to read", func() bool { // once no acknowledgement is late
						age(c, 2*time.Hour)
						c.keepaliveTick() // ping, or look
						return c.in.wanted.Load() > 0
					})
					peer.Write(frame(OpPong, true, true, ""))
					until(t, "it is read", func() bool { return c.Stats().BytesRead > before })
					c.keepaliveTick()
					if err := c.readError(); err != nil {
						t.Fatal(err)
					}
				}
				if tt.message {
					for range 2 {
						age(c, 2*time.Hour)
						c.keepaliveTick()
					}
					peer.Write(text("in front"))
					until(t, "it is seen", func() bool { return c.in.flags.has(messageBlocks) })
					for range 3 {
						for range 3 {
							age(c, 2*time.Hour)
							c.keepaliveTick()
						}
						before := c.activity()
						peer.Write(frame(OpPong, true, true, ""))
						until(t, "it can be seen behind the message", func() bool { now := c.activity(); return now.shows(before) })
						c.keepaliveTick()
					}
					if err := c.readError(); err != nil {
						t.Error(err)
					}
				}
				givesUp(t, c, c.keepaliveTick)
			})
		}
	}
}
