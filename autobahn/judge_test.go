package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestAsExpected(t *testing.T) {
	for _, tt := range []struct {
		ids             string
		behavior, close string
		code            int
		want            bool
	}{
		{"1.1.1 6.4.1 6.4.4 9.1.6 10.1.1", ok, ok, 1000, true},
		{"1.1.1 6.4.1 6.4.4", nonStrict, ok, 1007, false},
		{"1.1.1 2.10", failed, ok, 1000, false},
		{"1.1.1 2.10", ok, failed, 1000, false},
		{"1.1.1 2.10", ok, unclean, 1000, false},
		{"1.1.1 2.10", ok, wrongCode, 1002, false},
		{"1.1.1 2.10", ok, failedByClient, 1000, false},
		{"1.1.1 2.10", ok, informational, 1000, false},
		{"1.1.1 2.10 7.1.5 7.13.3", informational, informational, 1000, false},
		{"1.1.1 10.1.1 12.1.1 13.3.1", unimplemented, ok, 1000, false},
		{"1.1.1", "", "", 1000, false},
		{"1.1.1", missing, missing, 0, false},
		{"7.1.6 7.13.1 7.13.2", informational, informational, 1000, true},
		{"7.1.6 7.13.1 7.13.2", informational, informational, 0, false},
		{"7.1.6 7.13.1 7.13.2", failed, failed, 1000, false},
		{"7.1.6 7.13.1 7.13.2", missing, missing, 0, false},
		{"3.1 6.3.1 7.9.1", ok, ok, 0, false}, // dropped without a word
		{"7.3.1", ok, ok, 0, true},            // closed without a code by the suite itself
		{"12.1.1 13.7.18", ok, ok, 1000, true},
		{"12.1.1 13.7.18", unimplemented, ok, 1000, false},
		{"12.1.1 13.7.18", unimplemented, unclean, 1000, false},
		{"12.1.1 13.7.18", failed, ok, 1000, false},
		{"12.1.1 13.7.18", missing, missing, 0, false},
	} {
		for id := range strings.FieldsSeq(tt.ids) {
			r := result{ID: id, outcome: outcome{tt.behavior, tt.close}, CloseCode: tt.code}
			if got := r.asExpected(); got != tt.want {
				t.Errorf("%s %s, closing %s %d: as expected is %v", id, tt.behavior, tt.close, tt.code, got)
			}
		}
	}
}

// good returns results that are all as they should be.
func good(t *testing.T, patterns string) *report {
	t.Helper()
	ids, err := selectCases(patterns)
	if err != nil {
		t.Fatal(err)
	}
	r := &report{Side: "server"}
	for _, id := range ids {
		r.Results = append(r.Results, result{ID: id, outcome: expected(id), CloseCode: 1000})
	}
	return r
}

func TestPassed(t *testing.T) {
	if r := good(t, ""); !r.passed() {
		t.Error("failed:", r.summary())
	}
	if r := new(report); r.passed() {
		t.Error("no results at all have passed")
	}
	r := good(t, "1.1")
	r.problem("wstest: %s", "exit status 1")
	if r.passed() || !strings.Contains(r.summary(), "one problem") {
		t.Error("passed in spite of a problem:", r.summary())
	}
	r = good(t, "")
	found := make(map[string]result)
	for _, res := range r.Results {
		found[res.ID] = res
	}
	delete(found, "13.7.18")
	r.Results = collect(allCases(), found)
	if s := r.unexpected(); r.passed() || len(s) != 1 || s[0].ID != "13.7.18" || s[0].Behavior != missing {
		t.Error("a case is missing, and the surprises are", s)
	}
	if r.Results = collect([]string{"1.1.1"}, nil); r.passed() {
		t.Error("no results have passed for one case")
	}
	if verdict([]*report{good(t, "1"), good(t, "2")}) != nil || verdict([]*report{good(t, "1"), r}) == nil {
		t.Error("the verdict on two sides")
	}
}

// TestExceptions: every exception is shown, and only if it was made use of.
func TestExceptions(t *testing.T) {
	notes := strings.Join(good(t, "").exceptions(), "\n")
	if notes != "7.1.6, 7.13.1, 7.13.2 INFORMATIONAL: the suite never judges these" {
		t.Errorf("got %s", notes)
	}
	if notes := good(t, "1,6.4,9.1,12,13").exceptions(); len(notes) > 0 {
		t.Errorf("got %s", notes)
	}
}

func TestPrint(t *testing.T) {
	r := good(t, "1.1,7.1,6.4")
	r.Results[1].Behavior, r.Results[1].Reason = failed, "Actual events\n\x1b[31mdiffer"
	r.Results[2].Close, r.Results[2].CloseReason = unclean, "The spec requires it"
	r.Results[3].Close, r.Results[3].CloseReason = unclean, "The spec requires it"
	r.Results[8].Behavior = "SOMETHING NEW"
	r.Results[9].CloseCode = 0
	r.problem("a problem")
	var b strings.Builder
	r.print(&b)
	got := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"behaviour cases OK NON-STRICT INFORMATIONAL UNIMPLEMENTED FAILED SOMETHING NEW",
		"1 Framing 8 7 - - - 1 - ", "6 UTF-8 4 3 - - - - 1", "7 Closing 6 5 - 1 - - - ", "total 18 15 - 1 - 1 1",
		"closing behaviour cases OK INFORMATIONAL WRONG CODE UNCLEAN FAILED BY CLIENT FAILED",
		"1 Framing 8 6 - - 2 - -",
		"1.1.2: FAILED, NOT as expected Actual events �[31mdiffer",
		"1.1.3, 1.1.4: OK, NOT as expected", "closing UNCLEAN: The spec requires it",
		"6.4.1: SOMETHING NEW, NOT as expected",
		"6.4.2: OK, NOT as expected: no status code of ours came",
		"7.1.6: INFORMATIONAL, as expected",
		"PROBLEM: a problem",
		"server FAILED: 15 OK, 1 INFORMATIONAL, 1 FAILED, 1 SOMETHING NEW; 5 not as expected; one problem",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("a reason has moved the cursor")
	}
}

func TestSummaryPage(t *testing.T) {
	bad := good(t, "1.1")
	bad.Side = "client"
	bad.Results[0].Behavior, bad.Results[0].Reason = nonStrict, "<script>"
	bad.problem("died of <b>")
	for _, tt := range []struct {
		reports []*report
		want    []string
	}{
		{[]*report{good(t, "")}, []string{"as it should be", ">passed<", `title="1.1.1 OK, closing OK 1000"`}},
		{[]*report{good(t, ""), bad}, []string{"not as it should be", ">passed<", ">failed<", "&lt;script&gt;", "died of &lt;b&gt;",
			`class="loose"`, "8 of 517 cases only"}},
	} {
		dir := t.TempDir()
		path, err := writeSummary(dir, "25.10.1", tt.reports)
		if err != nil {
			t.Fatal(err)
		}
		page := tail(path, 1<<20)
		for _, want := range tt.want {
			if !strings.Contains(page, want) {
				t.Errorf("no %q", want)
			}
		}
		if n := strings.Count(page, `title="`); n != cells(tt.reports) {
			t.Errorf("%d cells, want %d", n, cells(tt.reports))
		}
	}
}

func cells(reports []*report) (n int) {
	for _, r := range reports {
		n += len(r.Results)
	}
	return n
}

func TestClass(t *testing.T) {
	for _, tt := range []struct {
		id              string
		behavior, close string
		want            string
	}{
		{"1.1.1", ok, ok, "ok"}, {"1.1.1", ok, unclean, "bad"}, {"1.1.1", nonStrict, ok, "loose"},
		{"1.1.1", nonStrict, failed, "bad"}, {"1.1.1", failed, ok, "bad"}, {"1.1.1", missing, missing, "bad"},
		{"1.1.1", unimplemented, ok, "bad"}, {"1.1.1", informational, informational, "bad"},
		{"7.1.6", informational, informational, "info"},
		{"12.1.1", ok, ok, "ok"}, {"12.1.1", unimplemented, ok, "bad"},
	} {
		r := result{ID: tt.id, outcome: outcome{tt.behavior, tt.close}, CloseCode: 1000}
		if got := class(r); got != tt.want {
			t.Error(fmt.Sprint(tt), "is", got)
		}
	}
}
