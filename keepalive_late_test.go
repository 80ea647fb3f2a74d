package websocket

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Keepalive on a machine where things happen late, or too often: a peer that
// has answered is not given up.

// age lets time pass, as keepalive sees it.
func age(c *Conn, d time.Duration) {
	c.in.lastInput.Add(-int64(d))
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if p := c.life.probeLocked(); p != nil {
		p.last.at -= int64(d)
	}
}

// TestKeepaliveLate: the process was stopped, and the pong came meanwhile. When
// it goes on the timer is late, and faster than whoever reads.
func TestKeepaliveLate(t *testing.T) {
	for _, reads := range []bool{true, false} {
		bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
			if reads {
				go c.Read(bg)
			}
			f, err := (&frameReader{nc: peer}).next()
			if err != nil || f.Opcode != OpPing {
				t.Fatal(f, err)
			}
			synctest.Wait() // until the ping is noted
			age(c, time.Hour)
			c.keepaliveTick()
			time.Sleep(defaultPongTimeout/2 - time.Second) // not when keepalive looks
			peer.Write(frame(OpPong, true, true, f.payload))
			time.Sleep(defaultPingInterval / 2)
			if err := context.Cause(c.Context()); err != nil || c.RTT() == 0 {
				t.Error(err, c.RTT())
			}
		})
	}
}

// TestKeepaliveSwept: looking at it more often, as a loop does, changes nothing.
func TestKeepaliveSwept(t *testing.T) {
	for _, period := range []time.Duration{100 * time.Millisecond, 999 * time.Millisecond, defaultPingInterval / 8} {
		bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
			start := time.Now()
			go func() {
				for {
					time.Sleep(period)
					c.sweep(monotonic())
					if c.closing() {
						return
					}
				}
			}()
			f, err := (&frameReader{nc: peer}).next()
			if err != nil || f.Opcode != OpPing || time.Since(start) != defaultPingInterval {
				t.Errorf("after %v: %+v, %v", time.Since(start), f, err)
			}
			<-c.Context().Done()
			// That the ping has left shows when keepalive looks, here at the same moment.
			d := time.Since(start) - (defaultPingInterval + defaultPongTimeout)
			if d < 0 || d > defaultPongTimeout/looksPerTimeout {
				t.Errorf("swept every %v it is given up %v late", period, d)
			}
			synctest.Wait()
			time.Sleep(period) // for the sweeper to notice
		})
	}
}

// TestKeepaliveSweptOff: where no peer is given up, there is one ping for each
// interval all the same, or none if the peer speaks.
func TestKeepaliveSweptOff(t *testing.T) {
	bubble(t, Options{PongTimeout: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
		const period = defaultPingInterval / 8
		pass := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); c.sweep(monotonic()) {
				time.Sleep(period)
			}
			synctest.Wait()
		}
		pass(time.Hour + period)
		if n := c.Stats().BytesWritten; n != 120*10 {
			t.Errorf("%d bytes were written, want 120 pings of 10", n)
		}
		go func() {
			for third(c.Read(bg)) == nil {
			}
		}()
		for range 10 {
			peer.Write(text("x"))
			pass(defaultPingInterval * 3 / 4)
		}
		if n := c.Stats().BytesWritten; n != 120*10 {
			t.Errorf("%d bytes were written", n)
		}
	})
}

// TestKeepaliveLooksFirst: a pong has come, but whoever reads does not get the
// processor.
func TestKeepaliveLooksFirst(t *testing.T) {
	needsVisibleInput(t)
	opts := Options{PingInterval: time.Hour, PongTimeout: time.Hour}
	seeing := slices.DeleteFunc(slices.Clone(transports), func(k kind) bool { return !k.seesUnread() })
	overRawKinds(t, seeing, false, opts, func(t *testing.T, c *Conn, peer net.Conn) {
		if !c.in.readLock.tryLock() { // a call that has come so far
			t.Fatal("somebody reads")
		}
		keepsWaiting(t, c, peer, c.keepaliveTick)
		c.releaseRead()
		until(t, "the pong is read", func() bool { return c.RTT() > 0 })
		givesUp(t, c, c.keepaliveTick)
	})
}

// keepsWaiting has keepalive ping the peer, which answers, and then look, by
// tick, at c, which nobody reads.
func keepsWaiting(t *testing.T, c *Conn, peer net.Conn, tick func()) {
	t.Helper()
	for range 5 {
		age(c, 2*time.Hour)
		tick()
		f, err := (&frameReader{nc: peer}).next()
		if err != nil || f.Opcode != OpPing {
			t.Fatal(f, err)
		}
		for range looksPerTimeout / 2 { // late, as far as keepalive can tell
			age(c, 2*time.Hour)
		}
		peer.Write(frame(OpPong, true, true, f.payload))
		until(t, "keepalive sees the pong", func() bool {
			c.life.mu.Lock()
			last := c.life.probeLocked().last
			c.life.mu.Unlock()
			now := c.activity()
			return now.shows(last)
		})
		tick()
		if c.in.lastInput.Load() < monotonic()-int64(time.Minute) {
			t.Fatal("the pong is no sign")
		}
		for range 2 * looksPerTimeout { // whoever reads does not come to it
			tick()
		}
	}
	if err := c.readError(); err != nil {
		t.Fatal(err)
	}
}

// givesUp has keepalive look after c, of whose peer nothing arrives any more.
func givesUp(t *testing.T, c *Conn, tick func()) {
	t.Helper()
	until(t, "it is given up", func() bool {
		age(c, 2*time.Hour)
		tick()
		return c.closing()
	})
	if err := c.readError(); !errors.Is(err, ErrDead) {
		t.Error(err)
	}
}
