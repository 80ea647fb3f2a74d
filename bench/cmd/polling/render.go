//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/report"
)

// write renders the results to a folder: everything, and the summary for a README.
func (r *results) write(dir string, stdout io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var all, summary bytes.Buffer
	r.summary(&summary)
	fmt.Fprintf(&all, "# Polling, events, WebSocket\n\n")
	all.Write(summary.Bytes())
	r.details(&all)
	for name, text := range map[string][]byte{"polling.md": all.Bytes(), "polling-summary.md": summary.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(stdout, filepath.Join(dir, name))
	}
	return nil
}

// columns are those of the short tables, on the terminal and in the README.
var columns = []struct {
	title  string
	metric string
	text   func(float64) string
}{
	{"bytes per update", both, inBytes},
	{"with TCP and IP", total, inBytes},
	{"server CPU", cpu, inMicros},
	{"mean delay", delay, inMillis},
}

func inBytes(v float64) string  { return report.Thousands(int(math.Round(v))) + " B" }
func inMicros(v float64) string { return report.Figure(v) + " µs" }
func inMillis(v float64) string { return report.Figure(v) + " ms" }

// cells are a row of the short tables.
func (w row) cells() []string {
	cells := []string{w.Title}
	for _, c := range columns {
		text := "–"
		if m, ok := w.Metrics[c.metric]; ok {
			text = c.text(m.Median)
		}
		if w.Failed != "" {
			text = "failed"
		}
		cells = append(cells, text)
	}
	return cells
}

// groups are the rows without TLS, and those with it.
func (r *results) groups() []group {
	list := []group{{title: "in the clear, HTTP/1.1"}, {title: "over TLS 1.3"}}
	for _, w := range r.Rows {
		n := 0
		if w.TLS {
			n = 1
		}
		list[n].rows = append(list[n].rows, w)
	}
	return list
}

type group struct {
	title string
	rows  []row
}

// text prints the table for the terminal.
func (r *results) text(out io.Writer) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, g := range r.groups() {
		if len(g.rows) == 0 {
			continue
		}
		fmt.Fprintf(t, "\n%s\t", g.title)
		for _, c := range columns {
			fmt.Fprintf(t, "%s\t", c.title)
		}
		fmt.Fprintf(t, "CPU, middle half\t\n")
		for _, w := range g.rows {
			for i, cell := range w.cells() {
				if i == 0 {
					cell = w.Name
				}
				fmt.Fprintf(t, "%s\t", cell)
			}
			fmt.Fprintf(t, "%s\t\n", spread(w.Metrics[cpu]))
		}
	}
	t.Flush()
}

// spread is the middle half of the samples.
func spread(m report.Metric) string {
	if len(m.Samples) == 0 {
		return "–"
	}
	return report.Figure(m.Q1) + "–" + report.Figure(m.Q3)
}

// summary returns the short tables and sentences for a README.
func (r *results) summary(w io.Writer) {
	fmt.Fprintf(w, "%s, %s.\n", r.Date.Format("2 January 2006"), r.Machine)
	if r.Machine.Revision != "" {
		fmt.Fprintf(w, "Revision %s. ", r.Machine.Revision)
	}
	fmt.Fprintf(w, "Medians of %d rounds of %v; %s.\n%s clients, each of which gets an update of %d B of JSON %s, and polls %s.\n",
		r.Rounds, r.Time, r.Machine.Pinning, report.Thousands(r.Clients), r.Size, often(r.Every), often(r.Every))
	fmt.Fprintf(w, "With 10 polls per update, updates come that much more rarely, and the bytes and the CPU of the other nine are in the figures.\n\n")
	for _, g := range r.groups() {
		if len(g.rows) == 0 {
			continue
		}
		t := report.Table{W: w}
		head := []string{g.title}
		for _, c := range columns {
			head = append(head, c.title)
		}
		t.Head(head...)
		for _, row := range g.rows {
			t.Row(row.cells()...)
		}
		fmt.Fprintln(w)
	}
	for _, sentence := range r.sentences() {
		fmt.Fprintln(w, sentence)
	}
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "Note: %s\n\n", n)
	}
	fmt.Fprintf(w, "Made by `%s`.\n\n", r.Command)
}

// often describes the rate of an event once in d.
func often(d time.Duration) string {
	if d == time.Second {
		return "once a second"
	}
	return "every " + d.String()
}

// sentences describe the figures that are often quoted: the bytes around an update,
// and the cost and gain of the handshake of a WebSocket.
func (r *results) sentences() []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	around := func(name string) (float64, bool) {
		v, ok := r.median(name, both)
		return v - float64(r.Size), ok
	}
	for _, g := range []struct{ where, socket, browser, lean, rare string }{
		{"In the clear", socket, pollBrowser, pollGo, pollBrowserRare},
		{"Over TLS", tlsSocket, tlsPollBrowser, tlsPollGo, tlsPollBrowserRare},
	} {
		frame, ok1 := around(g.socket)
		poll, ok2 := around(g.browser)
		lean, ok3 := around(g.lean)
		if !ok1 || !ok2 || !ok3 {
			continue
		}
		add("%s a poll that brings an update adds %s to its %d B with the headers of Chromium and %s with those of a Go program; a WebSocket adds %s.",
			g.where, inBytes(poll), r.Size, inBytes(lean), inBytes(frame))
		if rare, ok := r.median(g.rare, both); ok {
			add("Where only one poll in %d finds something, it is %s for an update.", rareness, inBytes(rare))
		}
		up, ok4 := r.median(g.socket, setupSent)
		down, ok5 := r.median(g.socket, setupReceived)
		if !ok4 || !ok5 || frame >= lean {
			continue
		}
		add("The handshake of the WebSocket takes %s once (%s up, %s down), which has paid for itself after %s beside Chromium's polls, and after %s beside those of the Go program.",
			inBytes(up+down), inBytes(up), inBytes(down), updates(paidAfter(up+down, poll-frame)), updates(paidAfter(up+down, lean-frame)))
	}
	return list
}

// paidAfter returns after how many updates the savings per update reach the price.
func paidAfter(price, saved float64) int { return int(math.Ceil(price / saved)) }

func updates(n int) string {
	if n == 1 {
		return "1 update"
	}
	return fmt.Sprintf("%s updates", report.Thousands(n))
}

// details are all metrics, with their spread.
func (r *results) details(w io.Writer) {
	fmt.Fprintf(w, "## Bytes\n\nPer update. Setup is what comes before the first one, after the TLS handshake.\n\n")
	t := report.Table{W: w}
	t.Head("", "sent, B", "received, B", "both, B", "packets", "their headers, B", "total, B", "polls", "setup: sent, B", "received, B")
	for _, row := range r.Rows {
		if row.Name != nothing {
			t.Row(row.figures(sent, received, both, packets, headers, total, polls, setupSent, setupReceived)...)
		}
	}
	fmt.Fprintf(w, "\n## Server CPU and delay\n\nCPU per update; the middle half is between the first and the third quartile of the rounds. Delay is from the making of an update to its arrival; loopback adds nothing to it, a network does.\n\n")
	t.Head("", "CPU, µs", "middle half", "min–max", "server busy", "delay: mean, ms", "median, ms", "p99, ms")
	for _, row := range r.Rows {
		cells := row.figures(cpu, busy, delay, p50, p99)
		m := row.Metrics[cpu]
		ends := "–"
		if len(m.Samples) > 0 {
			ends = report.Figure(m.Min) + "–" + report.Figure(m.Max)
		}
		t.Row(append([]string{cells[0], cells[1], spread(m), ends}, cells[2:]...)...)
	}
	fmt.Fprintln(w)
	for _, row := range r.Rows {
		if row.Failed != "" {
			fmt.Fprintf(w, "- %s has failed: %s\n", row.Name, row.Failed)
		}
		if row.Note != "" {
			fmt.Fprintf(w, "- %s: %s.\n", row.Name, row.Note)
		}
	}
	fmt.Fprintf(w, "\n## Requests\n\n%s\n", r.Browser)
}

// figures are the name and the medians of a row.
func (w row) figures(metrics ...string) []string {
	cells := []string{"`" + w.Name + "`"}
	for _, name := range metrics {
		m, ok := w.Metrics[name]
		switch {
		case w.Failed != "":
			cells = append(cells, "failed")
		case !ok:
			cells = append(cells, "–")
		default:
			cells = append(cells, report.Figure(m.Median))
		}
	}
	return cells
}
