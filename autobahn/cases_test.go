package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCatalogue(t *testing.T) {
	all := allCases()
	if len(all) != 517 {
		t.Errorf("%d cases, the suite has 517", len(all))
	}
	core, err := selectCases("1.*,2.*,3.*,4.*,5.*,6.*,7.*,9.*,10.*")
	if err != nil || len(core) != 301 {
		t.Errorf("%d cases in sections 1 to 10, the suite has 301; %v", len(core), err)
	}
	seen := make(map[string]bool)
	for _, id := range all {
		if seen[id] {
			t.Errorf("case %s comes twice", id)
		}
		seen[id] = true
		if !slices.ContainsFunc(sections, func(s struct{ number, title string }) bool { return s.number == sectionOf(id) }) {
			t.Errorf("case %s is in no section", id)
		}
	}
}

func TestSelectCases(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		want     string // or the number of cases, if it begins with #
	}{
		{"", "#517"},
		{"*", "#517"},
		{"1.1.1", "1.1.1"},
		{"9.1", "9.1.1 9.1.2 9.1.3 9.1.4 9.1.5 9.1.6"}, // and not 9.10
		{"1", "#16"}, // and neither 10 nor 12
		{"1.*", "#16"},
		{"1.*,6.4.*", "#20"},
		{"6.2.*", "6.2.1 6.2.2 6.2.3 6.2.4"}, // and not 6.20
		{"*.18", "#14"},
		{"10.1.1, 2.11 ,2.9", "2.9 2.11 10.1.1"}, // in the suite's order
		{"7.1.6,7.1.6,7.1.*", "7.1.1 7.1.2 7.1.3 7.1.4 7.1.5 7.1.6"},
		{"12.*,13.*", "#216"},
	} {
		got, err := selectCases(tt.patterns)
		if err != nil {
			t.Errorf("%q: %v", tt.patterns, err)
		} else if s := strings.Join(got, " "); s != tt.want && fmt.Sprint("#", len(got)) != tt.want {
			t.Errorf("%q: got %s, want %s", tt.patterns, s, tt.want)
		}
	}
	for _, patterns := range []string{"8.*", "1.1.9", "1.1.1,", ",", "1.1.[", "11", "7.2", "1.1.1 1.1.2"} {
		if got, err := selectCases(patterns); err == nil {
			t.Errorf("%q: got %v", patterns, got)
		}
	}
}

func TestRanges(t *testing.T) {
	for _, tt := range []struct{ patterns, want string }{
		{"1.1.3", "1.1.3"},
		{"1.1.3,1.1.4", "1.1.3, 1.1.4"},
		{"1.1.3,1.1.4,1.1.5", "1.1.3–1.1.5"},
		{"1.1.8,1.2.1,1.2.2,2.1", "1.1.8–1.2.2, 2.1"},
		{"12,13", "12.1.1–13.7.18"},
		{"13.7.17,13.7.18", "13.7.17, 13.7.18"},
	} {
		ids, err := selectCases(tt.patterns)
		if err != nil {
			t.Fatal(err)
		}
		if got := ranges(ids); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.patterns, got, tt.want)
		}
	}
	if got := ranges(nil); got != "" {
		t.Errorf("nothing: %q", got)
	}
}

func TestSplit(t *testing.T) {
	few, err := selectCases("9.1,6.4,1.1.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, cases := range [][]string{allCases(), few, {"1.1.1"}} {
		for n := 1; n <= 20; n++ {
			shards := split(cases, n)
			if len(shards) != min(n, len(cases)) {
				t.Errorf("%d cases in %d shards: got %d", len(cases), n, len(shards))
			}
			var all []string
			most, least, dearest := 0, 1<<30, 0
			for _, s := range shards {
				sum, last := 0, -1
				for _, id := range s {
					i := slices.Index(cases, id)
					if i <= last {
						t.Errorf("%d shards: %s is out of order", n, id)
					}
					last = i
					sum += cost(id)
					dearest = max(dearest, cost(id))
				}
				most, least = max(most, sum), min(least, sum)
				all = append(all, s...)
			}
			slices.Sort(all)
			if want := slices.Sorted(slices.Values(cases)); !slices.Equal(all, want) {
				t.Errorf("%d shards have %d cases, want %d", n, len(all), len(want))
			}
			if most-least > dearest {
				t.Errorf("%d cases in %d shards: the longest takes %d, the shortest %d", len(cases), n, most, least)
			}
		}
	}
}
