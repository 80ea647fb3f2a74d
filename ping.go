package websocket

import (
	"context"
	"encoding/binary"
	"time"
)

// pings are the pings that wait for a pong. life.mu guards them.
type pings struct {
	list   []*ping // not answered yet, oldest first
	newest uint64  // the id of the last ping sent, even if no call waits for it any more
	probe  *probe  // of keepalive, or nil
}

// ping is one ping that waits for its pong.
type ping struct {
	id   uint64
	sent int64         // by monotonic
	rtt  time.Duration // set before done is closed, 0 if there was no answer
	done chan struct{}
}

// Ping sends a ping and waits for the pong (RFC 6455, section 5.5.2). It returns
// the round-trip time, which includes the time that the ping waited behind a
// message being written. Any number of goroutines may call it. A pong behind a
// message that nobody reads is not seen: read in another goroutine.
func (c *Conn) Ping(ctx context.Context) (rtt time.Duration, err error) {
	if ctx == nil {
		return 0, errNilContext
	}
	if ctx.Err() != nil {
		return 0, contextError(ctx)
	}
	p, err := c.sendPing(nil)
	if err != nil {
		return 0, err
	}
	c.in.wanted.Add(1)
	defer c.in.wanted.Add(-1)
	c.startControlReader()
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

// RTT returns the round-trip time of the last ping that was answered, of
// [Conn.Ping] or of keepalive. It is 0 until there was one.
func (c *Conn) RTT() time.Duration { return time.Duration(c.life.rtt.Load()) }

// sendPing sends a ping. If of is not nil, it becomes the ping of that probe.
func (c *Conn) sendPing(of *probe) (*ping, error) {
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
	p.id = max(uint64(p.sent), ps.newest+1)
	ps.list, ps.newest = append(ps.list, p), p.id
	if of != nil {
		of.ping = p
	}
	l.mu.Unlock()
	if !c.queuePing(p.id) { // a close frame was queued first
		l.mu.Lock()
		l.dropPingLocked(p)
		l.mu.Unlock()
		return nil, c.whyNotWrite()
	}
	return p, nil
}

// gotPong completes the ping that the pong answers, and those before it: "an
// endpoint MAY elect to send a Pong frame for only the most recently processed Ping
// frame" (section 5.5.3). It may be a ping that no call waits for any more. A pong
// that answers no ping is ignored.
func (c *Conn) gotPong(payload []byte) {
	if len(payload) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(payload)
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	ps := l.pingsLocked()
	if ps == nil || id > ps.newest {
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
	if ps.probe != nil && ps.probe.ping != nil && ps.probe.ping.rtt > 0 {
		l.dropProbeLocked(c)
		return
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

// trimPingsLocked frees the fields that are not needed while no ping waits.
func (l *life) trimPingsLocked() {
	switch ps := l.pingsLocked(); {
	case ps == nil, len(ps.list) > 0:
	case ps.probe == nil:
		l.extra.pings = nil
		l.trimExtraLocked()
	default:
		ps.list = nil
	}
}

// dropPingsLocked makes every Ping return, because the connection is closing.
func (l *life) dropPingsLocked() {
	if ps := l.pingsLocked(); ps != nil {
		for _, p := range ps.list {
			close(p.done)
		}
		l.extra.pings = nil
		l.trimExtraLocked()
	}
}
