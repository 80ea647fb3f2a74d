package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the report for people.
func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %d cases in %v, %d at a time\n\n", r.Side, len(r.Results), r.Elapsed.Round(100*time.Millisecond), r.Shards)
	r.printTable(out, "behaviour", behaviorCounts, func(res result) string { return res.Behavior })
	r.printTable(out, "closing behaviour", closeCounts, func(res result) string { return res.Close })
	if notOK := r.notOK(); len(notOK) > 0 {
		fmt.Fprintln(out, "not OK:")
		for _, g := range notOK {
			fmt.Fprintf(out, "  %s\n", g)
		}
		fmt.Fprintln(out)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(out, "PROBLEM: %s\n", p)
	}
	for _, note := range r.exceptions() {
		fmt.Fprintf(out, "expected: %s\n", note)
	}
	word := "PASSED"
	if !r.passed() {
		word = "FAILED"
	}
	fmt.Fprintf(out, "%s %s: %s\n", r.Side, word, r.summary())
}

// printTable writes a table of how often each word occurs in each section.
func (r *report) printTable(out io.Writer, title string, empty func() *wordCounts, word func(result) string) {
	total := empty()
	bySection := make(map[string]*wordCounts)
	for _, res := range r.Results {
		number := sectionOf(res.ID)
		if bySection[number] == nil {
			bySection[number] = empty()
		}
		bySection[number].add(word(res))
		total.add(word(res))
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name, cases string, cell func(word string) string) {
		// The first column is kept to the left by hand.
		fmt.Fprintf(tw, "  %-28s\t%s\t", name, cases)
		for _, w := range total.words {
			fmt.Fprintf(tw, "%s\t", cell(w))
		}
		fmt.Fprintln(tw)
	}
	counted := func(t *wordCounts) func(string) string {
		return func(w string) string {
			if t.perWord[w] == 0 {
				return "-"
			}
			return strconv.Itoa(t.perWord[w])
		}
	}
	row(title, "cases", func(w string) string { return w })
	for _, s := range sections {
		if t := bySection[s.number]; t != nil {
			row(fmt.Sprintf("%2s %s", s.number, s.title), strconv.Itoa(t.sum()), counted(t))
		}
	}
	row("total", strconv.Itoa(total.sum()), counted(total))
	tw.Flush()
	fmt.Fprintln(out)
}

func (t *wordCounts) sum() (n int) {
	for _, c := range t.perWord {
		n += c
	}
	return n
}

// group holds cases with the same result.
type group struct {
	IDs   []string
	First result
}

// notOK returns what is not OK, expected or not, in the suite's order of the
// first case in each group.
func (r *report) notOK() (groups []*group) {
	type key struct {
		outcome
		reason, closeReason string
		expected            bool
	}
	seen := make(map[key]*group)
	for _, res := range r.Results {
		if res.outcome == (outcome{ok, ok}) && res.asExpected() {
			continue
		}
		k := key{res.outcome, res.Reason, res.CloseReason, res.asExpected()}
		if seen[k] == nil {
			seen[k] = &group{First: res}
			groups = append(groups, seen[k])
		}
		seen[k].IDs = append(seen[k].IDs, res.ID)
	}
	return groups
}

// Verdict says whether the outcome was to be expected.
func (g *group) Verdict() string {
	switch want := expected(g.First.ID); {
	case g.First.asExpected():
		return "as expected"
	case g.First.outcome == want:
		return "NOT as expected: no status code of ours came, which the suite puts up with"
	case want != outcome{ok, ok}:
		return "NOT as expected: " + want.Behavior + ", closing " + want.Close
	}
	return "NOT as expected"
}

func (g *group) Cases() string { return ranges(g.IDs) }

func (g *group) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %s\n      %s", g.Cases(), g.First.Behavior, g.Verdict(), oneLine(g.First.Reason))
	if g.First.CloseReason != "" {
		fmt.Fprintf(&b, "\n      closing %s: %s", g.First.Close, oneLine(g.First.CloseReason))
	}
	return b.String()
}

// oneLine keeps a foreign text from breaking ours, and from moving the cursor.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '�'
		}
		return r
	}, s)
}
