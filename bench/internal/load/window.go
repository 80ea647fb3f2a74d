//go:build linux

package load

import (
	"fmt"
	"time"
)

// mark is the state of all counters at one moment.
type mark struct {
	at, cpu  time.Duration
	messages float64
	wire     int64
	sent     int64
	writes   int64
	records  int64
}

// window is the part of a load that is measured: after the warm-up, for the
// job's time, between two marks.
type window struct {
	r        *runner
	from, to mark
	open     bool // the clock runs
	over     bool
	look     time.Duration // when to check again whether to end
}

// newWindow begins the warm-up.
func (r *runner) newWindow() *window { return &window{r: r, look: r.now() + r.Warmup} }

// due reports whether step has to be called, which is only a few times.
func (w *window) due(now time.Duration) bool { return !w.over && now >= w.look }

// patience bounds how many times as long as asked a measurement may take.
const patience = 4

// holds reports whether the clock ran at that time, as far as is known by now.
func (w *window) holds(at time.Duration) bool {
	return (w.open || w.over) && at >= w.from.at && (!w.over || at < w.to.at)
}

// step starts or stops the clock, given how much has come back so far. On a busy
// machine a measurement takes longer, so that the server gets enough CPU time.
func (w *window) step(messages float64, wire int64) error {
	cpu, err := ProcessCPU(w.r.PID)
	if err != nil {
		return err
	}
	writes, err := WriteCalls(w.r.PID)
	if err != nil {
		return err
	}
	m := mark{w.r.now(), cpu, messages, wire, w.r.sent, writes, w.r.traffic.records}
	if !w.open {
		w.open, w.from, w.look = true, m, m.at+w.r.Time
		w.r.lat.reset()
		return nil
	}
	used, wall := m.cpu-w.from.cpu, m.at-w.from.at
	if (used < w.r.Time/4 || messages <= w.from.messages || w.r.lat.n == 0) && wall < patience*w.r.Time {
		w.look = m.at + w.r.Time/8
		return nil
	}
	w.open, w.over, w.to = false, true, m
	return nil
}

// close stores the result.
func (w *window) close() error {
	res := &w.r.result
	res.Messages = w.to.messages - w.from.messages
	res.CPU = w.to.cpu - w.from.cpu
	res.Wall = w.to.at - w.from.at
	res.Wire = w.to.wire - w.from.wire
	res.Sent = w.to.sent - w.from.sent
	res.Writes = w.to.writes - w.from.writes
	if w.to.writes == 0 { // a server has at least said that it listens
		res.Writes = -1
	}
	res.Records = w.to.records - w.from.records
	res.P50, res.P99 = w.r.lat.quantile(0.50), w.r.lat.quantile(0.99)
	res.P999 = w.r.lat.quantile(0.999)
	if res.Messages <= 0 {
		return fmt.Errorf("load: no reply in %v", res.Wall)
	}
	return nil
}
