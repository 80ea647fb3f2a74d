package websocket

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Keepalive on a loop, in real time: what is expected comes within generous
// bounds, and a connection that lives is watched for many intervals.

var loopKeepalive = Options{PingInterval: 30 * time.Millisecond, PongTimeout: 2 * time.Second}

func overKeepalive(t *testing.T, opts Options, f func(t *testing.T, l *Loop, c *Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range loopTransports {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			k.loop = false
			c, peer := k.raw(t, false, opts)
			f(t, newTestLoop(t, 1), c, peer)
		})
	}
}

// TestLoopKeepaliveFindsDeadPeer: a silent peer is pinged, and given up.
func TestLoopKeepaliveFindsDeadPeer(t *testing.T) {
	opts := Options{PingInterval: 30 * time.Millisecond, PongTimeout: 60 * time.Millisecond}
	overKeepalive(t, opts, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		r := attach(t, l, c, funcHandler{})
		if f, err := (&frameReader{nc: peer}).next(); err != nil || f.Opcode != OpPing {
			t.Fatal(f, err)
		}
		if err := mustReceive(t, r.Closed); !errors.Is(err, ErrDead) || CloseCode(err) != StatusAbnormalClosure {
			t.Error(err)
		}
	})
}

// TestLoopKeepaliveKeepsAlive: a peer that answers stays, and its round-trip
// time is known.
func TestLoopKeepaliveKeepsAlive(t *testing.T) {
	overKeepalive(t, loopKeepalive, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		r := attach(t, l, c, funcHandler{})
		fr := &frameReader{nc: peer}
		for range 20 {
			f, err := fr.next()
			if err != nil || f.Opcode != OpPing {
				t.Fatal(f, err)
			}
			peer.Write(frame(OpPong, true, true, f.payload))
		}
		until(t, "RTT is known", func() bool { return c.RTT() > 0 })
		peer.Write(closeFrame(true, 1000, ""))
		r.want(t, 1000)
	})
}

// TestLoopKeepaliveAnySign: whoever sends anything lives, even if it never
// answers a ping.
func TestLoopKeepaliveAnySign(t *testing.T) {
	opts := Options{PingInterval: 300 * time.Millisecond, PongTimeout: 300 * time.Millisecond}
	overKeepalive(t, opts, func(t *testing.T, l *Loop, c *Conn, peer net.Conn) {
		r := attach(t, l, c, funcHandler{})
		var log []string
		for range 100 { // over three times as long as a silent one would have
			time.Sleep(20 * time.Millisecond)
			log = append(log, "x")
			peer.Write(text("x"))
		}
		peer.Write(closeFrame(true, 1000, ""))
		r.want(t, 1000, log...)
	})
}

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
					needsVisibleInput(t)
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
