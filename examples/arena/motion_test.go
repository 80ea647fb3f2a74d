package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// atEachRate runs a test at some of the possible numbers of ticks per second.
func atEachRate(t *testing.T, f func(t *testing.T, m motion)) {
	for _, rate := range []int{20, 30, 45, 60} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) { f(t, newMotion(rate)) })
	}
}

// swim advances b by some seconds.
func (m *motion) swim(b *body, seconds float64, s steering) {
	for range int(math.Round(seconds * float64(m.rate))) {
		m.advance(b, s)
	}
}

// The rules are those of the pond and not of a rate: koi reach the same speeds.
func TestSpeed(t *testing.T) {
	atEachRate(t, func(t *testing.T, m motion) {
		for _, c := range []struct {
			score    uint16
			throttle uint8
			want     float64
		}{
			{0, 255, topSpeed}, {fullGrown, 255, topSpeed - bulkSpeed}, {math.MaxUint16, 255, topSpeed - bulkSpeed},
			{0, 51, topSpeed / 5}, {0, 0, 0},
		} {
			b := body{score: c.score, vx: 50}
			m.swim(&b, 4, steering{throttle: c.throttle})
			if b.vx > c.want || b.vx < c.want-2 || b.vy != 0 {
				t.Errorf("score %d, throttle %d: the speed is %v, %v, want %v, 0", c.score, c.throttle, b.vx, b.vy, c.want)
			}
		}
	})
}

func TestTurning(t *testing.T) {
	atEachRate(t, func(t *testing.T, m motion) {
		for _, c := range []struct{ from, to, next uint8 }{
			{0, 100, uint8(m.turn)}, {100, 0, 100 - uint8(m.turn)},
			{250, 6, 250 + uint8(m.turn)}, {6, 250, 6 - uint8(m.turn)},
			{10, 12, 12}, {12, 10, 10}, {7, 7, 7},
		} {
			b := body{heading: c.from}
			m.advance(&b, steering{dir: c.to, throttle: 255})
			if b.heading != c.next {
				t.Errorf("from %d to %d it is at %d, want %d", c.from, c.to, b.heading, c.next)
			}
			m.swim(&b, 1, steering{dir: c.to, throttle: 255})
			if b.heading != c.to {
				t.Errorf("from %d it has reached %d, not %d", c.from, b.heading, c.to)
			}
		}
	})
}

func TestDart(t *testing.T) {
	atEachRate(t, func(t *testing.T, m motion) {
		var b body
		darts, darting, fastest := 0, 0, 0.0
		for range 3 * m.rate {
			before := b.dart
			m.advance(&b, steering{dir: 64, throttle: 255, dart: true})
			b.x, b.y = 0, 0
			if b.dart > before {
				darts++
			}
			if m.darting(&b) {
				darting++
			}
			fastest = max(fastest, b.vy)
		}
		// The button is held all the time: at 0, 1.5 and, but for the tick in
		// between, 3 seconds.
		if darts != 2 {
			t.Errorf("%d darts, want 2", darts)
		}
		if want := 2 * dartSeconds * float64(m.rate); math.Abs(float64(darting)-want) > 2 {
			t.Errorf("it darts for %d ticks, want %v", darting, want)
		}
		if fastest < 0.8*dartSpeed {
			t.Errorf("the fastest is %v", fastest)
		}
	})
}

func TestDazed(t *testing.T) {
	atEachRate(t, func(t *testing.T, m motion) {
		b := body{heading: 10, daze: m.dazeFirst}
		for i := range int(m.dazeFirst) {
			m.advance(&b, steering{dir: 100, throttle: 255, dart: true})
			if b.heading != 10 || b.vx != 0 || b.vy != 0 || b.dart != 0 {
				t.Fatalf("in tick %d it obeys: %+v", i, b)
			}
		}
		m.advance(&b, steering{dir: 100, throttle: 255, dart: true})
		if b.heading == 10 || b.dart == 0 {
			t.Errorf("it is still dazed: %+v", b)
		}
	})
}

// A koi always stays in the pond, where the wire format can express its position.
func TestMotionIsOnTheWire(t *testing.T) {
	atEachRate(t, func(t *testing.T, m motion) {
		rng := rand.New(rand.NewPCG(1, 2))
		b := body{score: 30}
		s := steering{}
		for tick := range 4000 {
			if rng.IntN(15) == 0 {
				s = steering{uint8(rng.Uint32()), uint8(rng.Uint32()), rng.IntN(3) == 0}
			}
			if rng.IntN(100) == 0 {
				b.vx, b.vy = b.vx+rng.NormFloat64()*1e4, b.vy+rng.NormFloat64()*1e4
				b.score = uint16(rng.Uint32())
				b.daze = m.dazeFirst
			}
			m.advance(&b, s)
			if d := math.Hypot(b.x, b.y); d > pondRadius-b.radius()+0.1 {
				t.Fatalf("tick %d: it is %v from the middle", tick, d)
			}
			in := snapshot{koi: []koiState{{id: 1, body: b}}}
			var out snapshot
			if err := out.parse(in.append(nil)[1:]); err != nil {
				t.Fatal(err)
			}
			if out.koi[0].body != b {
				t.Fatalf("tick %d: %+v has become %+v", tick, b, out.koi[0].body)
			}
		}
	})
}

func TestBank(t *testing.T) {
	m := newMotion(30)
	b := body{x: 1400, vx: 700}
	m.swim(&b, 0.25, steering{})
	if b.vx >= 0 {
		t.Errorf("it does not bounce: %+v", b)
	}
	m.swim(&b, 8, steering{throttle: 255})
	if want := pondRadius - b.radius(); math.Abs(b.x-want) > 0.1 || b.vx > 0 {
		t.Errorf("it pushes against the bank and is at %v, want %v: %+v", b.x, want, b)
	}
}

func TestHeadingOf(t *testing.T) {
	for h := range 256 {
		x, y := direction(uint8(h))
		if got := headingOf(5*x, 5*y); got != uint8(h) {
			t.Errorf("the heading of %v, %v is %d, want %d", x, y, got, h)
		}
	}
}
