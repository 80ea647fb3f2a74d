//go:build linux

package load

import (
	"fmt"
	"time"
)

// snapshot is the state of all counters at one moment.
type snapshot struct {
	at, cpu  time.Duration
	messages float64
	wire     int64
	sent     int64
	writes   int64
	records  int64
}

// measurement is the part of a load that is measured: after the warm-up, for the
// job's time, between two snapshots.
type measurement struct {
	r        *runner
	from, to snapshot
	open     bool // the clock runs
	over     bool
	next     time.Duration // when step has to be called again
}

// newMeasurement begins the warm-up.
func (r *runner) newMeasurement() *measurement { return &measurement{r: r, next: r.now() + r.Warmup} }

// due reports whether step has to be called, which is only a few times.
func (w *measurement) due(now time.Duration) bool { return !w.over && now >= w.next }

// maxProlongation bounds how many times as long as asked a measurement may take.
const maxProlongation = 4

// holds reports whether the clock ran at that time, as far as is known by now.
func (w *measurement) holds(at time.Duration) bool {
	return (w.open || w.over) && at >= w.from.at && (!w.over || at < w.to.at)
}

// step starts or stops the clock, given how much has come back so far. On a busy
// machine a measurement takes longer, so that the server gets enough CPU time.
func (w *measurement) step(messages float64, wire int64) error {
	cpu, err := ProcessCPU(w.r.PID)
	if err != nil {
		return err
	}
	writes, err := WriteCalls(w.r.PID)
	if err != nil {
		return err
	}
	m := snapshot{w.r.now(), cpu, messages, wire, w.r.sent, writes, w.r.traffic.records}
	if !w.open {
		w.open, w.from, w.next = true, m, m.at+w.r.Time
		w.r.lat.reset()
		return nil
	}
	used, wall := m.cpu-w.from.cpu, m.at-w.from.at
	if (used < w.r.Time/4 || messages <= w.from.messages || w.r.lat.n == 0) && wall < maxProlongation*w.r.Time {
		w.next = m.at + w.r.Time/8
		return nil
	}
	w.open, w.over, w.to = false, true, m
	return nil
}

// close stores the result.
func (w *measurement) close() error {
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
