// Package report turns the results of cmd/compare into JSON, Markdown and plots.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// Results are all measurements of one run. The JSON file holds them, and the
// Markdown and the plots can be made from the file again.
type Results struct {
	Date      time.Time
	Command   string // the command line
	Machine   Machine
	Rounds    int
	Time      time.Duration // load while the clock runs, per measurement
	Notes     []string      // remarks for readers of the figures
	Servers   []Server
	Scenarios []Scenario
	Cells     []Cell
}

// Machine describes the machine of a measurement.
type Machine struct {
	CPU      string // model
	CPUs     int    // CPUs that the run was allowed to use
	Memory   int64  // bytes
	Kernel   string
	OS       string // and architecture
	Go       string // version of the toolchain that built the servers
	Revision string // of this tree, as the version control has it
	Pinning  string // the task of each CPU
}

// The kinds of servers.
const (
	Ours  = "ours"
	Peer  = "peer"  // another WebSocket library
	Floor = "floor" // no WebSocket at all: the cost of the sockets
)

// Server is one column of the comparison.
type Server struct {
	Name    string
	Kind    string
	Loop    bool     // event-driven, without a goroutine for each connection
	Floor   string   // name of the floor that it is compared with
	Of      string   `json:",omitempty"` // the original, if this is a server with other settings; or ""
	Module  string   // path and version, from the binary's build information
	Modules []string // all modules in the binary
	Flags   []string
}

// Scenario is one row of the comparison.
type Scenario struct {
	Name    string
	Title   string
	Group   string   // scenarios of a group share a plot
	Floor   string   `json:",omitempty"` // the floor of all servers, or "" if each has that of its kind
	Compare []string // the metrics that are compared, a row each; less is better
	Show    []string // other metrics worth a column, in this order
}

// Cell holds the figures of one server in one scenario.
type Cell struct {
	Scenario string
	Server   string
	Metrics  map[string]Metric `json:",omitempty"`
	Missing  string            `json:",omitempty"` // reason for no metrics: the server does not support this
	Failed   string            `json:",omitempty"` // or the error
	Note     string            `json:",omitempty"`
}

// The metrics, and their units.
const (
	CPU      = "cpu"      // server CPU per message, delivery or handshake: microseconds
	Rate     = "rate"     // messages, deliveries or handshakes per second
	Busy     = "busy"     // share of its CPU that the server used: 1 is all of it
	P50      = "p50"      // round trip in microseconds
	P99      = "p99"      // round trip in microseconds
	P999     = "p999"     // round trip in microseconds
	Capacity = "capacity" // messages per second without a fixed rate
	Writes   = "writes"   // write system calls per message, delivery or handshake
	Records  = "records"  // TLS records per reply
	Wire     = "wire"     // bytes of a reply on the wire
	Sent     = "sent"     // bytes of a request on the wire
	Idle     = "idle"     // resident bytes per connection that has done nothing yet
	Used     = "used"     // resident bytes per connection after traffic
	Baseline = "baseline" // resident bytes of the server without connections
)

// unit says how a metric is written.
type unit struct {
	name, short string
	whole       bool // without decimals
}

var units = map[string]unit{
	CPU:      {"server CPU", "µs", false},
	Rate:     {"rate", "/s", true},
	Busy:     {"server busy", "", false},
	P50:      {"p50", "µs", true},
	P99:      {"p99", "µs", true},
	P999:     {"p99.9", "µs", true},
	Capacity: {"capacity", "/s", true},
	Writes:   {"writes", "", false},
	Records:  {"records", "", false},
	Wire:     {"reply on the wire", "B", true},
	Sent:     {"request on the wire", "B", true},
	Idle:     {"idle", "B", true},
	Used:     {"after traffic", "B", true},
	Baseline: {"empty server", "B", true},
}

// Save writes the results to a file.
func (r *Results) Save(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// Load reads the results that Save has written.
func Load(name string) (*Results, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// Add stores one sample of each metric.
func (r *Results) Add(scenario, server string, samples map[string]float64) {
	c := r.cell(scenario, server)
	if c.Metrics == nil {
		c.Metrics = make(map[string]Metric)
	}
	for name, v := range samples {
		c.Metrics[name] = NewMetric(append(c.Metrics[name].Samples, v))
	}
}

// Miss records why a server has no figures in a scenario.
func (r *Results) Miss(scenario, server, why string) { r.cell(scenario, server).Missing = why }

// Fail records the error of a server in a scenario.
func (r *Results) Fail(scenario, server, what string) { r.cell(scenario, server).Failed = what }

// Note adds a remark to a server's figures in a scenario.
func (r *Results) Note(scenario, server, text string) { r.cell(scenario, server).Note = text }

// Cell returns the figures of a server in a scenario, or nil.
func (r *Results) Cell(scenario, server string) *Cell {
	i := slices.IndexFunc(r.Cells, func(c Cell) bool { return c.Scenario == scenario && c.Server == server })
	if i < 0 {
		return nil
	}
	return &r.Cells[i]
}

func (r *Results) cell(scenario, server string) *Cell {
	if c := r.Cell(scenario, server); c != nil {
		return c
	}
	r.Cells = append(r.Cells, Cell{Scenario: scenario, Server: server})
	return &r.Cells[len(r.Cells)-1]
}

// metric returns a metric of a cell; ok is false if there is none.
func (r *Results) metric(scenario, server, name string) (m Metric, ok bool) {
	if c := r.Cell(scenario, server); c != nil && c.Failed == "" {
		m, ok = c.Metrics[name]
	}
	return m, ok
}

// floor returns the metric of the floor with which s is compared.
func (r *Results) floor(row row, s Server) (m Metric, ok bool) {
	name := s.Floor
	if row.Scenario.Floor != "" {
		name = row.Scenario.Floor
	}
	return r.metric(row.Scenario.Name, name, row.Metric)
}

// best returns the server with the lowest median of those that are wanted,
// or "".
func (r *Results) best(row row, wanted func(Server) bool) string {
	name, least := "", 0.0
	for _, s := range r.Servers {
		if m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric); ok && wanted(s) && (name == "" || m.Median < least) {
			name, least = s.Name, m.Median
		}
	}
	return name
}

// rival returns the best of the other libraries with which s is compared: an event
// loop is compared with all of them, a server with a goroutine for each connection
// only with others of that kind.
func (r *Results) bestOther(row row, s Server) string {
	return r.best(row, func(other Server) bool { return other.Kind == Peer && (s.Loop || !other.Loop) })
}

// measured are the servers that have any figures, or should have.
func (r *Results) measured() []Server {
	return slices.DeleteFunc(slices.Clone(r.Servers), func(s Server) bool {
		return !slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Server == s.Name && (len(c.Metrics) > 0 || c.Failed != "") })
	})
}
