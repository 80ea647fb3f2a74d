package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The suite's words for what it saw, and one of ours.
const (
	ok             = "OK"
	nonStrict      = "NON-STRICT"
	informational  = "INFORMATIONAL"
	unimplemented  = "UNIMPLEMENTED"
	failed         = "FAILED"
	wrongCode      = "WRONG CODE"
	unclean        = "UNCLEAN"
	failedByClient = "FAILED BY CLIENT"
	missing        = "MISSING" // asked for, and not in the suite's report
)

// outcome is the suite's judgement on one case: on the messages, and on the
// way the connection was closed.
type outcome struct{ Behavior, Close string }

// expected returns what the outcome of a case has to be.
func expected(id string) outcome {
	switch id {
	case "7.1.6", "7.13.1", "7.13.2": // the suite never says anything else of these
		return outcome{informational, informational}
	}
	return outcome{ok, ok}
}

// result is the result of one case.
type result struct {
	ID string
	outcome
	Reason      string // the suite's own, for Behavior
	CloseReason string // and for Close
	CloseCode   int    // that we sent, 0 for none
	Duration    time.Duration
	Page        string // the suite's page about it, from the report's directory
}

// asExpected reports whether the outcome is what it has to be.
func (r result) asExpected() bool { return r.outcome == expected(r.ID) && !r.noStatusCode() }

// noStatusCode reports whether we ended the connection without a status code. The
// suite takes a connection that is just dropped for a good answer to whatever
// it does wrong, and a close frame without a code for one with the right code;
// we do not. In 7.3.1 it sends no code itself.
func (r result) noStatusCode() bool {
	return r.CloseCode == 0 && r.Behavior != missing && r.ID != "7.3.1"
}

// report is the result of one side.
type report struct {
	Side    string
	Results []result // one for every case that was asked for, in the suite's order
	// Problems are failures that belong to no case, such as a crash of the suite.
	// A side with one has not passed.
	Problems []string
	Elapsed  time.Duration
	Shards   int
}

func (r *report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// unexpected returns the results that are not as expected.
func (r *report) unexpected() (list []result) {
	for _, res := range r.Results {
		if !res.asExpected() {
			list = append(list, res)
		}
	}
	return list
}

func (r *report) passed() bool {
	return len(r.Problems) == 0 && len(r.Results) > 0 && len(r.unexpected()) == 0
}

// wordCounts counts words, in the order in which they are shown: first the words of
// newWordCounts, then others in the order in which they occur.
type wordCounts struct {
	words   []string
	perWord map[string]int
}

func newWordCounts(words ...string) *wordCounts {
	return &wordCounts{words: words, perWord: make(map[string]int)}
}

func (t *wordCounts) add(word string) {
	if !slices.Contains(t.words, word) {
		t.words = append(t.words, word)
	}
	t.perWord[word]++
}

// String lists what was counted, such as "514 OK, 3 INFORMATIONAL".
func (t *wordCounts) String() string {
	var parts []string
	for _, w := range t.words {
		if n := t.perWord[w]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, w))
		}
	}
	return strings.Join(parts, ", ")
}

func behaviorCounts() *wordCounts {
	return newWordCounts(ok, nonStrict, informational, unimplemented, failed)
}
func closeCounts() *wordCounts {
	return newWordCounts(ok, informational, wrongCode, unclean, failedByClient, failed)
}

// countBehavior sums up the cases' behaviour.
func (r *report) countBehavior() *wordCounts {
	t := behaviorCounts()
	for _, res := range r.Results {
		t.add(res.Behavior)
	}
	return t
}

// summary says in one line how the side did.
func (r *report) summary() string {
	s := r.countBehavior().String()
	if n := len(r.unexpected()); n > 0 {
		s += fmt.Sprintf("; %d not as expected", n)
	}
	if n := len(r.Problems); n == 1 {
		s += "; one problem"
	} else if n > 1 {
		s += fmt.Sprintf("; %d problems", n)
	}
	return s
}

// exceptions describes the results other than OK that are as expected. They are shown
// with every report, so that nobody takes an exception for a success.
func (r *report) exceptions() (notes []string) {
	var info []string
	for _, res := range r.Results {
		if res.Behavior == informational && res.asExpected() {
			info = append(info, res.ID)
		}
	}
	if len(info) > 0 {
		notes = append(notes, fmt.Sprintf("%s INFORMATIONAL: the suite never judges these", strings.Join(info, ", ")))
	}
	return notes
}
