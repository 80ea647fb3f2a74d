package main

import "math"

// How koi swim. Lengths are in units of the pond, about a pixel on a screen
// that is not zoomed; speeds are per second.
const (
	pondRadius = 1500

	turnRate  = 240 // heading units, of which 256 are a full turn
	topSpeed  = 300 // of the smallest koi
	bulkSpeed = 80  // by how much the biggest are slower
	push      = 2.6 // how fast the speed becomes what is asked for
	slip      = 6.0 // how fast a sideways drift is lost
	bounce    = 0.5 // the part of the speed that the bank gives back

	dartSpeed   = 780 // at the beginning of a dart
	dartSeconds = 0.4 // for which it is one
	dartEvery   = 1.5 // seconds
	dazeSeconds = 0.7

	smallest  = 15  // radius
	growth    = 14  // of the biggest beyond that
	fullGrown = 200 // the score at which a koi grows no more
)

// steering is a player's input for one tick.
type steering struct {
	dir      uint8 // where to, in heading units
	throttle uint8 // how fast, 255 is as fast as it can
	dart     bool
}

// body is the state of a koi's motion. Every snapshot has all of it, and the motion
// depends on nothing else. So a page can compute the same motion as the server, from
// the last snapshot on. The numbers are rounded to those on the wire, so the page
// starts without a rounding error. web/motion.js is the same code.
type body struct {
	x, y    float64 // multiples of 1/16; the middle of the pond is 0, 0, and y points down
	vx, vy  float64 // multiples of 1/16
	heading uint8   // 0 is along x, 64 along y
	score   uint16
	dart    uint8 // ticks until it can dart again
	daze    uint8 // ticks for which it does not obey
}

// motion is the rules of swimming at some rate of ticks.
type motion struct {
	rate      int     // ticks per second
	dt        float64 // seconds per tick
	turn      int     // heading units per tick
	dartFirst uint8   // value of body.dart at the beginning of a dart
	dartLast  uint8   // body.dart is above this during a dart
	dazeFirst uint8
}

func newMotion(rate int) motion {
	ticks := func(seconds float64) uint8 { return uint8(math.Floor(seconds*float64(rate) + 0.5)) }
	m := motion{rate: rate, dt: 1 / float64(rate), dartFirst: ticks(dartEvery), dazeFirst: ticks(dazeSeconds)}
	m.turn = int(math.Floor(turnRate*m.dt + 0.5))
	m.dartLast = m.dartFirst - ticks(dartSeconds)
	return m
}

// sines has the sine of each heading.
var sines = func() (t [256]float64) {
	for i := range t {
		t[i] = math.Sin(float64(i) * math.Pi / 128)
	}
	return t
}()

// direction returns the unit vector of a heading.
func direction(heading uint8) (x, y float64) { return sines[heading+64], sines[heading] }

// headingOf returns the heading that is nearest to the direction of a vector.
func headingOf(x, y float64) uint8 {
	return uint8(int(math.Floor(math.Atan2(y, x)*128/math.Pi + 0.5)))
}

// bulk returns how big a koi has become, from 0 to 1.
func (b *body) bulk() float64 { return math.Sqrt(math.Min(1, float64(b.score)/fullGrown)) }

func (b *body) radius() float64 { return smallest + growth*b.bulk() }

// darting reports whether b darts, and would hurt a koi that it meets.
func (m *motion) darting(b *body) bool { return b.dart > m.dartLast }

// advance moves b by one tick.
func (m *motion) advance(b *body, s steering) {
	if b.daze > 0 {
		b.daze--
		s = steering{dir: b.heading}
	}
	turn := int(int8(s.dir - b.heading)) // the shorter way round
	b.heading += uint8(min(max(turn, -m.turn), m.turn))
	cos, sin := direction(b.heading)

	if b.dart > 0 {
		b.dart--
	} else if s.dart {
		b.dart = m.dartFirst
		b.vx, b.vy = dartSpeed*cos, dartSpeed*sin
	}

	along := b.vx*cos + b.vy*sin
	across := b.vy*cos - b.vx*sin
	wanted := (topSpeed - bulkSpeed*b.bulk()) * float64(s.throttle) / 255
	along += (wanted - along) * push * m.dt
	across -= across * slip * m.dt
	b.vx = along*cos - across*sin
	b.vy = along*sin + across*cos

	b.x += b.vx * m.dt
	b.y += b.vy * m.dt
	b.stayInside()
	b.settle()
}

// stayInside keeps b in the pond.
func (b *body) stayInside() {
	limit := pondRadius - b.radius()
	d := math.Sqrt(b.x*b.x + b.y*b.y)
	if d <= limit {
		return
	}
	nx, ny := b.x/d, b.y/d
	b.x, b.y = nx*limit, ny*limit
	if out := b.vx*nx + b.vy*ny; out > 0 {
		b.vx -= (1 + bounce) * out * nx
		b.vy -= (1 + bounce) * out * ny
	}
}

// settle rounds b to the numbers on the wire. Speeds are rounded towards zero, so
// that a koi without input comes to rest.
func (b *body) settle() {
	b.x, b.y = roundPosition(b.x), roundPosition(b.y)
	b.vx, b.vy = roundSpeed(b.vx), roundSpeed(b.vy)
}

func roundPosition(v float64) float64 {
	return math.Floor(math.Min(math.Max(v, -maxPosition), maxPosition)*16+0.5) / 16
}

func roundSpeed(v float64) float64 {
	return math.Trunc(math.Min(math.Max(v, -maxSpeed), maxSpeed)*16) / 16
}
