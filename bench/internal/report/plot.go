package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The plots are panels of horizontal bars, two abreast: a panel for each row,
// a bar for each server, each panel with a scale of its own that begins at 0.
const (
	plotWidth   = 940
	panelWidth  = 450
	panelGap    = 20
	nameWidth   = 112 // room for the servers' names
	valueWidth  = 92  // room for the figures to the right of the longest bar
	barHeight   = 13
	barStep     = 19
	panelHead   = 30
	panelFoot   = 44
	plotHead    = 66
	plotFoot    = 50
	scaleWidth  = panelWidth - nameWidth - valueWidth
	averageChar = 6.4 // width of a character of the legend
)

// The colours follow the reader's choice of light or dark.
const plotStyle = `<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.bg { fill: #ffffff } .grid { stroke: #d1d9e0 } .soft { fill: #59636e } .big { font-size: 16px; font-weight: 600 }
.head { font-weight: 600 } .small { font-size: 11px } .right { text-anchor: end } .mid { text-anchor: middle }
.ours { fill: #0969da } .peer { fill: #9aa4af } .floor { fill: none; stroke: #59636e; stroke-dasharray: 3 2 }
.whisker { stroke: #1f2328; stroke-width: 1.3 } .strong { font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .bg { fill: #0d1117 } .grid { stroke: #30363d } .soft { fill: #9198a1 }
.ours { fill: #4493f8 } .peer { fill: #59636e } .floor { fill: none; stroke: #9198a1 } .whisker { stroke: #f0f6fc }
text.ours, text.peer, text.floor { stroke: none } }
</style>
`

// plotTitles are the headings of the groups.
var plotTitles = map[string]string{
	"echo":           "Echo: server CPU per message",
	"many":           "Broadcast and handshakes: server CPU",
	"tls":            "TLS 1.3: server CPU, write system calls, resident memory",
	"tail":           "Round trips at a fixed rate",
	"two-cpus":       "Two CPUs, shared with the load: server CPU",
	"memory":         "Resident memory per connection",
	"deflate":        "permessage-deflate: CPU and bytes",
	"deflate-memory": "permessage-deflate: resident memory per connection",
}

// Plot renders the rows of a group as SVG, or returns nil if there are none.
func Plot(r *Results, group string) []byte {
	var rows []row
	for _, row := range r.rows() {
		if row.Scenario.Group == group && len(r.shown(row)) > 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	p := &plot{r: r}
	// A panel is as high as the one beside it. tops has one end more.
	tops := []int{plotHead}
	for pair := range slices.Chunk(rows, 2) {
		bars := 0
		for _, row := range pair {
			bars = max(bars, len(r.shown(row)))
		}
		tops = append(tops, tops[len(tops)-1]+panelHead+barStep*bars+panelFoot)
	}
	height := tops[len(tops)-1] + plotFoot
	title := plotTitles[group]
	if title == "" {
		title = group
	}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", plotWidth, height, plotWidth, height)
	fmt.Fprintf(&p.b, "<title>%s</title>\n%s", quote(title), plotStyle)
	fmt.Fprintf(&p.b, `<rect class="bg" width="%d" height="%d"/>`+"\n", plotWidth, height)
	p.text(panelGap/2, 24, "big", title+" (less is better)")
	p.legend(panelGap/2, 48)
	for i, row := range rows {
		p.panel(panelGap/2+i%2*(panelWidth+panelGap), tops[i/2], row)
	}
	p.text(panelGap/2, height-28, "soft small", r.environment())
	p.text(panelGap/2, height-12, "soft small", r.method())
	fmt.Fprintln(&p.b, "</svg>")
	return p.b.Bytes()
}

type plot struct {
	r *Results
	b bytes.Buffer
}

func quote(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (p *plot) text(x, y int, class, s string) {
	fmt.Fprintf(&p.b, `<text x="%d" y="%d" class="%s">%s</text>`+"\n", x, y, class, quote(s))
}

func (p *plot) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

func (p *plot) bar(class string, x, y int, width float64) {
	fmt.Fprintf(&p.b, `<rect class="%s" x="%d.5" y="%d.5" width="%.1f" height="%d" rx="1.5"/>`+"\n", class, x, y, max(width, 1), barHeight)
}

func (p *plot) legend(x, y int) {
	for _, k := range []struct{ class, text string }{
		{Ours, "this library"}, {Peer, "other Go libraries"}, {Floor, "raw echo, no WebSocket"},
	} {
		p.bar(k.class, x, y-11, 22)
		p.text(x+29, y, "small", k.text)
		x += 29 + int(averageChar*float64(len(k.text))) + 18
	}
	p.line("whisker", float64(x), float64(y-4), float64(x+22), float64(y-4))
	p.text(x+29, y, "small", "middle half of the rounds")
}

// shown are the servers that have a bar in the row, or have failed there.
func (r *Results) shown(row row) []Server {
	return slices.DeleteFunc(r.measured(), func(s Server) bool {
		_, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
		return !ok && r.absent(row, s) != "failed"
	})
}

// panel draws one row.
func (p *plot) panel(x, y int, row row) {
	r, u := p.r, row.unit()
	p.text(x, y+16, "head", row.title())
	var most float64
	servers := r.shown(row)
	for _, s := range servers {
		if m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric); ok {
			most = max(most, m.Median, m.Q3)
		}
	}
	step := tick(most)
	left, top := x+nameWidth, y+panelHead
	bottom := top + barStep*len(servers)
	at := func(v float64) float64 { return float64(left) + v/most*scaleWidth }
	for v := 0.0; most > 0 && v <= most; v += step {
		p.line("grid", at(v), float64(top-2), at(v), float64(bottom))
		p.text(int(at(v)), bottom+14, "soft small mid", axisNumber(v))
	}
	p.text(left+scaleWidth/2, bottom+30, "soft small mid", u.axis(r.best(row, func(s Server) bool { return s.Kind == Floor }) != ""))
	for i, s := range servers {
		p.server(x, top+i*barStep, row, s, at)
	}
}

func (p *plot) server(x, y int, row row, s Server, at func(float64) float64) {
	r, left := p.r, x+nameWidth
	base := y + barHeight - 2
	class := "right small"
	if s.Kind == Ours {
		class += " strong"
	}
	p.text(left-8, base, class, s.Name)
	m, ok := r.metric(row.Scenario.Name, s.Name, row.Metric)
	if !ok {
		p.text(left+5, base, "soft small", r.absent(row, s))
		return
	}
	p.bar(s.Kind, left, y, at(m.Median)-float64(left))
	if m.Q3 > m.Q1 {
		p.line("whisker", at(m.Q1), float64(y)+barHeight/2.0+0.5, at(m.Q3), float64(y)+barHeight/2.0+0.5)
	}
	label := number(m.Median, row.unit())
	if floor, ok := r.floor(row, s); ok && s.Kind != Floor && floor.Median > 0 {
		label += " · " + ratio(m, floor, true) + " ×"
	}
	class = "small"
	if s.Kind == Ours {
		class += " strong"
	}
	p.text(int(at(max(m.Median, m.Q3)))+7, base, class, label)
}

// axis names the scale of a metric, and the meaning of the factors.
func (u unit) axis(floor bool) string {
	text := u.heading()
	if u.short == "B" {
		text = u.name + ", bytes"
	}
	if floor {
		text += "; × the raw echo of its kind"
	}
	return text
}

// tick is a round step that gives the scale three to six marks.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most/3)))
	for _, k := range []float64{5, 2} {
		if most/(step*k) >= 2.5 {
			return step * k
		}
	}
	return step
}

func axisNumber(v float64) string {
	if v >= 1000 {
		return Thousands(int(v + 0.5))
	}
	return fmt.Sprintf("%.3g", v)
}
