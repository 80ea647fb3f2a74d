package websocket

import (
	"io"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// Keepalive pings a peer that has given no sign of life for the ping interval, and
// then checks the connection eight times within the pong timeout, until there is a
// sign or judge says that the peer is dead. A connection has a timer for that,
// which refers to it weakly. On a loop there is no timer: the sweeper calls sweep.

// probe is a ping of keepalive that has no answer yet.
type probe struct {
	ping *ping // nil until it is queued
	wait
}

func (c *Conn) startKeepalive() {
	if c.opts.PingInterval > 0 {
		c.life.mu.Lock()
		c.life.rearmLocked(c, c.opts.PingInterval)
		c.life.mu.Unlock()
	}
}

// remindLocked schedules the next check of keepalive after d. A loop checks by
// itself.
func (l *life) remindLocked(c *Conn, d time.Duration) {
	if c.loopTransport() == nil {
		l.rearmLocked(c, max(d, 0))
	}
}

// sweep runs keepalive on a loop, whose sweeper calls it periodically.
func (c *Conn) sweep(now int64) {
	interval := c.opts.PingInterval
	if interval > 0 && time.Duration(now-c.in.lastInput.Load()) >= interval && c.life.closeState() == stateOpen {
		c.keepaliveTick()
	}
}

// keepaliveTick runs when the timer fires on an open connection, or a loop
// sweeps, at any time.
func (c *Conn) keepaliveTick() {
	interval, timeout := c.opts.PingInterval, c.opts.PongTimeout
	if silent := time.Duration(monotonic() - c.in.lastInput.Load()); silent < interval && (timeout < 0 || !c.probing()) {
		c.life.mu.Lock()
		c.life.remindLocked(c, interval-silent)
		c.life.mu.Unlock()
		return
	}
	now := c.activity()
	l := &c.life
	l.mu.Lock()
	if l.closeState() != stateOpen {
		l.mu.Unlock()
		return
	}
	p := l.probeLocked()
	var send bool
	var verdict peerState
	if p != nil && timeout > 0 {
		verdict = p.judge(now, timeout)
	}
	if verdict == peerGone && c.in.flags.has(userHasRead) {
		verdict = peerAlive // the user reads up to the end
	}
	switch {
	case verdict == peerDead, verdict == peerGone:
	case timeout < 0 && p != nil && time.Duration(now.at-p.last.at) < interval: // a loop checks more often
	case p == nil, verdict == peerUnknown, timeout < 0,
		verdict == peerSilent && p.unread && time.Duration(now.at-now.lastInput) >= interval:
		send = true
		l.dropProbeLocked(c)
		p = &probe{wait: wait{last: now}}
		l.setProbeLocked(p)
		l.remindLocked(c, min(interval, p.next(timeout)))
	case verdict == peerSilent:
		l.remindLocked(c, min(interval, p.next(timeout)))
	default:
		// Any sign starts another interval.
		c.in.lastInput.CompareAndSwap(now.lastInput, max(now.lastInput, p.lastActivity))
		if verdict == peerAlive {
			l.dropProbeLocked(c)
			l.remindLocked(c, interval-time.Duration(monotonic()-c.in.lastInput.Load()))
		} else {
			p.last.lastInput = c.in.lastInput.Load()
			l.remindLocked(c, min(interval, p.next(timeout)))
		}
	}
	// The pong, or the end of the input, may have arrived unread.
	readNow := p != nil && verdict == peerSilent && !send && timeout > 0 || verdict == peerUnread || send && now.Unread && !now.blocked && timeout > 0
	if readNow && !l.last {
		l.last = true
		c.in.wanted.Add(1)
	}
	l.mu.Unlock()

	switch {
	case verdict == peerDead:
		c.dead(ErrDead)
	case verdict == peerGone:
		c.failRead(io.EOF)
	case send:
		c.sendPing(p)
	}
	if readNow {
		c.startControlReader()
	}
}

func (c *Conn) probing() bool {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	return c.life.probeLocked() != nil
}

// probeLocked returns the present probe, or nil.
func (l *life) probeLocked() *probe {
	if ps := l.pingsLocked(); ps != nil {
		return ps.probe
	}
	return nil
}

func (l *life) setProbeLocked(p *probe) {
	ps := l.pingsLocked()
	if ps == nil {
		ps = new(pings)
		l.extraLocked().pings = ps
	}
	ps.probe = p
}

// dropProbeLocked ends the present probe, if there is one.
func (l *life) dropProbeLocked(c *Conn) {
	if l.last {
		l.last = false
		c.in.wanted.Add(-1)
	}
	p := l.probeLocked()
	if p == nil {
		return
	}
	l.pingsLocked().probe = nil
	if p.ping != nil {
		l.dropPingLocked(p.ping)
	}
	l.trimPingsLocked()
}

// taken returns how many bytes the peer, or its system, has taken of what c has
// written.
func (s *activity) taken(c *Conn) int64 {
	if s.Counted {
		return s.Acked
	}
	return s.Acked + int64(c.out.bytes.Load()) - s.Unacked - s.Queued
}

// activity returns the peer's activity as it can be seen now.
func (c *Conn) activity() activity {
	s := activity{lastInput: c.in.lastInput.Load()} // before what can be seen
	s.State = c.currentTransport().Probe(transport.AskPeer)
	c.out.lock()
	s.busy = c.bufferedLocked() > 0
	c.out.unlock()
	s.Acked = s.taken(c)
	s.blocked = c.in.flags.has(messageBlocks) && !c.in.readLock.busy()
	s.at = monotonic()
	return s
}
