package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// split splits cases into at most n shards that take about the same time, each in the
// suite's order. It assigns the cases by descending cost, each to the shard with the
// least cost so far.
func split(cases []string, n int) [][]string {
	order := make(map[string]int, len(cases))
	for i, id := range cases {
		order[id] = i
	}
	byCost := slices.Clone(cases)
	slices.SortStableFunc(byCost, func(a, b string) int { return cmp.Compare(cost(b), cost(a)) })
	shards := make([][]string, min(n, len(cases)))
	loads := make([]int, len(shards))
	for _, id := range byCost {
		i := slices.Index(loads, slices.Min(loads))
		shards[i] = append(shards[i], id)
		loads[i] += cost(id)
	}
	for _, s := range shards {
		slices.SortFunc(s, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	}
	return shards
}

// compressionCost is what the cases of a group in sections 12 and 13 take:
// the payload grows from 16 bytes to 128 KiB, then the fragments do.
var compressionCost = [18]int{600, 600, 700, 900, 1300, 2000, 2500, 3500, 6000, 12000,
	2000, 4000, 8000, 13000, 22000, 22000, 18000, 16000}

// cost estimates how long a case takes, in milliseconds. Only proportions
// matter.
func cost(id string) int {
	switch section := sectionOf(id); {
	case strings.HasPrefix(id, "6.4.") || id == "5.19" || id == "5.20":
		return 1000 // the suite pauses
	case section == "9":
		return 250
	case section == "12" || section == "13":
		i, err := strconv.Atoi(id[strings.LastIndexByte(id, '.')+1:])
		if err == nil && i >= 1 && i <= len(compressionCost) {
			return compressionCost[i-1]
		}
	}
	return 10
}
