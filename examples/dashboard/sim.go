package main

import (
	"math"
	"math/rand/v2"
)

// instrument is something that is traded. Prices are in units of its smallest
// step, such as cents.
type instrument struct {
	symbol, name string
	sector       int // index in sectors
	decimals     int // how many digits of a price are behind the point
	reference    uint32

	price, high, low uint32
	volume           uint32 // traded today; wraps around
	seq              uint32 // number of the last trade

	value      float64 // the price before it is rounded
	activity   float64 // trades per second on a quiet day
	volatility float64 // standard deviation of the return over a second on a quiet day
	excitement float64 // 0 when quiet
	drift      float64 // return per second while it is excited
	last       int     // step of the last trade
}

// simulation is a simulated market. It belongs to one goroutine at a time. It knows no
// clock: the same seed, rate and number of steps give the same prices.
type simulation struct {
	rng         *rand.Rand
	rate        float64 // steps per second
	steps       int
	instruments []instrument
	traded      []int // what step returns; reused
}

const (
	// How often there is news, in seconds.
	newsEach   = 75.0 // about one instrument
	newsSector = 24.0 // about a whole sector
	newsMarket = 90.0 // about everything

	excitementTime = 2.5  // seconds in which two thirds of an excitement are over
	meanReversion  = 4e-4 // how much of its distance from the reference a price loses per second
)

// newSimulation returns a market of n instruments that makes rate steps per
// second.
func newSimulation(n, rate int, seed uint64) *simulation {
	s := &simulation{
		rng:         rand.New(rand.NewPCG(seed, 0x6d61726b6574)),
		rate:        float64(rate),
		instruments: make([]instrument, n),
		traded:      make([]int, 0, n),
	}
	names := &namer{rng: s.rng, taken: make(map[string]bool)}
	for i := range s.instruments {
		in := &s.instruments[i]
		in.sector = i % len(sectors)
		in.symbol, in.name = names.name(sectors[in.sector])
		in.value = math.Exp(s.between(math.Log(1.5), math.Log(900)))
		in.decimals = 2
		if in.value < 10 {
			in.decimals = 4
		}
		in.value *= math.Pow10(in.decimals)
		in.reference = uint32(math.Round(in.value))
		in.value *= math.Exp(0.012 * s.rng.NormFloat64()) // the change overnight
		in.price = uint32(math.Round(in.value))
		in.high, in.low = in.price, in.price
		// A few are traded all the time, most now and then.
		in.activity = 1 + 32*math.Pow(s.rng.Float64(), 3)
		in.volatility = s.between(2e-4, 7e-4)
	}
	return s
}

func (s *simulation) between(a, b float64) float64 { return a + (b-a)*s.rng.Float64() }

// step makes one step and returns the instruments that were traded in it, each
// once. The slice is valid until the next call.
func (s *simulation) step() []int {
	s.steps++
	s.news()
	cooling := math.Exp(-1 / (excitementTime * s.rate))
	s.traded = s.traded[:0]
	for i := range s.instruments {
		in := &s.instruments[i]
		in.excitement *= cooling
		if in.excitement < 0.01 {
			in.excitement = 0
		}
		if s.rng.Float64()*s.rate < in.activity+in.excitement*s.rate {
			s.trade(in)
			s.traded = append(s.traded, i)
		}
	}
	return s.traded
}

// news excites an instrument, a sector or the whole market, now and then.
func (s *simulation) news() {
	happens := func(times float64) bool { return s.rng.Float64() < times/s.rate }
	if happens(float64(len(s.instruments)) / newsEach) {
		in := &s.instruments[s.rng.IntN(len(s.instruments))]
		in.excite(s.between(0.4, 1.2), s.rng.NormFloat64()*1.5e-3)
	}
	if happens(1 / newsSector) {
		s.exciteAll(s.rng.IntN(len(sectors)), s.between(0.4, 1), s.rng.NormFloat64()*0.8e-3)
	}
	if happens(1 / newsMarket) {
		s.exciteAll(-1, s.between(0.3, 0.8), s.rng.NormFloat64()*0.6e-3)
	}
}

// exciteAll excites the instruments of a sector, or all if that is negative,
// each in its own way.
func (s *simulation) exciteAll(sector int, heat, push float64) {
	for i := range s.instruments {
		if in := &s.instruments[i]; sector < 0 || in.sector == sector {
			in.excite(heat*s.between(0.5, 1.2), push*s.between(0.2, 1.8))
		}
	}
}

func (in *instrument) excite(heat, push float64) {
	in.excitement = min(in.excitement+heat, 1.5)
	in.drift = push
}

// trade moves the price of in by the time that has passed since its last trade.
func (s *simulation) trade(in *instrument) {
	dt := float64(s.steps-in.last) / s.rate
	in.last = s.steps
	change := s.rng.NormFloat64() * in.volatility * (1 + in.excitement) * math.Sqrt(dt)
	change += in.drift * in.excitement * dt
	change -= meanReversion * dt * math.Log(in.value/float64(in.reference))
	// A price neither vanishes nor outgrows 32 bits.
	limit := float64(in.reference)
	in.value = min(max(in.value*math.Exp(change), limit/4), limit*4)
	in.price = uint32(math.Round(in.value))
	in.high, in.low = max(in.high, in.price), min(in.low, in.price)
	in.volume += 1 + uint32(s.rng.IntN(40)*s.rng.IntN(40)/4)
	in.seq++
}
