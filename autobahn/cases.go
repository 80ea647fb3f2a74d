package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// caseGroups holds the groups of cases of the suite, in version 25.10.1. The cases of
// a group are numbered from 1. A run of all cases fails if the suite that was found
// has another number of them.
var caseGroups = []struct {
	group string
	cases int
}{
	{"1.1", 8}, {"1.2", 8},
	{"2", 11},
	{"3", 7},
	{"4.1", 5}, {"4.2", 5},
	{"5", 20},
	{"6.1", 3}, {"6.2", 4}, {"6.3", 2}, {"6.4", 4}, {"6.5", 5}, {"6.6", 11}, {"6.7", 4}, {"6.8", 2},
	{"6.9", 4}, {"6.10", 3}, {"6.11", 5}, {"6.12", 8}, {"6.13", 5}, {"6.14", 10}, {"6.15", 1}, {"6.16", 3},
	{"6.17", 5}, {"6.18", 5}, {"6.19", 5}, {"6.20", 7}, {"6.21", 8}, {"6.22", 34}, {"6.23", 7},
	{"7.1", 6}, {"7.3", 6}, {"7.5", 1}, {"7.7", 13}, {"7.9", 9}, {"7.13", 2},
	{"9.1", 6}, {"9.2", 6}, {"9.3", 9}, {"9.4", 9}, {"9.5", 6}, {"9.6", 6}, {"9.7", 6}, {"9.8", 6},
	{"10.1", 1},
	{"12.1", 18}, {"12.2", 18}, {"12.3", 18}, {"12.4", 18}, {"12.5", 18},
	{"13.1", 18}, {"13.2", 18}, {"13.3", 18}, {"13.4", 18}, {"13.5", 18}, {"13.6", 18}, {"13.7", 18},
}

// sections are the suite's chapters.
var sections = []struct{ number, title string }{
	{"1", "Framing"},
	{"2", "Pings and pongs"},
	{"3", "Reserved bits"},
	{"4", "Opcodes"},
	{"5", "Fragmentation"},
	{"6", "UTF-8"},
	{"7", "Closing"},
	{"9", "Limits and performance"},
	{"10", "Automatic fragmentation"},
	{"12", "Compression payloads"},
	{"13", "Compression parameters"},
}

// sectionOf returns the number of the chapter that a case is in.
func sectionOf(id string) string {
	number, _, _ := strings.Cut(id, ".")
	return number
}

// allCases returns the suite's cases in its own order.
var allCases = sync.OnceValue(func() (ids []string) {
	for _, g := range caseGroups {
		for i := range g.cases {
			ids = append(ids, fmt.Sprintf("%s.%d", g.group, i+1))
		}
	}
	return ids
})

// selectCases returns the cases that match one of the patterns, which are
// separated by commas, in the suite's order. In a pattern a * stands for
// anything; without one it is a case, or a group with all its cases. No
// pattern at all means every case.
func selectCases(patterns string) ([]string, error) {
	if patterns == "" {
		return allCases(), nil
	}
	chosen := make(map[string]bool)
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern = strings.TrimSpace(pattern)
		found := false
		for _, id := range allCases() {
			match, err := path.Match(pattern, id)
			if err != nil {
				return nil, &usageError{fmt.Sprintf("-cases: pattern %q: %v", pattern, err)}
			}
			if match || strings.HasPrefix(id, pattern+".") {
				chosen[id], found = true, true
			}
		}
		if !found {
			return nil, &usageError{fmt.Sprintf("-cases: no case of the suite matches %q", pattern)}
		}
	}
	return slices.DeleteFunc(slices.Clone(allCases()), func(id string) bool { return !chosen[id] }), nil
}

// ranges describes cases, which must be in the suite's order, in short:
// neighbours in the suite become a range.
func ranges(ids []string) string {
	var parts []string
	for len(ids) > 0 {
		i := slices.Index(allCases(), ids[0])
		n := 1
		for n < len(ids) && i >= 0 && i+n < len(allCases()) && allCases()[i+n] == ids[n] {
			n++
		}
		switch n {
		case 1:
			parts = append(parts, ids[0])
		case 2:
			parts = append(parts, ids[0], ids[1])
		default:
			parts = append(parts, ids[0]+"–"+ids[n-1])
		}
		ids = ids[n:]
	}
	return strings.Join(parts, ", ")
}
