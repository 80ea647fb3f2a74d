//go:build !ws_unix && !ws_plain

package websocket

import (
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// sweeper runs keepalive for all connections periodically. Unlike timers it takes
// no memory per connection.
type sweeper struct {
	mu     sync.Mutex
	period time.Duration // 0 if no connection has keepalive
	timer  *time.Timer
	ended  bool
}

// sweepsPerInterval is how many sweeps there are within the ping interval, or the
// pong timeout if that is shorter. It is the precision of both.
const sweepsPerInterval = 8

// include makes the sweeper's period short enough for a connection with the options
// o.
func (s *sweeper) include(e *engine, o *Options) {
	if o.PingInterval <= 0 {
		return
	}
	period := o.PingInterval
	if o.PongTimeout > 0 {
		period = min(period, o.PongTimeout)
	}
	period = max(period/sweepsPerInterval, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.period != 0 && s.period <= period {
		return
	}
	s.period = period
	if s.timer == nil {
		s.timer = time.AfterFunc(period, func() { s.sweep(e) })
	} else {
		s.timer.Reset(period)
	}
}

func (s *sweeper) sweep(e *engine) {
	now := monotonic()
	e.table.each(func(p *pollConn) {
		if c := p.conn; c != nil {
			c.sweep(now)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.timer.Reset(s.period)
	}
}

func (s *sweeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Probe tells keepalive what can be seen of p.
func (p *pollConn) Probe(ask transport.Ask) (st transport.State) {
	if ask&transport.AskPeer != 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fd >= 0 {
			st = transport.ProbeDescriptor(int(p.fd))
			st.Queued = int64(p.queue.Len())
		}
	}
	st.Room = transport.Yes
	if p.state.has(pollPaused) { // Write waits
		st.Room = transport.No
	}
	return st
}
