package main

import (
	"math"
	"math/rand/v2"
)

// brain plays for a bot. It gets the same snapshots as a page, and decides about ten
// times a second. It knows no connection, and belongs to one goroutine at a time.
type brain struct {
	rng      *rand.Rand
	bold     float64 // how likely it is to attack, of 1
	effort   float64 // how fast it swims, of 1
	restTime int     // decisions before it thinks of attacking again
}

func newBrain(seed uint64) *brain {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &brain{
		rng: rng, bold: rng.Float64(),
		effort: 0.65 + 0.3*rng.Float64(), restTime: 20,
	}
}

const (
	sight = 260 // how far a bot looks for victims
	alarm = 240 // how near an attacker has to be for a bot to mind
)

// decide returns the next action of the koi me.
func (b *brain) decide(m *motion, s *snapshot, me *koiState) steering {
	b.restTime = max(0, b.restTime-1)
	throttle := uint8(255 * b.effort)
	if dir, ok := b.flee(m, s, me); ok {
		return steering{dir: dir, throttle: 255}
	}
	if victim := b.victim(s, me); victim != nil {
		// Aim at where it will be.
		ahead := math.Hypot(victim.x-me.x, victim.y-me.y) / dartSpeed
		dir := headingOf(victim.x+victim.vx*ahead-me.x, victim.y+victim.vy*ahead-me.y)
		if off := int8(dir - me.heading); off > -8 && off < 8 {
			b.restTime = 25 + b.rng.IntN(60)
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

// flee turns aside from a koi that darts this way. Not every bot notices it.
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

// victim returns the koi to attack: the richest in sight, and only now and then.
func (b *brain) victim(s *snapshot, me *koiState) (best *koiState) {
	if b.restTime > 0 || me.dart > 0 || me.daze > 0 {
		return nil
	}
	if b.rng.Float64() > b.bold {
		b.restTime = 10
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

// forage returns the way to the crumb with the most value for its distance. It avoids
// crumbs with many rivals: or else all bots would end up in one place, since a fight
// there makes many crumbs.
func (b *brain) forage(s *snapshot, me *koiState) (dir uint8, ok bool) {
	var found [8]find // the best first
	n := 0
	for _, c := range s.crumbs {
		f := find{}
		f.x, f.y = c.at()
		dx, dy := f.x-me.x, f.y-me.y
		f.far = math.Sqrt(dx*dx + dy*dy)
		f.worth = math.Sqrt(float64(c.value)) / (f.far + 60)
		if n == len(found) && f.worth <= found[n-1].worth {
			continue
		}
		f.dir = headingOf(dx, dy)
		// A koi would circle forever around a crumb inside its tightest curve.
		if off := int8(f.dir - me.heading); f.far < 90 && (off < -50 || off > 50) {
			continue
		}
		i := min(n, len(found)-1)
		for ; i > 0 && found[i-1].worth < f.worth; i-- {
			found[i] = found[i-1]
		}
		found[i] = f
		n = min(n+1, len(found))
	}
	best := 0.0
	for _, f := range found[:n] {
		if worth := f.worth / math.Pow(1+float64(f.rivals(s, me.id)), 1.5); worth > best {
			best, dir, ok = worth, f.dir, true
		}
	}
	return dir, ok
}

// find is a crumb as a bot sees it.
type find struct {
	x, y, far, worth float64
	dir              uint8
}

// rivals returns how many others are nearer to it.
func (f *find) rivals(s *snapshot, me uint8) (n int) {
	for i := range s.koi {
		k := &s.koi[i]
		if dx, dy := k.x-f.x, k.y-f.y; dx*dx+dy*dy < f.far*f.far && k.id != me {
			n++
		}
	}
	return n
}
