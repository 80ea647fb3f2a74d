package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed summary.html
var summaryPage string

var summaryTemplate = template.Must(template.New("summary").Funcs(template.FuncMap{
	"seconds": func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) },
	"class":   class,
}).Parse(summaryPage))

// class is the colour of a case: by the worse of its two judgements, and only
// loud where something is not as expected.
func class(res result) string {
	switch {
	case res.outcome == (outcome{ok, ok}) && res.asExpected():
		return "ok"
	case res.asExpected():
		return "info"
	case res.Behavior == nonStrict && res.Close == ok:
		return "loose"
	}
	return "bad"
}

// htmlSection is one row of the page.
type htmlSection struct {
	Number, Title string
	Results       []result
}

func (s htmlSection) Counts() string {
	t := behaviorCounts()
	for _, res := range s.Results {
		t.add(res.Behavior)
	}
	return t.String()
}

// Sections are the report's results by section.
func (r *report) Sections() (list []htmlSection) {
	for _, s := range sections {
		row := htmlSection{Number: s.number, Title: s.title}
		for _, res := range r.Results {
			if sectionOf(res.ID) == s.number {
				row.Results = append(row.Results, res)
			}
		}
		if len(row.Results) > 0 {
			list = append(list, row)
		}
	}
	return list
}

// Passed, BehaviorCounts, NotOK and Exceptions are for the page.
func (r *report) Passed() bool         { return r.passed() }
func (r *report) NotOK() []*group      { return r.notOK() }
func (r *report) Exceptions() []string { return r.exceptions() }

// BehaviorCounts is the number of cases by behaviour; zeros are left out.
func (r *report) BehaviorCounts() (list []struct {
	Word  string
	Count int
}) {
	t := r.countBehavior()
	for _, w := range t.words {
		if t.perWord[w] > 0 {
			list = append(list, struct {
				Word  string
				Count int
			}{w, t.perWord[w]})
		}
	}
	return list
}

// Closing sums up the closing behaviour.
func (r *report) Closing() string {
	t := closeCounts()
	for _, res := range r.Results {
		t.add(res.Close)
	}
	return t.String()
}

// Title is the side's name for people.
func (r *report) Title() string { return strings.ToUpper(r.Side[:1]) + r.Side[1:] }

// About names the two sides, and how many cases were run.
func (r *report) About() string {
	s := "our client against the suite's fuzzing server"
	if r.Side == "server" {
		s = "the suite's fuzzing client against our server"
	}
	if n := len(allCases()); len(r.Results) < n {
		s += fmt.Sprintf(", %d of %d cases only", len(r.Results), n)
	}
	return s
}

// writeSummary writes the page and returns its path.
func writeSummary(dir, version string, reports []*report) (string, error) {
	passed := true
	for _, r := range reports {
		passed = passed && r.passed()
	}
	var b bytes.Buffer
	err := summaryTemplate.Execute(&b, map[string]any{
		"Agent":   agent,
		"Version": version,
		"Passed":  passed,
		"Time":    time.Now().Format("2 January 2006, 15:04 MST"),
		"System":  runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH,
		"Reports": reports,
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "index.html")
	return path, os.WriteFile(path, b.Bytes(), 0o644)
}
