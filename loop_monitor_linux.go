//go:build !ws_unix && !ws_plain

package websocket

import (
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
