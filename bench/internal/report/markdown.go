package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Markdown renders everything: the summary, all servers, the spread, the
// versions.
func Markdown(r *Results) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Results")
	fmt.Fprintln(&b)
	r.writeSummary(&b)
	r.writeOverview(&b)
	r.writeDetails(&b)
	r.writeVersions(&b)
	return b.Bytes()
}

// Summary renders the summary for a README: ours beside the best of the others.
func Summary(r *Results) []byte {
	var b bytes.Buffer
	r.writeSummary(&b)
	return b.Bytes()
}

// Table writes a Markdown table; the first column is text, the others figures.
type Table struct{ W io.Writer }

// Head writes the first row.
func (t Table) Head(cells ...string) {
	t.Row(cells...)
	t.Row(append([]string{"---"}, slices.Repeat([]string{"---:"}, len(cells)-1)...)...)
}

// Row writes a row. The cells are escaped for a table.
func (t Table) Row(cells ...string) {
	for i, c := range cells {
		cells[i] = escape(c)
	}
	fmt.Fprintf(t.W, "| %s |\n", strings.Join(cells, " | "))
}

// escape keeps the text of an error from breaking a table.
func escape(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "|", `\|`)), " ")
}

// environment describes time and place of the measurement.
func (r *Results) environment() string {
	return fmt.Sprintf("%s, %s.", r.Date.Format("2 January 2006"), r.Machine)
}

// method describes how it was measured.
func (r *Results) method() string {
	text := fmt.Sprintf("Medians of up to %d rounds of %v; %s.", r.Rounds, r.Time, r.Machine.Pinning)
	if r.Machine.Revision != "" {
		text = "Revision " + r.Machine.Revision + ". " + text
	}
	return text
}

// ours are our servers that have any figures.
func (r *Results) ours() []Server {
	return slices.DeleteFunc(r.measured(), func(s Server) bool { return s.Kind != Ours })
}

// The verdicts on a row.
const (
	ahead  = "✓"
	level  = "≈"
	behind = "✗"
)

// verdict compares one of our servers with the best of the other libraries.
// It is ahead or behind only where the middle halves of the samples are apart.
func (r *Results) verdict(row row, s Server) (ratio float64, verdict string) {
	m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
	best, hasBest := r.metric(row.Scenario.Name, r.bestOther(row, s), row.Metric)
	switch {
	case !ok || !hasBest || best.Median <= 0:
		return 0, ""
	case !apart(m, best):
		verdict = level
	case m.Median < best.Median:
		verdict = ahead
	default:
		verdict = behind
	}
	return m.Median / best.Median, verdict
}

func (r *Results) writeSummary(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n\n", r.environment(), r.method())
	// A server with other settings has no columns: it is compared in rows of
	// its own, under the name of the original server.
	ours, variants := r.ours(), []Server(nil)
	ours = slices.DeleteFunc(ours, func(s Server) bool {
		known := slices.ContainsFunc(r.ours(), func(other Server) bool { return other.Name == s.Of })
		if known {
			variants = append(variants, s)
		}
		return known
	})
	head := []string{"less is better"}
	for _, s := range ours {
		head = append(head, "**"+s.Name+"**", "÷ floor", "÷ best other")
	}
	t := Table{w}
	t.Head(append(head, "best other, goroutines", "best other, event loop")...)
	verdicts := make(map[string][]string)
	write := func(title string, row row, servers []Server) {
		cells := []string{title}
		for _, s := range servers {
			m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
			if !ok {
				cells = append(cells, r.absent(row, s), "–", "–")
				continue
			}
			floor, hasFloor := r.floor(row, s)
			vs := "–"
			if ratio, verdict := r.verdict(row, s); verdict != "" {
				vs = fmt.Sprintf("%.2f %s", ratio, verdict)
				verdicts[verdict] = append(verdicts[verdict], fmt.Sprintf("%s (%s)", row.title(), s.Name))
			}
			cells = append(cells, "**"+withUnit(m.Median, row.unit())+"**", ratio(m, floor, hasFloor), vs)
		}
		for _, loop := range []bool{false, true} {
			other := "–"
			if best := r.best(row, func(s Server) bool { return s.Kind == Peer && s.Loop == loop }); best != "" {
				m, _ := r.metric(row.Scenario.Name, best, row.Metric)
				other = withUnit(m.Median, row.unit()) + " " + best
			}
			cells = append(cells, other)
		}
		t.Row(cells...)
	}
	for _, row := range r.rows() {
		write(row.title(), row, ours)
		for _, v := range variants {
			if _, ok := r.metric(row.Scenario.Name, v.Name, row.Metric); !ok && r.absent(row, v) != "failed" {
				continue
			}
			servers := make([]Server, len(ours)) // the others have no figures here
			servers[slices.IndexFunc(ours, func(s Server) bool { return s.Name == v.Of })] = v
			write(row.title()+", "+v.Name, row, servers)
		}
	}
	fmt.Fprintln(w)
	if all := len(verdicts[ahead]) + len(verdicts[level]) + len(verdicts[behind]); all > 0 {
		fmt.Fprintf(w, "Of %d comparisons with the best of the other libraries, ours is ahead (%s) in %d, level (%s, the middle halves of the rounds overlap) in %d, and behind (%s) in %d",
			all, ahead, len(verdicts[ahead]), level, len(verdicts[level]), behind, len(verdicts[behind]))
		if len(verdicts[behind]) > 0 {
			fmt.Fprintf(w, ": %s", strings.Join(verdicts[behind], "; "))
		}
		fmt.Fprint(w, ".\nA server with a goroutine for every connection is compared with libraries that have it, too; an event loop with all.\n\n")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "Note: %s\n\n", n)
	}
	fmt.Fprintf(w, "Made by `%s`.\n\n", r.Command)
}

// absent stands for a missing figure.
func (r *Results) absent(row row, s Server) string {
	if c := r.Cell(row.Scenario.Name, s.Name); c != nil && c.Failed != "" {
		return "failed"
	}
	return "–"
}

func (r *Results) writeOverview(w io.Writer) {
	fmt.Fprint(w, "## All servers\n\nMedians. ★ is the best WebSocket server; the floors are no WebSocket servers, they echo bytes, under TLS by crypto/tls alone. – is what a server does not have.\n\n")
	head := []string{""}
	for _, s := range r.measured() {
		name := s.Name
		if s.Kind == Ours {
			name = "**" + name + "**"
		}
		head = append(head, name)
	}
	t := Table{w}
	t.Head(head...)
	for _, row := range r.rows() {
		least := r.leader(row)
		cells := []string{row.title() + ", " + row.unit().short}
		for _, s := range r.measured() {
			m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
			if !ok {
				cells = append(cells, r.absent(row, s))
				continue
			}
			text := number(m.Median, row.unit())
			if s.Kind == Ours {
				text = "**" + text + "**"
			}
			if s.Name == least {
				text += " ★"
			}
			cells = append(cells, text)
		}
		t.Row(cells...)
	}
	fmt.Fprintln(w)
}

// leader is the WebSocket server with the lowest median, ours or not.
func (r *Results) leader(row row) string {
	return r.best(row, func(s Server) bool { return s.Kind != Floor })
}

func (r *Results) writeDetails(w io.Writer) {
	fmt.Fprint(w, "## Spread\n\nThe middle half is between the first and the third quartile of the rounds.\n")
	for _, row := range r.rows() {
		fmt.Fprintf(w, "\n### %s\n\n`%s`: %s\n\n", row.title(), row.Scenario.Name, row.unit().heading())
		head := []string{"", "median", "middle half", "min–max", "÷ floor", "÷ best other"}
		for _, name := range row.Scenario.Show {
			head = append(head, units[name].heading())
		}
		t := Table{w}
		t.Head(head...)
		var remarks []string
		for _, s := range r.Servers {
			c := r.Cell(row.Scenario.Name, s.Name)
			if c == nil {
				continue
			}
			if c.Failed != "" {
				remarks = append(remarks, fmt.Sprintf("- %s has failed: %s", s.Name, escape(c.Failed)))
			}
			if c.Note != "" {
				remarks = append(remarks, fmt.Sprintf("- %s %s", s.Name, escape(c.Note)))
			}
			d := r.detail(row, s)
			if d == nil {
				continue
			}
			name := s.Name
			if s.Kind == Ours {
				name, d[0] = "**"+name+"**", "**"+d[0]+"**"
			}
			if s.Name == r.leader(row) {
				name += " ★"
			}
			t.Row(append([]string{name}, d...)...)
		}
		if len(remarks) > 0 {
			fmt.Fprintf(w, "\n%s\n", strings.Join(remarks, "\n"))
		}
	}
	fmt.Fprintln(w)
}

func (r *Results) writeVersions(w io.Writer) {
	fmt.Fprintf(w, "## Versions\n\nFrom the build information of the binaries, built by %s.\n\n", r.Machine.Go)
	t := Table{w}
	t.Row("server", "library", "flags", "all modules")
	t.Row("---", "---", "---", "---")
	for _, s := range r.Servers {
		t.Row(s.Name, s.Module, strings.Join(s.Flags, " "), strings.Join(s.Modules, ", "))
	}
}
