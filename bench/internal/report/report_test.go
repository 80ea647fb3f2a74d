package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewMetric(t *testing.T) {
	for _, test := range []struct {
		samples                  []float64
		median, q1, q3, min, max float64
	}{
		{[]float64{4}, 4, 4, 4, 4, 4},
		{[]float64{3, 1}, 2, 1.5, 2.5, 1, 3},
		{[]float64{9, 1, 5}, 5, 3, 7, 1, 9},
		{[]float64{40, 10, 30, 20}, 25, 17.5, 32.5, 10, 40},
		{[]float64{5, 5, 5, 5, 1000}, 5, 5, 5, 5, 1000}, // one bad round does not count
	} {
		given := slices.Clone(test.samples)
		want := Metric{test.median, test.min, test.max, test.q1, test.q3, given}
		if got := NewMetric(test.samples); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: %+v, want %+v", given, got, want)
		}
	}
}

// sample has a row that we win, one that is level, one that we lose, one with
// a failure, one of which we have nothing, and another metric in the last.
func sample() *Results {
	r := &Results{
		Date: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Command: "go run ./cmd/compare full", Rounds: 3, Time: time.Second,
		Machine: Machine{CPU: "Abacus 9000", CPUs: 2, Memory: 8 << 30, Kernel: "6.1", OS: "linux/amd64", Go: "go1.26", Pinning: "server on CPU 0, load on CPU 1"},
		Notes:   []string{"It was raining."},
		Servers: []Server{
			{Name: "ours", Kind: Ours, Floor: "floor"},
			{Name: "ours-loop", Kind: Ours, Loop: true, Floor: "floor"},
			{Name: "alpha", Kind: Peer, Floor: "floor", Module: "example.com/alpha v1.2.3"},
			{Name: "beta", Kind: Peer, Loop: true, Floor: "floor"},
			{Name: "floor", Kind: Floor, Floor: "floor"},
		},
	}
	for _, name := range []string{"won", "level", "lost", "broken", "theirs"} {
		r.Scenarios = append(r.Scenarios, Scenario{Name: name, Title: "Title of " + name, Group: "echo", Compare: []string{CPU}, Show: []string{Rate}})
	}
	r.Scenarios = append(r.Scenarios,
		Scenario{Name: "memory", Title: "Memory", Group: "memory", Compare: []string{Idle, Used}},
		Scenario{Name: "unmeasured", Title: "Never seen", Group: "memory", Compare: []string{CPU}})
	add := func(scenario, server, metric string, samples ...float64) {
		for _, v := range samples {
			r.Add(scenario, server, map[string]float64{metric: v})
		}
	}
	add("won", "ours", CPU, 5, 5.5, 6)
	add("won", "alpha", CPU, 11, 10, 12)
	add("won", "beta", CPU, 20, 20, 20)
	add("won", "floor", CPU, 5, 5, 5)
	add("level", "ours", CPU, 5, 6, 7)
	add("level", "alpha", CPU, 5, 5.8, 7)
	add("lost", "ours", CPU, 8, 8, 8)
	add("lost", "alpha", CPU, 4, 4, 4)
	r.Fail("broken", "ours", "it fell | over\nthe edge")
	add("broken", "alpha", CPU, 4)
	r.Miss("theirs", "ours", "not supported")
	add("theirs", "alpha", CPU, 7)
	r.Note("theirs", "alpha", "is odd <sometimes>")
	add("memory", "ours", Idle, 4000)
	add("memory", "ours", Used, 4100)
	add("memory", "alpha", Idle, 16722)
	add("memory", "beta", Idle, 860)
	add("memory", "floor", Idle, 4000)
	return r
}

// line returns the first line that begins so, after the text.
func line(t *testing.T, text, after, prefix string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, after)
	if !ok {
		t.Fatalf("no %q in\n%s", after, text)
	}
	for l := range strings.Lines(rest) {
		if strings.HasPrefix(l, prefix) {
			return strings.TrimSpace(l)
		}
	}
	t.Fatalf("no line with %q after %q in\n%s", prefix, after, text)
	return ""
}

func TestSummary(t *testing.T) {
	text := string(Summary(sample()))
	for prefix, want := range map[string]string{
		"| less":            "| less is better | **ours** | ÷ floor | ÷ best other | best other, goroutines | best other, event loop |",
		"| Title of won":    "| Title of won | **5.50 µs** | 1.10 | 0.50 ✓ | 11.0 µs alpha | 20.0 µs beta |",
		"| Title of level":  "| Title of level | **6.00 µs** | – | 1.03 ≈ | 5.80 µs alpha | – |",
		"| Title of lost":   "| Title of lost | **8.00 µs** | – | 2.00 ✗ | 4.00 µs alpha | – |",
		"| Title of broken": "| Title of broken | failed | – | – | 4.00 µs alpha | – |",
		"| Title of theirs": "| Title of theirs | – | – | – | 7.00 µs alpha | – |",
		// Ours has a goroutine per connection, so beta's loop is shown but not compared.
		"| Memory: idle":  "| Memory: idle | **4,000 B** | 1.00 | 0.24 ✓ | 16,722 B alpha | 860 B beta |",
		"| Memory: after": "| Memory: after traffic | **4,100 B** | – | – | – | – |",
		"Of 4":            "Of 4 comparisons with the best of the other libraries, ours is ahead (✓) in 2, level (≈, the middle halves of the rounds overlap) in 1, and behind (✗) in 1: Title of lost (ours).",
		"Note":            "Note: It was raining.",
		"4 March":         "4 March 2026, Abacus 9000, 2 CPUs (linux/amd64), 8 GiB, Linux 6.1, go1.26.",
	} {
		if got := line(t, text, "", prefix); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if strings.Contains(text, "Never seen") || strings.Contains(text, "ours-loop") {
		t.Errorf("what was not measured has a place in\n%s", text)
	}
}

// An event loop is compared with everybody.
func TestLoopIsComparedWithAll(t *testing.T) {
	r := sample()
	r.Add("memory", "ours-loop", map[string]float64{Idle: 430})
	if got, want := line(t, string(Summary(r)), "", "| Memory: idle"), "| Memory: idle | **4,000 B** | 1.00 | 0.24 ✓ | **430 B** | 0.11 | 0.50 ✓ | 16,722 B alpha | 860 B beta |"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A server with other settings has rows where it was measured, and no columns.
func TestVariant(t *testing.T) {
	r := sample()
	r.Servers = append(r.Servers, Server{Name: "ours-small", Kind: Ours, Floor: "floor", Of: "ours"})
	r.Add("memory", "ours-small", map[string]float64{Idle: 2000})
	r.Miss("won", "ours-small", "not supported")
	text := string(Summary(r))
	if got, want := line(t, text, "", "| Memory: idle, "), "| Memory: idle, ours-small | **2,000 B** | 0.50 | 0.12 ✓ | 16,722 B alpha | 860 B beta |"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := strings.Count(text, "ours-small"); n != 1 {
		t.Errorf("it is named %d times in\n%s", n, text)
	}
}

func TestMarkdown(t *testing.T) {
	text := string(Markdown(sample()))
	for _, test := range []struct{ after, prefix, want string }{
		{"## All servers", "| Title of won", "| Title of won, µs | **5.50** ★ | 11.0 | 20.0 | 5.00 |"},
		{"## All servers", "| Title of lost", "| Title of lost, µs | **8.00** | 4.00 ★ | – | – |"},
		{"## All servers", "| Title of broken", "| Title of broken, µs | failed | 4.00 ★ | – | – |"},
		{"## All servers", "| Memory: idle", "| Memory: idle, B | **4,000** | 16,722 | 860 ★ | 4,000 |"},
		{"### Title of won", "| **ours**", "| **ours** ★ | **5.50** | 5.25–5.75 | 5.00–6.00 | 1.10 | 0.50 | – |"},
		{"### Title of won", "| beta", "| beta | 20.0 | 20.0–20.0 | 20.0–20.0 | 4.00 | 1.82 | – |"},
		{"### Title of broken", "- ours", `- ours has failed: it fell \| over the edge`},
		{"### Title of theirs", "- alpha", "- alpha is odd <sometimes>"},
		{"## Versions", "| alpha", "| alpha | example.com/alpha v1.2.3 |  |  |"},
	} {
		if got := line(t, text, test.after, test.prefix); got != test.want {
			t.Errorf("after %q\ngot  %s\nwant %s", test.after, got, test.want)
		}
	}
}

// Every table has as many cells in each row as in its head.
func TestTablesAreRegular(t *testing.T) {
	columns := 0
	for l := range strings.Lines(string(Markdown(sample()))) {
		if !strings.HasPrefix(l, "|") {
			columns = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(l, `\|`, ""), "|")
		if columns != 0 && n != columns {
			t.Errorf("%d bars instead of %d: %s", n, columns, l)
		}
		columns = n
	}
}

func TestSaveAndLoad(t *testing.T) {
	r := sample()
	name := filepath.Join(t.TempDir(), "results.json")
	if err := r.Save(name); err != nil {
		t.Fatal(err)
	}
	got, err := Load(name)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\nwant\n%+v", err, got, r)
	}
	if a, b := Render(r), Render(got); !reflect.DeepEqual(a, b) {
		t.Error("rendered again, it is another text")
	}
}

var barRect = regexp.MustCompile(`<rect class="(ours|peer|floor)" x="122.5" y="([0-9.]+)" width="([0-9.]+)"`)

func TestPlot(t *testing.T) {
	svg := Plot(sample(), "echo")
	for dec := xml.NewDecoder(bytes.NewReader(svg)); ; {
		_, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
	}
	text := string(svg)
	for _, want := range []string{"prefers-color-scheme: dark", "this library", ">Title of lost<", ">5.50 · 1.10 ×<", ">failed<", ">server CPU, µs; × the raw echo of its kind<", ">server CPU, µs<", "Abacus 9000"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the plot", want)
		}
	}
	// The first panel on the left: bars are as long as their figures.
	bars := barRect.FindAllStringSubmatch(text, 4)
	if len(bars) != 4 {
		t.Fatalf("%d bars in\n%s", len(bars), text)
	}
	want := []float64{5.5, 11, 20, 5}
	for i, b := range bars {
		var width float64
		for _, digit := range []byte(strings.ReplaceAll(b[3], ".", "")) {
			width = width*10 + float64(digit-'0')
		}
		if got := width / 10 / scaleWidth * 20; math.Abs(got-want[i]) > 0.02 {
			t.Errorf("bar %d is %v long, want %v", i, got, want[i])
		}
	}
	if Plot(sample(), "deflate") != nil {
		t.Error("a plot of nothing")
	}
}

// A panel has a line for each server that has a bar or has failed, and for no other.
func TestPlotHasNoEmptyLines(t *testing.T) {
	panels := strings.Split(string(Plot(sample(), "echo")), ">Title of ")
	for i, want := range [][]string{{"ours", "alpha", "beta", "floor"}, {"ours", "alpha"}, {"ours", "alpha"}, {"ours", "alpha"}, {"alpha"}} {
		var got []string
		for _, m := range serverName.FindAllStringSubmatch(panels[i+1], -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("panel %d has lines for %q, want %q", i+1, got, want)
		}
	}
	r := sample()
	r.Scenarios[0].Compare = append(r.Scenarios[0].Compare, Writes)
	if text := string(Plot(r, "echo")); strings.Contains(text, "writes") {
		t.Error("a metric that nobody has is a panel")
	}
}

var serverName = regexp.MustCompile(`<text x="\d+" y="\d+" class="right small[^"]*">([^<]+)<`)

// A scenario may have a floor of its own for all servers.
func TestScenarioFloor(t *testing.T) {
	r := sample()
	r.Scenarios[0].Floor = "beta"
	if got := line(t, string(Summary(r)), "", "| Title of won"); !strings.Contains(got, "**5.50 µs** | 0.28 |") {
		t.Error(got)
	}
	if got := line(t, string(Markdown(r)), "### Title of won", "| alpha"); !strings.Contains(got, "| 0.55 |") {
		t.Error(got)
	}
}

func TestTick(t *testing.T) {
	for _, most := range []float64{0.4, 1, 2.3, 4.99, 7, 13, 25, 99, 431, 16722, 250000} {
		if n := most / tick(most); n < 2 || n > 8 {
			t.Errorf("a scale up to %v has %v steps of %v", most, n, tick(most))
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 10000: "10,000", -1234567: "-1,234,567", -999: "-999"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
}

func TestText(t *testing.T) {
	var b strings.Builder
	Text(&b, sample(), "lost")
	if got := strings.Fields(line(t, b.String(), "", "   ours")); !slices.Equal(got, []string{"ours", "8.00", "8.00–8.00", "8.00–8.00", "–", "2.00", "–"}) {
		t.Errorf("%q in\n%s", got, b.String())
	}
	b.Reset()
	Text(&b, sample(), "broken")
	if !strings.Contains(b.String(), "ours has failed: it fell") {
		t.Errorf("the failure is not told:\n%s", b.String())
	}
}
