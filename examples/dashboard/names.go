package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Every instrument is made up: a name of two halves, and a line of business.
var (
	firstHalves = strings.Fields(`Al Bel Cal Cor Dal Dor El Fen Gal Hal Jor Kel Lan Lor
		Mar Mel Nor Or Quin Ral Ros Sol Tal Tor Ul Val Wes Yar Zan`)
	secondHalves = strings.Fields(`bridge dane den dine dora field gate haven ia ino lan
		mere mont nova ora ova rix sand sta ton vale vara vex wick`)
	sectors = []sector{
		{"Energy", strings.Fields("Energy Petrol Solar Wind")},
		{"Metals", strings.Fields("Mining Steel Copper Lithium")},
		{"Technology", strings.Fields("Systems Robotics Software Optics")},
		{"Health", strings.Fields("Biotech Pharma Medical Care")},
		{"Finance", strings.Fields("Bank Capital Insurance Trust")},
		{"Consumer", strings.Fields("Foods Brewing Apparel Stores")},
		{"Transport", strings.Fields("Freight Airways Shipping Rail")},
		{"Utilities", strings.Fields("Water Grid Networks Telecom")},
	}
)

// sector is a group of companies whose prices move together at times.
type sector struct {
	name  string
	lines []string // lines of business of its companies
}

// namer makes up names and symbols, each only once.
type namer struct {
	rng   *rand.Rand
	taken map[string]bool
}

// name returns a name for an instrument of s, and its symbol: three or four
// capital letters.
func (n *namer) name(s sector) (symbol, name string) {
	for {
		first := firstHalves[n.rng.IntN(len(firstHalves))]
		second := secondHalves[n.rng.IntN(len(secondHalves))]
		line := s.lines[n.rng.IntN(len(s.lines))]
		name = fmt.Sprintf("%s%s %s", first, second, line)
		if n.taken[name] {
			continue
		}
		for _, symbol := range []string{
			first[:2] + second[:1],
			first[:2] + second[:2],
			first[:2] + second[:1] + line[:1],
			first[:1] + second[:2] + line[:1],
			first[:2] + line[:2],
			first[:1] + second[:1] + line[:2],
		} {
			symbol = strings.ToUpper(symbol)
			if !n.taken[symbol] {
				n.taken[name], n.taken[symbol] = true, true
				return symbol, name
			}
		}
	}
}
