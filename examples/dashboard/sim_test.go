package main

import (
	"math"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// after returns a market after a number of steps, and how many trades there
// were.
func after(n, rate int, seed uint64, steps int) (*simulation, int) {
	s := newSimulation(n, rate, seed)
	trades := 0
	for range steps {
		trades += len(s.step())
	}
	return s, trades
}

func TestSameSeedSameMarket(t *testing.T) {
	a, n := after(50, 60, 7, 3000)
	b, m := after(50, 60, 7, 3000)
	if n != m || !reflect.DeepEqual(a.instruments, b.instruments) {
		t.Error("two markets of the same seed differ")
	}
	c, _ := after(50, 60, 8, 3000)
	if reflect.DeepEqual(a.instruments, c.instruments) {
		t.Error("two markets of different seeds do not differ")
	}
}

func TestNames(t *testing.T) {
	s := newSimulation(maxInstruments, 1, 1)
	symbol := regexp.MustCompile(`^[A-Z]{3,4}$`)
	symbols, names := make(map[string]bool), make(map[string]bool)
	inSector := make([]int, len(sectors))
	for _, in := range s.instruments {
		if !symbol.MatchString(in.symbol) || symbols[in.symbol] || names[in.name] {
			t.Errorf("%q, %q is there twice, or no symbol", in.symbol, in.name)
		}
		symbols[in.symbol], names[in.name] = true, true
		inSector[in.sector]++
	}
	if slices.Min(inSector) != maxInstruments/len(sectors) {
		t.Errorf("sectors have %v instruments", inSector)
	}
}

// At every rate the market is about as busy, and prices stay prices.
func TestTrades(t *testing.T) {
	const n = 40
	perSecond := make(map[int]float64)
	for _, rate := range []int{10, 60, maxStepRate} {
		const seconds = 300
		s := newSimulation(n, rate, 3)
		trades, moved := 0, 0
		for range seconds * rate {
			before := slices.Clone(s.instruments)
			traded := s.step()
			if !slices.IsSorted(traded) || len(slices.Compact(slices.Clone(traded))) != len(traded) {
				t.Fatalf("traded %v", traded)
			}
			trades += len(traded)
			for i, in := range s.instruments {
				was := before[i]
				if want := was.seq; slices.Contains(traded, i) != (in.seq == want+1) || in.seq < want {
					t.Fatalf("trade %d became %d", was.seq, in.seq)
				}
				if in.seq == was.seq && in.price != was.price || in.volume < was.volume {
					t.Fatalf("%+v without a trade became %+v", was, in)
				}
				if in.price < in.low || in.price > in.high || in.low == 0 {
					t.Fatalf("price %d of %d to %d", in.price, in.low, in.high)
				}
				if in.price != was.price {
					moved++
				}
			}
		}
		if moved < trades/4 {
			t.Errorf("at rate %d only %d of %d trades move the price", rate, moved, trades)
		}
		perSecond[rate] = float64(trades) / seconds / n
	}
	if p := perSecond[60]; p < 5 || p > 25 {
		t.Errorf("%.1f trades per second and instrument", p)
	}
	if p := perSecond[10]; p < 2 || p > 10 {
		t.Errorf("%.1f trades per second and instrument at 10 steps per second", p)
	}
}

// A price that is driven always the same way neither vanishes nor overflows.
func TestPriceLimits(t *testing.T) {
	for _, push := range []float64{-1e3, 1e3} {
		s := newSimulation(1, 60, 1)
		in := &s.instruments[0]
		for range 1000 {
			s.steps++
			in.excitement, in.drift = 1.5, push
			s.trade(in)
		}
		if in.price == 0 || in.low == 0 || float64(in.high) > 4*float64(in.reference)+1 {
			t.Errorf("pushed by %v: %d, from %d to %d, reference %d", push, in.price, in.low, in.high, in.reference)
		}
		if math.Abs(math.Log(in.value/float64(in.reference))) < 1 {
			t.Errorf("pushed by %v: only to %v of %d", push, in.value, in.reference)
		}
	}
}

// News excites, and excitement passes.
func TestNews(t *testing.T) {
	s := newSimulation(80, 60, 1)
	s.exciteAll(2, 1, 1e-3)
	for i, in := range s.instruments {
		if hot := in.excitement > 0; hot != (in.sector == 2) {
			t.Errorf("instrument %d of sector %d: heat %v", i, in.sector, in.excitement)
		}
	}
	s.exciteAll(-1, 5, 1e-3)
	for i, in := range s.instruments {
		if in.excitement == 0 || in.excitement > 1.5 {
			t.Errorf("instrument %d: heat %v", i, in.excitement)
		}
	}
	hot := len(s.step())
	quiet, busiest := hot, hot
	for range 60 * 120 {
		n := len(s.step())
		quiet, busiest = min(quiet, n), max(busiest, n)
	}
	if hot < 70 || quiet > 25 {
		t.Errorf("traded: %d when excited, %d at least later", hot, quiet)
	}
}
