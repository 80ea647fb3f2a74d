package main

import (
	"math"
	"math/rand/v2"
)

// brain plays for a bot. It sees what a page sees, and decides what to do about
// ten times a second. It knows no connection, and belongs to one goroutine at a
// time.
type brain struct {
	rng    *rand.Rand
	taste  uint32  // makes some regions look nicer than others, and not the same to all
	moody  int     // decisions before it changes its taste
	bold   float64 // how likely it is to attack, of 1
	effort float64 // how fast it swims, of 1
	rest   int     // decisions before it thinks of attacking again
}

func newBrain(seed uint64) *brain {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &brain{
		rng: rng, bold: rng.Float64(),
		effort: 0.65 + 0.3*rng.Float64(), rest: 20,
	}
}

const (
	sight = 260 // how far a bot looks for victims
	alarm = 240 // how near an attacker has to be for a bot to mind
)

// decide says what the koi me does next.
func (b *brain) decide(m *motion, s *snapshot, me *koiState) steering {
	b.rest = max(0, b.rest-1)
	if b.moody--; b.moody < 0 {
		b.taste, b.moody = b.rng.Uint32(), 60+b.rng.IntN(120)
	}
	throttle := uint8(255 * b.effort)
	if dir, ok := b.flee(m, s, me); ok {
		return steering{dir: dir, throttle: 255}
	}
	if victim := b.victim(s, me); victim != nil {
		// Aim at where it will be.
		ahead := math.Hypot(victim.x-me.x, victim.y-me.y) / dartSpeed
		dir := headingOf(victim.x+victim.vx*ahead-me.x, victim.y+victim.vy*ahead-me.y)
		if off := int8(dir - me.heading); off > -8 && off < 8 {
			b.rest = 25 + b.rng.IntN(60)
			return steering{dir: dir, throttle: 255, dart: true}
		}
		return steering{dir: dir, throttle: throttle}
	}
	if dir, ok := b.forage(s, me); ok {
		return steering{dir: dir, throttle: throttle}
	}
	// Nothing to do: a stroll, which leads away from the bank.
	dir := me.heading + uint8(b.rng.IntN(25)) - 12
	if math.Hypot(me.x, me.y) > 0.85*pondRadius {
		dir = headingOf(-me.x, -me.y)
	}
	return steering{dir: dir, throttle: throttle / 2}
}

// flee turns aside from who darts this way. Not every bot sees it coming.
func (b *brain) flee(m *motion, s *snapshot, me *koiState) (dir uint8, ok bool) {
	for i := range s.koi {
		k := &s.koi[i]
		dx, dy := me.x-k.x, me.y-k.y
		if k.id == me.id || !m.darting(&k.body) || dx*dx+dy*dy > alarm*alarm || b.rng.Float64() < 0.5 {
			continue
		}
		off := int8(headingOf(dx, dy) - headingOf(k.vx, k.vy))
		if off < -20 || off > 20 {
			continue
		}
		if off > 0 {
			return headingOf(k.vx, k.vy) + 64, true
		}
		return headingOf(k.vx, k.vy) - 64, true
	}
	return 0, false
}

// victim returns whom to attack: the richest in sight, and now and then only.
func (b *brain) victim(s *snapshot, me *koiState) (best *koiState) {
	if b.rest > 0 || me.dart > 0 || me.daze > 0 {
		return nil
	}
	if b.rng.Float64() > b.bold {
		b.rest = 10
		return nil
	}
	for i := range s.koi {
		k := &s.koi[i]
		dx, dy := k.x-me.x, k.y-me.y
		if k.id == me.id || k.shield || k.daze > 0 || k.score < 4 || dx*dx+dy*dy > sight*sight {
			continue
		}
		if off := int8(headingOf(dx, dy) - me.heading); off < -40 || off > 40 {
			continue
		}
		if best == nil || k.score > best.score {
			best = k
		}
	}
	return best
}

// forage returns the way to the crumb that is worth most for the way to it.
func (b *brain) forage(s *snapshot, me *koiState) (dir uint8, ok bool) {
	best := 0.0
	for _, c := range s.crumbs {
		x, y := c.at()
		dx, dy := x-me.x, y-me.y
		d := math.Sqrt(dx*dx + dy*dy)
		taste := (uint32(c.x)<<8|uint32(c.y))*2654435761 ^ b.taste
		nice := 0.5 + float64(taste>>16&255)/256
		// What lies in a tighter curve than it can swim, it would go round forever.
		if off := int8(headingOf(dx, dy) - me.heading); d < 90 && (off < -50 || off > 50) {
			continue
		}
		if worth := nice * float64(c.value) / (d + 60); worth > best {
			best, dir, ok = worth, headingOf(dx, dy), true
		}
	}
	return dir, ok
}
