package websocket

import (
	"context"
	"encoding/binary"
	"slices"
	"time"
)

// pings are those that are under way. life.mu guards them.
type pings struct {
	list  []*ping // not answered yet, oldest first
	probe *ping   // keepalive's own, nil if none is out
}

// ping is one ping that waits for its pong.
type ping struct {
	id   uint64
	sent int64         // by monotonic
	last int64         // keepalive's own: when its last moments began
	rtt  time.Duration // set before done is closed, 0 if there was no answer
	done chan struct{}
}

// Ping sends a ping and waits for the pong (RFC 6455, section 5.5.2). It
// returns the round-trip time, which includes the time that the ping waited
// behind a message being written. Any number of goroutines may call it. While
// the peer has sent messages that nobody reads, the pong behind them is not
// seen: read in another goroutine.
func (c *Conn) Ping(ctx context.Context) (rtt time.Duration, err error) {
	if ctx == nil {
		return 0, errNilContext
	}
	if ctx.Err() != nil {
		return 0, contextError(ctx)
	}
	p, err := c.sendPing()
	if err != nil {
		return 0, err
	}
	c.in.wanted.Add(1)
	defer c.in.wanted.Add(-1)
	c.attendInBackground()
	select {
	case <-p.done:
		if p.rtt == 0 {
			return 0, c.writeError()
		}
		return p.rtt, nil
	case <-ctx.Done():
		c.life.mu.Lock()
		defer c.life.mu.Unlock()
		c.life.dropPingLocked(p)
		return 0, contextError(ctx)
	}
}

// RTT returns the round-trip time that the last answered ping measured, be it
// of [Conn.Ping] or of keepalive. It is 0 as long as there was none.
func (c *Conn) RTT() time.Duration { return time.Duration(c.life.rtt.Load()) }

func (c *Conn) sendPing() (*ping, error) {
	l := &c.life
	l.mu.Lock()
	if l.closeState() != stateOpen {
		l.mu.Unlock()
		return nil, c.whyNotWrite()
	}
	ps := l.pingsLocked()
	if ps == nil {
		ps = new(pings)
		l.extraLocked().pings = ps
	}
	p := &ping{sent: monotonic(), done: make(chan struct{})}
	p.id = uint64(p.sent)
	if n := len(ps.list); n > 0 {
		p.id = max(p.id, ps.list[n-1].id+1)
	}
	ps.list = append(ps.list, p)
	l.mu.Unlock()
	c.queuePing(binary.BigEndian.AppendUint64(nil, p.id))
	return p, nil
}

// gotPong completes the ping that is answered, and those before it: "an
// endpoint MAY elect to send a Pong frame for only the most recently
// processed Ping frame" (section 5.5.3). A pong that answers none is ignored.
func (c *Conn) gotPong(payload []byte) {
	if len(payload) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(payload)
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	ps := l.pingsLocked()
	if ps == nil || !slices.ContainsFunc(ps.list, func(p *ping) bool { return p.id == id }) {
		return
	}
	now := monotonic()
	for len(ps.list) > 0 && ps.list[0].id <= id {
		p := ps.list[0]
		p.rtt = max(time.Duration(now-p.sent), 1)
		if p.id == id {
			l.rtt.Store(int64(p.rtt))
		}
		close(p.done)
		ps.list = ps.list[1:]
	}
	if ps.probe != nil && ps.probe.rtt > 0 {
		ps.probe = nil
	}
	l.trimPingsLocked()
}

func (l *life) dropPingLocked(p *ping) {
	ps := l.pingsLocked()
	if ps == nil {
		return
	}
	for i, q := range ps.list {
		if p == q {
			ps.list = append(ps.list[:i], ps.list[i+1:]...)
			break
		}
	}
	l.trimPingsLocked()
}

// trimPingsLocked lets go of what is not needed while no ping is under way.
func (l *life) trimPingsLocked() {
	switch ps := l.pingsLocked(); {
	case len(ps.list) > 0:
	case ps.probe == nil:
		l.forgetPingsLocked()
	default:
		ps.list = nil
	}
}

// probeLocked returns keepalive's own ping, nil if none is out.
func (l *life) probeLocked() *ping {
	if ps := l.pingsLocked(); ps != nil {
		return ps.probe
	}
	return nil
}

// dropPingsLocked has every Ping give up, because the connection is closing.
func (l *life) dropPingsLocked() {
	if ps := l.pingsLocked(); ps != nil {
		for _, p := range ps.list {
			close(p.done)
		}
		l.forgetPingsLocked()
	}
}

func (c *Conn) startKeepalive() {
	if c.opts.PingInterval > 0 {
		c.life.mu.Lock()
		c.life.rearmLocked(c, c.opts.PingInterval)
		c.life.mu.Unlock()
	}
}

// remindLocked has keepalive look again after d. A loop does so by itself.
func (l *life) remindLocked(c *Conn, d time.Duration) {
	if c.looper() == nil {
		l.rearmLocked(c, d)
	}
}

// sweep is keepalive on a loop, which calls it now and then.
func (c *Conn) sweep(now int64) {
	interval := c.opts.PingInterval
	if interval > 0 && time.Duration(now-c.in.heard.Load()) >= interval && c.life.closeState() == stateOpen {
		c.keepaliveTick()
	}
}

// keepaliveTick runs when the timer fires on an open connection, or a loop
// sweeps, at any time: the peer may have been silent for the ping interval, or a
// probe's time may be over.
func (c *Conn) keepaliveTick() {
	interval, timeout := c.opts.PingInterval, c.opts.PongTimeout
	l := &c.life
	l.mu.Lock()
	wasLast, t := l.last, c.t
	l.mu.Unlock()
	arrived := wasLast && inputWaits(t) // before heard is looked at, which takes over when it is read
	l.mu.Lock()
	if l.closeState() != stateOpen {
		l.mu.Unlock()
		return
	}
	now, heard := monotonic(), c.in.heard.Load()
	wasLast, l.last = l.last, false
	probe := l.probeLocked()
	if probe != nil && (heard > probe.sent || probe.rtt > 0) {
		l.pingsLocked().probe = nil // any sign of life will do
		l.dropPingLocked(probe)
		probe = nil
	}
	silent := time.Duration(now - heard)
	var ping, dead bool
	switch {
	case probe == nil && silent < interval:
		l.remindLocked(c, interval-silent)
	case probe == nil, timeout < 0:
		ping = true
	default:
		ping, dead = c.judgeLocked(probe, now, wasLast, arrived)
	}
	last := l.last
	if wasLast && !last {
		c.in.wanted.Add(-1)
	}
	if ping {
		l.dropPingLocked(probe)
		wait := interval
		if timeout > 0 {
			wait = min(wait, timeout-lastMoments(timeout))
		}
		l.remindLocked(c, wait)
	}
	l.mu.Unlock()

	switch {
	case dead:
		c.dead(ErrDead)
	case ping:
		if p, err := c.sendPing(); err == nil {
			l.mu.Lock()
			if ps := l.pingsLocked(); ps != nil { // not answered already
				ps.probe = p
			}
			l.mu.Unlock()
		}
	case last:
		c.attendInBackground()
	}
}

// judgeLocked decides about a peer that has not answered the probe. On a busy
// machine it is called before the pong is read that has long been there. So the
// last moments take their time, however late they begin, and go on as long as
// something has arrived that nobody has read yet.
func (c *Conn) judgeLocked(probe *ping, now int64, wasLast, arrived bool) (ping, dead bool) {
	interval, timeout := c.opts.PingInterval, c.opts.PongTimeout
	l := &c.life
	left, moments := timeout-time.Duration(now-probe.sent), lastMoments(timeout)
	switch {
	case left > moments:
		// A sign of life in the meantime would start another interval.
		l.remindLocked(c, min(interval, left-moments))
		return false, false
	case !wasLast:
		// The pong may have come while nobody was reading.
		probe.last = now
		c.in.wanted.Add(1)
	case time.Duration(now-probe.last) < moments:
		moments -= time.Duration(now - probe.last)
	case c.in.marks.has(inBlocked):
		// Nobody reads, and a message is in front of the pong: there is
		// no way to tell whether the peer lives.
		return true, false
	case !arrived:
		return false, true
	}
	l.last = true
	l.remindLocked(c, moments)
	return false, false
}

// lastMoments is the part of the pong timeout, at its end, during which the
// connection is read even if the user does not.
func lastMoments(timeout time.Duration) time.Duration { return min(timeout/4, time.Second) }
