//go:build !ws_unix && !ws_plain

package websocket

import (
	"runtime"
	"sync/atomic"
	"time"
)

// monitor checks the runners while there is work, and replaces one that a handler
// holds up.
type monitor struct {
	engine *engine
	ticks  uint64 // how often it has checked
	asleep atomic.Bool
	wakeup chan struct{}
	done   chan struct{}
}

const (
	monitorTick = time.Millisecond
	monitorIdle = 16 // ticks without work, after which it sleeps
)

func (m *monitor) init(e *engine) {
	m.engine = e
	m.wakeup = make(chan struct{}, 1)
	m.done = make(chan struct{})
}

func (m *monitor) stop() { close(m.done) }

// busy tells the monitor that a runner has work.
func (m *monitor) busy() {
	if m.asleep.Load() && m.asleep.CompareAndSwap(true, false) {
		m.wakeup <- struct{}{}
	}
}

func (m *monitor) run() {
	tick := time.NewTicker(monitorTick)
	defer tick.Stop()
	for idle := 0; ; {
		select {
		case <-tick.C:
		case <-m.done:
			return
		}
		if idle++; m.check() {
			idle = 0
		}
		if idle < monitorIdle {
			continue
		}
		m.asleep.Store(true)
		if m.check() && m.asleep.CompareAndSwap(true, false) {
			idle = 0
			continue
		}
		tick.Stop()
		select {
		case <-m.wakeup:
		case <-m.done:
			return
		}
		tick.Reset(monitorTick)
		idle = 0
	}
}

// check replaces the runners that have been handling the same connection since the
// last check, and reports whether there is work.
func (m *monitor) check() (work bool) {
	m.ticks++
	for _, w := range m.engine.workers {
		work = w.spread.tick() || work
		r := w.runner.Load()
		s := r.state.Load()
		switch {
		case s != r.seen:
			r.seen = s
			work = true
		case s&1 != 0 && s != replaced:
			if r.handOver(s) {
				w.spread.replaced(m.ticks)
			}
			work = true
		}
	}
	return work
}

// spread lets a worker go on when many handlers block. Usually the runner calls
// handlers itself, and the monitor replaces the runner when a handler blocks. That
// takes about two ticks, which add up if many handlers block. So after a few
// replacements in a row the worker spreads: each connection that has events or
// posts gets a goroutine, and is marked busy as if its runner had been replaced. It
// stops when the number of handlers that block no longer grows.
type spread struct {
	on  atomic.Bool
	out atomic.Int32 // goroutines of handleApart that have started and not ended

	// For the monitor.
	last   uint64 // its tick at the last replacement
	streak int    // replacements in a row
	before int32  // out at the last tick
	calm   int    // ticks since more handlers blocked than before
}

const (
	spreadStreak = 3  // replacements in a row after which a worker starts to spread
	spreadGap    = 4  // ticks between two replacements that are in a row
	spreadCalm   = 16 // ticks without further handlers that block after which it stops
)

// replaced is called when the monitor has replaced a runner.
func (s *spread) replaced(tick uint64) {
	if tick-s.last > spreadGap {
		s.streak = 0
	}
	s.last = tick
	if s.streak++; s.streak >= spreadStreak && !s.on.Load() {
		s.before, s.calm = s.out.Load(), 0
		s.on.Store(true)
	}
}

// tick is called by the monitor at each tick, and reports whether the worker
// spreads. At most GOMAXPROCS goroutines do not block, so if out grows by more than
// that, more handlers block.
func (s *spread) tick() bool {
	if !s.on.Load() {
		return false
	}
	out := s.out.Load()
	if s.calm++; int(out-s.before) > runtime.GOMAXPROCS(0) {
		s.calm = 0
	}
	s.before = out
	if s.calm >= spreadCalm {
		s.streak = 0
		s.on.Store(false)
	}
	return true
}

// handleApart is handle in a goroutine, if that may call a handler.
func (w *worker) handleApart(p *pollConn, todo post, events uint32) {
	opens := todo.p != nil && todo.what == taskOpen
	switch {
	case todo.p != nil && todo.what == taskClose:
		if p.claimClose() {
			go p.tellClose()
		}
	case p.detach(opens):
		go w.runApart(p, opens, events)
	case todo.p != nil:
		p.do(todo.what)
	default:
		p.ready(events)
	}
}

// runApart is the goroutine of handleApart. A handler may end it by
// runtime.Goexit.
func (w *worker) runApart(p *pollConn, opens bool, events uint32) {
	w.spread.out.Add(1)
	returned := false
	defer func() {
		w.spread.out.Add(-1)
		if !returned {
			p.conn.startClose(StatusInternalError, "")
		}
		p.reattach()
	}()
	if opens {
		p.do(taskOpen)
	} else {
		p.flushIf(events)
		p.input()
	}
	returned = true
}
