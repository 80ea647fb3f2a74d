//go:build linux

package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/load"
	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/rig"
)

// TestSmoke measures our servers and a floor in each scenario of the run "edges", with
// few connections, for a moment. The load generator compares the replies; here it
// counts that each has the figures that its row needs.
func TestSmoke(t *testing.T) {
	b := fakeBench(t, "none")
	b.rounds, b.time, b.dir = 1, 20*time.Millisecond, t.TempDir()
	b.servers = slices.DeleteFunc(slices.Clone(servers), func(s server) bool {
		return s.kind == report.Peer || s.window != "" || s.name == "floor-epoll"
	})
	module, err := rig.ModuleDir()
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range build(t.Context(), module, b.dir, b.servers) {
		t.Fatalf("%s: %v", name, err)
	}
	for _, sc := range scenarios(5) {
		if !sc.edge {
			continue
		}
		t.Run(sc.Name, func(t *testing.T) {
			b, measured := *b, 0
			b.results = &report.Results{Scenarios: []report.Scenario{sc.Scenario}}
			sc.job.Conns = min(sc.job.Conns, 5)
			b.scenarios = []scenario{sc}
			if err := b.measureAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, sv := range b.servers {
				c := b.results.Cell(sc.Name, sv.name)
				if c == nil || c.Failed != "" {
					t.Errorf("%s: %+v", sv.name, c)
					continue
				}
				if c.Missing != "" {
					continue
				}
				measured++
				for _, name := range append(slices.Clone(sc.Compare), sc.Show...) {
					m, ok := c.Metrics[name]
					switch {
					case name == report.Writes && !countsWrites(t):
						continue
					case !ok, slices.Contains(positive, name) && m.Median <= 0:
						t.Errorf("%s: %s is %v", sv.name, name, m.Samples)
					}
				}
				checkRecords(t, sc, sv, c)
			}
			if want := wanted(b, sc); measured != want {
				t.Errorf("%d servers have figures, want %d", measured, want)
			}
		})
	}
}

// positive are the metrics that are more than 0 however little the machine got done.
var positive = []string{report.Rate, report.Wire, report.Records, report.Capacity, report.Baseline}

// wanted is how many of the servers do the scenario.
func wanted(b bench, sc scenario) (n int) {
	for _, sv := range b.servers {
		if sv.does(sc) && (!sc.shared || len(b.cpus) > 1) {
			n++
		}
	}
	return n
}

// checkRecords checks that what is sent back over TLS is at least that, and that a
// floor sends a record for each that it has received.
func checkRecords(t *testing.T, sc scenario, sv server, c *report.Cell) {
	if !sc.job.TLS || sc.job.Kind != load.Echo {
		return
	}
	if wire := c.Metrics[report.Wire].Median; wire < float64(sc.job.Size)+2 {
		t.Errorf("%s: %v bytes on the wire for a message of %d", sv.name, wire, sc.job.Size)
	}
	records := c.Metrics[report.Records].Median
	if inOne := sc.Name == "tls-echo-d16"; sv.kind == report.Floor && records < 0.7 != inOne {
		t.Errorf("%s: %v records for a message", sv.name, records)
	}
}

// countsWrites reports whether the kernel counts write system calls.
func countsWrites(t *testing.T) bool {
	t.Helper()
	matches, err := filepath.Glob("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	return len(matches) > 0
}
