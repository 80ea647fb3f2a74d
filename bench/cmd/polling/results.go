//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/report"
	"github.com/fullduplex-go/websocket/bench/internal/wire"
)

// results are all measurements of one run. The JSON file holds them, and the
// Markdown can be made from the file again.
type results struct {
	Date    time.Time
	Command string // the command line
	Machine report.Machine
	Browser string // the browser from which the clients' requests were captured
	Rounds  int
	Time    time.Duration // per measurement
	Clients int
	Size    int           // bytes per update
	Every   time.Duration // from update to update and from poll to poll
	Notes   []string      // remarks for readers of the figures
	Rows    []row
}

// row holds the measurements of one transport.
type row struct {
	Name    string
	Title   string
	TLS     bool
	Rare    bool                     // polls are more than updates, by the factor rareness
	Metrics map[string]report.Metric `json:",omitempty"`
	Failed  string                   `json:",omitempty"`
	Note    string                   `json:",omitempty"`
}

// The metrics, all but the last ones per update that was delivered.
const (
	sent     = "sent"     // bytes from the client, on its TCP connection
	received = "received" // bytes to the client
	both     = "bytes"    // the two together
	packets  = "packets"  // TCP segments both ways
	headers  = "headers"  // bytes of their TCP and IP headers
	total    = "total"    // bytes and headers
	cpu      = "cpu"      // server CPU in microseconds
	polls    = "polls"    // answered requests

	delay = "delay" // from the making of an update to its arrival, mean, in milliseconds
	p50   = "p50"   // the same, median
	p99   = "p99"   // the same, 99th percentile
	busy  = "busy"  // share of its CPU that the server used: 1 is all of it

	setupSent     = "setup-sent"     // bytes before the first update: from the client
	setupReceived = "setup-received" // and to it
)

func newResults(s *settings) *results {
	r := &results{
		Date: time.Now().UTC().Truncate(time.Second), Command: s.command, Machine: report.ThisMachine(), Browser: wire.BrowserVersion(),
		Rounds: s.rounds, Time: s.time, Clients: s.clients, Size: s.size, Every: s.every,
	}
	r.Machine.Go = runtime.Version()
	for _, t := range s.transports {
		r.Rows = append(r.Rows, row{Name: t.name, Title: t.title, TLS: t.job.TLS, Rare: t.rare})
	}
	return r
}

// add stores one measurement.
func (w *row) add(m wire.Result) {
	samples := map[string]float64{
		cpu:  micros(m.CPU) / m.Updates,
		busy: m.CPU.Seconds() / m.Wall.Seconds(),
	}
	if w.Name != nothing {
		samples[sent] = float64(m.Sent) / m.Updates
		samples[received] = float64(m.Received) / m.Updates
		samples[both] = samples[sent] + samples[received]
		samples[packets] = float64(m.Packets) / m.Updates
		samples[headers] = float64(m.PacketHeaders) / m.Updates
		samples[total] = samples[both] + samples[headers]
		samples[delay], samples[p50], samples[p99] = millis(m.DelayMean), millis(m.DelayP50), millis(m.DelayP99)
	}
	if m.Polls > 0 {
		samples[polls] = m.Polls / m.Updates
	}
	if m.SetupSent > 0 {
		samples[setupSent], samples[setupReceived] = float64(m.SetupSent), float64(m.SetupReceived)
	}
	if w.Metrics == nil {
		w.Metrics = make(map[string]report.Metric)
	}
	for name, v := range samples {
		w.Metrics[name] = report.NewMetric(append(w.Metrics[name].Samples, v))
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// any reports whether there are any figures.
func (r *results) any() bool {
	return slices.ContainsFunc(r.Rows, func(w row) bool { return len(w.Metrics) > 0 })
}

// median returns the median of a metric of a row; ok is false if there is none.
func (r *results) median(name, metric string) (v float64, ok bool) {
	for _, w := range r.Rows {
		if w.Name == name && w.Failed == "" {
			m, ok := w.Metrics[metric]
			return m.Median, ok
		}
	}
	return 0, false
}

const jsonName = "polling.json"

// save writes the results to a folder.
func (r *results) save(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, jsonName), append(text, '\n'), 0o644)
}

// load reads the results that save has written.
func load(name string) (*results, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
