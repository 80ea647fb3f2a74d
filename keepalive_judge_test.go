package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// judged is a case of judge as its rules are stated: what changed from one look
// to the next, and what was so.
type judged struct {
	heard                     bool
	input                     int64 // by how much it differs
	taken                     int64 // of 100 bytes that were on the way
	opened                    int64
	unread, visible, full     bool
	ended, blocked            bool
	lastBusy, busy            bool
	system, idle              bool // idle: the system has nothing to send
	wasUnread, enough, looked bool // enough: the pong timeout is over with this look; looked: it is not the first
}

// judgeRules are the rules, of which the first that applies decides.
var judgeRules = []struct {
	name string
	if_  func(j judged) bool
	then peerState
}{
	{"a read has brought bytes", func(j judged) bool { return j.heard }, peerAlive},
	{"it has sent something that can be read", func(j judged) bool { return j.input != 0 && j.unread && !j.blocked }, peerUnread},
	{"it has sent something", func(j judged) bool { return j.input != 0 }, peerAlive},
	{"a part of what was on the way is taken", func(j judged) bool { return j.taken > 0 && j.taken < 100 }, peerAlive},
	{"a writer that waits gets on", func(j judged) bool { return j.taken > 0 && j.lastBusy && j.busy }, peerAlive},
	{"the ping is taken where no pong fits in", func(j judged) bool { return j.taken > 0 && j.full }, peerAlive},
	{"it reads what its system has taken earlier", func(j judged) bool { return j.taken <= 0 && j.opened > 0 }, peerAlive},
	{"the same, seen by a ping", func(j judged) bool { return j.taken <= smallTaken && j.opened >= largeOpened }, peerAlive},
	{"what it has sent was read up to a message", func(j judged) bool { return j.wasUnread && j.blocked }, peerAlive},
	{"what it has sent is still to be read", func(j judged) bool { return j.wasUnread }, peerSilent},
	{"it has closed behind a message", func(j judged) bool { return j.looked && j.ended && j.blocked }, peerGone},
	{"the ping has just left", func(j judged) bool { return j.lastBusy && !j.busy }, peerSilent},
	{"the time is not over", func(j judged) bool { return !j.enough }, peerSilent},
	{"nothing can be seen behind a message", func(j judged) bool { return j.blocked && !j.visible }, peerUnknown},
	{"the time is over", func(judged) bool { return true }, peerDead},
}

// TestJudge goes through all cases.
func TestJudge(t *testing.T) {
	const timeout = 8 * time.Second
	bools := []bool{false, true}
	n, used := 0, map[peerState]int{}
	for bits := range 1 << 12 {
		bit := func(i int) bool { return bits>>i&1 != 0 }
		for _, input := range []int64{0, 5, -5} {
			for _, taken := range []int64{0, 50, 100, -5} {
				for _, opened := range []int64{0, 100, largeOpened, -100} {
					for _, wasUnread := range bools {
						j := judged{input: input, taken: taken, opened: opened, wasUnread: wasUnread, heard: bit(0), unread: bit(1), visible: bit(2),
							full: bit(3), ended: bit(4), blocked: bit(5), lastBusy: bit(6), busy: bit(7), system: bit(8), idle: bit(9),
							enough: bit(10), looked: bit(11)}
						// Time goes on only if the system is at work on the ping.
						counts := !(j.busy && j.system && j.idle)
						w := wait{unread: wasUnread, waited: 6 * time.Second, last: activity{at: 1e9, lastInput: 7, busy: j.lastBusy,
							State: transport.State{Input: 10, Acked: 1000, Unacked: 60, Queued: 40, Window: 1 << 20}}}
						if j.looked {
							w.looks = 1
						}
						now := activity{at: 2e9, lastInput: 7, blocked: j.blocked, busy: j.busy, State: transport.State{
							Input: 10 + input, Acked: 1000 + taken, Window: 1<<20 + opened, Unread: j.unread,
							Visible: j.visible, Full: j.full, Ended: j.ended, System: j.system, Unacked: 100}}
						if j.heard {
							now.lastInput = 9
						}
						if j.idle {
							now.Unacked = 0
						}
						if j.enough {
							w.waited += time.Second
						}
						if !counts {
							w.waited += time.Second
						}
						var want peerState
						var rule string
						for _, r := range judgeRules {
							if r.if_(j) {
								want, rule = r.then, r.name
								break
							}
						}
						if got := w.judge(now, timeout); got != want {
							t.Fatalf("%+v: %d, want %d: %s", j, got, want, rule)
						} else if got == peerAlive && j.heard && w.lastActivity != 9 || (got == peerAlive || got == peerUnread) && !j.heard && w.lastActivity != now.at &&
							!(wasUnread && j.blocked) {
							t.Fatalf("%+v: the sign was at %d", j, w.lastActivity)
						}
						used[want]++
						n++
					}
				}
			}
		}
	}
	if len(used) != int(peerGone)+1 {
		t.Errorf("%d cases, of which %v", n, used)
	}
}

// TestJudgeTime: of a peer of which nothing is seen the time is over when the
// timeout is, however often it is looked at; of a pause no more counts than two
// looks; and while the peer takes what is ahead of the ping it is not.
func TestJudgeTime(t *testing.T) {
	const timeout = 8 * time.Second
	for _, step := range []time.Duration{time.Millisecond, 999 * time.Millisecond, time.Second, 1700 * time.Millisecond} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			var w wait
			at := int64(1e12)
			w.last = activity{at: at}
			passed := time.Duration(0)
			for w.judge(activity{at: at + int64(passed)}, timeout) == peerSilent {
				passed += min(step, max(timeout-passed, 1))
			}
			if passed != timeout {
				t.Errorf("it is over after %v", passed)
			}
		})
	}
	w := wait{last: activity{at: 1}}
	for i := range 3 {
		if got := w.judge(activity{at: int64(i+1) * int64(time.Hour)}, timeout); got != peerSilent {
			t.Errorf("after %d hours that were one look each: %d", i+1, got)
		}
	}
	if got := w.judge(activity{at: 4 * int64(time.Hour)}, timeout); got != peerDead {
		t.Errorf("after looks that count as the timeout: %d", got)
	}
	w = wait{last: activity{at: 1, busy: true}}
	for i := range int64(100) {
		if got := w.judge(activity{at: (i + 1) * 1e9, busy: true, State: transport.State{Acked: i + 1}}, timeout); got != peerAlive {
			t.Fatalf("look %d while the peer takes what is ahead: %d", i, got)
		}
	}
	w = wait{last: activity{at: 1, busy: true}}
	for i := range int64(7) {
		w.judge(activity{at: (i + 1) * 1e9, busy: true}, timeout)
	}
	if got := w.judge(activity{at: 8e9}, timeout); got != peerSilent || w.waited != 0 {
		t.Errorf("when the ping leaves at last: %d, %v are over", got, w.waited)
	}
}

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
	wstest.NeedsVisibleInput(t)
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
