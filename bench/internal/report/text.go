package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Thousands writes a number with commas.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// number writes a figure with about three digits, and no unit.
func number(v float64, u unit) string {
	switch {
	case u.whole || v >= 1000 || v <= -1000:
		return Thousands(int(v + 0.5))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Figure writes a figure with about three digits.
func Figure(v float64) string { return number(v, unit{}) }

// withUnit writes a figure with its unit.
func withUnit(v float64, u unit) string { return strings.TrimSpace(number(v, u) + " " + u.short) }

// ratio writes how many times b a is, or "–".
func ratio(a, b Metric, ok bool) string {
	if !ok || b.Median <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a.Median/b.Median)
}

// Text prints one scenario as a table for the terminal.
func Text(w io.Writer, r *Results, scenario string) {
	for _, row := range r.rows() {
		if row.Scenario.Name == scenario {
			r.text(w, row)
		}
	}
}

func (r *Results) text(w io.Writer, row row) {
	fmt.Fprintf(w, "\n%s (%s): %s\n", row.title(), row.Scenario.Name, row.unit().heading())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tmedian\tmiddle half\tmin–max\t× floor\t× best other\t")
	for _, name := range row.Scenario.Show {
		fmt.Fprintf(t, "%s\t", units[name].heading())
	}
	fmt.Fprintln(t)
	for _, s := range r.Servers {
		d := r.detail(row, s)
		if d == nil {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t\n", s.Name, strings.Join(d, "\t"))
	}
	t.Flush()
	for _, s := range r.Servers {
		if c := r.Cell(row.Scenario.Name, s.Name); c != nil && c.Failed != "" {
			fmt.Fprintf(w, "  %s has failed: %s\n", s.Name, c.Failed)
		}
	}
}

func (u unit) heading() string {
	if u.short == "" {
		return u.name
	}
	return u.name + ", " + u.short
}

// detail are the columns of one server: the metric compared, its spread and
// ratios, and what the scenario shows besides. It is nil without figures.
func (r *Results) detail(row row, s Server) []string {
	m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
	if !ok {
		return nil
	}
	u := row.unit()
	floor, hasFloor := r.floor(row, s)
	best, hasBest := r.metric(row.Scenario.Name, r.bestOther(row, s), row.Metric)
	cells := []string{
		number(m.Median, u),
		number(m.Q1, u) + "–" + number(m.Q3, u),
		number(m.Min, u) + "–" + number(m.Max, u),
		ratio(m, floor, hasFloor),
		ratio(m, best, hasBest),
	}
	for _, name := range row.Scenario.Show {
		if v, ok := r.metric(row.Scenario.Name, s.Name, name); ok {
			cells = append(cells, number(v.Median, units[name]))
		} else {
			cells = append(cells, "–")
		}
	}
	return cells
}

// row is one comparison: a scenario, and one of the metrics that it compares.
type row struct {
	Scenario Scenario
	Metric   string
}

// rows are all comparisons in which a server has figures or has failed.
func (r *Results) rows() []row {
	var rows []row
	for _, sc := range r.Scenarios {
		for _, metric := range sc.Compare {
			for _, s := range r.Servers {
				if c := r.Cell(sc.Name, s.Name); c != nil && (len(c.Metrics) > 0 || c.Failed != "") {
					rows = append(rows, row{sc, metric})
					break
				}
			}
		}
	}
	return rows
}

func (w row) unit() unit { return units[w.Metric] }

// title names the row; a scenario with one row gives it its own name.
func (w row) title() string {
	if len(w.Scenario.Compare) == 1 {
		return w.Scenario.Title
	}
	return w.Scenario.Title + ": " + w.unit().name
}
