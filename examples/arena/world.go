package main

import (
	"math"
	"math/rand/v2"
)

// The rules of the game.
const (
	mouth      = 12  // how far from its rim a koi can eat
	ramSpeed   = 150 // a dart slower than this hurts nobody
	recoil     = 0.6 // the part of the speed that two koi that meet give back
	shieldTime = 2.5 // seconds for which a newcomer cannot be robbed

	hungerTime = 80 // seconds in which a koi that eats nothing loses most of its score

	spillPart   = 4   // a koi that is rammed loses one part of so many of its score,
	spillLeast  = 2   // and this much more
	spillCrumbs = 8   // into so many crumbs
	spillNear   = 25  // that fall so far from its rim,
	spillFar    = 120 // or so far

	crumbsLeast = 100 // that there are in an empty pond; half as many more as there are koi
	sowRate     = 60  // crumbs per second that appear when there are too few
	treatOneIn  = 12  // of them is worth more
	treatValue  = 5

	maxInputs    = 4 // inputs that may wait; of more the latest two are kept
	inputTimeout = 1 // seconds without input after which a koi lets itself drift
)

// world is the pond and everything in it. It belongs to the goroutine that runs the
// game. It knows no connection, clock or goroutine: the same seed and the same calls
// in the same order give the same world.
type world struct {
	motion
	rng     *rand.Rand
	tick    uint32
	koi     [maxPlayers + 1]*koi // by id
	count   int
	lastID  uint8
	crumbs  []crumb
	sowing  float64 // the part of a crumb that is due
	version int     // of the roster; changes with it
}

// koi is a player in the pond.
type koi struct {
	person
	body
	shield  int      // ticks
	hunger  float64  // the part of a point that is due
	inputs  []steer  // that wait for their ticks
	last    steering // what it did in the tick before
	ack     uint8    // sequence number of the last input that took effect
	noInput int      // ticks since there was an input
}

func newWorld(rate int, seed uint64) *world {
	w := &world{motion: newMotion(rate), rng: rand.New(rand.NewPCG(seed, 0))}
	for range crumbsLeast {
		w.sow()
	}
	return w
}

// join puts a new koi into the pond and returns its id, or 0 when there is no
// room. Ids are reused as late as possible, so that no page mistakes a new koi for
// one that has left.
func (w *world) join(j join) uint8 {
	if w.count == maxPlayers {
		return 0
	}
	id := w.lastID
	for {
		if id++; id > maxPlayers {
			id = 1
		}
		if w.koi[id] == nil {
			break
		}
	}
	k := &koi{person: person{id, j.koi, j.bot, j.name}, shield: int(shieldTime * float64(w.rate))}
	k.x, k.y = w.freePlace()
	k.heading = headingOf(-k.x, -k.y)
	k.last.dir = k.heading
	k.settle()
	w.koi[id], w.lastID = k, id
	w.count++
	w.version++
	return id
}

// freePlace returns, of some places, the one that is furthest from everybody.
func (w *world) freePlace() (x, y float64) {
	best := -1.0
	for range 10 {
		px, py := w.place(0.8 * pondRadius)
		room := math.Inf(1)
		for _, k := range w.koi {
			if k != nil {
				room = min(room, math.Hypot(k.x-px, k.y-py))
			}
		}
		if room > best {
			best, x, y = room, px, py
		}
	}
	return x, y
}

// place returns a place that is at most radius from the middle.
func (w *world) place(radius float64) (x, y float64) {
	r := radius * math.Sqrt(w.rng.Float64())
	sin, cos := math.Sincos(w.rng.Float64() * 2 * math.Pi)
	return r * cos, r * sin
}

// leave takes a koi out of the pond. Half of what it has eaten stays.
func (w *world) leave(id uint8) {
	k := w.koi[id]
	w.spill(k, int(k.score)/2)
	w.koi[id] = nil
	w.count--
	w.version++
}

// steer adds an input, which takes effect in one of the next ticks.
func (w *world) steer(id uint8, s steer) {
	w.koi[id].inputs = append(w.koi[id].inputs, s)
}

// next returns the input of k for this tick: the first one that waits. A network
// delivers inputs unevenly. When none waits, the last input is used a little longer.
// When many wait, all but the last two are skipped, since k would lag behind forever.
func (w *world) next(k *koi) steering {
	if len(k.inputs) == 0 {
		k.last.dart = false
		if k.noInput++; k.noInput > inputTimeout*w.rate {
			k.last.throttle = 0
		}
		return k.last
	}
	k.noInput = 0
	dart := false
	if n := len(k.inputs); n > maxInputs {
		for _, s := range k.inputs[:n-2] {
			dart = dart || s.dart
		}
		k.inputs = append(k.inputs[:0], k.inputs[n-2:]...)
	}
	k.last, k.ack = k.inputs[0].steering, k.inputs[0].seq
	k.last.dart = k.last.dart || dart // a press of the button is not lost
	k.inputs = append(k.inputs[:0], k.inputs[1:]...)
	return k.last
}

// step moves the world on by one tick.
func (w *world) step() {
	w.tick++
	for _, k := range w.koi {
		if k != nil {
			k.shield = max(0, k.shield-1)
			w.advance(&k.body, w.next(k))
			k.starve(w.dt)
		}
	}
	for i, a := range w.koi {
		for _, b := range w.koi[i+1:] {
			if a != nil && b != nil {
				w.meet(a, b)
			}
		}
	}
	w.eat()
	w.sowing += sowRate * w.dt
	for ; w.sowing >= 1; w.sowing-- {
		if len(w.crumbs) < crumbsLeast+w.count/2 {
			w.sow()
		}
	}
}

// starve lowers the score of k, the faster the bigger k is. So newcomers can catch
// up with every koi within minutes.
func (k *koi) starve(seconds float64) {
	k.hunger += float64(k.score) * seconds / hungerTime
	due := min(int(k.hunger), int(k.score))
	k.hunger -= float64(due)
	k.score -= uint16(due)
}

// meet handles two koi that may touch: they push each other away, and a koi that
// darts into the other one robs it.
func (w *world) meet(a, b *koi) {
	dx, dy := b.x-a.x, b.y-a.y
	ra, rb := a.radius(), b.radius()
	if dx*dx+dy*dy >= (ra+rb)*(ra+rb) {
		return
	}
	d := math.Sqrt(dx*dx + dy*dy)
	nx, ny := 1.0, 0.0
	if d > 0 {
		nx, ny = dx/d, dy/d
	}
	// The heavier one gives way less.
	shareA := rb * rb / (ra*ra + rb*rb)
	shareB := 1 - shareA
	apart := ra + rb - d
	a.x, a.y = a.x-nx*apart*shareA, a.y-ny*apart*shareA
	b.x, b.y = b.x+nx*apart*shareB, b.y+ny*apart*shareB

	towardsB, towardsA := a.vx*nx+a.vy*ny, -(b.vx*nx + b.vy*ny)
	if closing := towardsB + towardsA; closing > 0 {
		aRams := w.darting(&a.body) && towardsB > ramSpeed
		bRams := w.darting(&b.body) && towardsA > ramSpeed
		kick := (1 + recoil) * closing
		a.vx, a.vy = a.vx-nx*kick*shareA, a.vy-ny*kick*shareA
		b.vx, b.vy = b.vx+nx*kick*shareB, b.vy+ny*kick*shareB
		if aRams && !bRams {
			w.rob(b, a)
		} else if bRams && !aRams {
			w.rob(a, b)
		}
	}
	for _, k := range []*koi{a, b} {
		k.stayInside()
		k.settle()
	}
}

// rob dazes a koi and spills a part of its score. The robber gets the points for
// which the pond has no room.
func (w *world) rob(from, by *koi) {
	if from.shield > 0 || from.daze > 0 {
		return
	}
	from.daze = w.dazeFirst
	loss := min(int(from.score), int(from.score)/spillPart+spillLeast)
	from.score -= uint16(loss)
	by.gain(loss - w.spill(from, loss))
}

// spill turns n points into crumbs around k, and returns how many it could.
func (w *world) spill(k *koi, n int) (spilt int) {
	crumbs := min(n, spillCrumbs, maxCrumbs-len(w.crumbs))
	for i := range crumbs {
		value := min(255, (n-spilt)/(crumbs-i))
		sin, cos := math.Sincos(w.rng.Float64() * 2 * math.Pi)
		r := k.radius() + spillNear + w.rng.Float64()*(spillFar-spillNear)
		if w.drop(k.x+r*cos, k.y+r*sin, value) {
			spilt += value
		}
	}
	return spilt
}

// sow lets a crumb appear somewhere.
func (w *world) sow() {
	value := 1
	if w.rng.IntN(treatOneIn) == 0 {
		value = treatValue
	}
	x, y := w.place(pondRadius - 40)
	w.drop(x, y, value)
}

// drop puts a crumb into the field at a place, or into one nearer to the middle if
// the place is on the bank, and reports whether there was room.
func (w *world) drop(x, y float64, value int) bool {
	const most = pondRadius - 30
	if d := math.Hypot(x, y); d > most {
		x, y = x/d*most, y/d*most
	}
	c := crumb{uint8(math.Floor(x/16+0.5) + 128), uint8(math.Floor(y/16+0.5) + 128), uint8(value)}
	for _, other := range w.crumbs {
		if other.x == c.x && other.y == c.y {
			return false
		}
	}
	w.crumbs = append(w.crumbs, c)
	return true
}

// eat gives each crumb within reach of a koi to the nearest koi.
func (w *world) eat() {
	kept := w.crumbs[:0]
	for _, c := range w.crumbs {
		x, y := c.at()
		var eater *koi
		nearest := math.Inf(1)
		for _, k := range w.koi {
			if k == nil || k.daze > 0 {
				continue
			}
			dx, dy := k.x-x, k.y-y
			reach := k.radius() + mouth
			if d := dx*dx + dy*dy; d < reach*reach && d < nearest {
				eater, nearest = k, d
			}
		}
		if eater == nil {
			kept = append(kept, c)
		} else {
			eater.gain(int(c.value))
		}
	}
	w.crumbs = kept
}

func (k *koi) gain(n int) { k.score = uint16(min(math.MaxUint16, int(k.score)+n)) }

// snapshot writes the state of the world into s, whose slices are used again.
func (w *world) snapshot(s *snapshot) {
	s.tick, s.koi, s.crumbs = w.tick, s.koi[:0], append(s.crumbs[:0], w.crumbs...)
	for _, k := range w.koi {
		if k != nil {
			s.koi = append(s.koi, koiState{k.id, k.body, k.shield > 0, k.ack})
		}
	}
}

// roster lists the players in the pond.
func (w *world) roster() roster {
	r := make(roster, 0, w.count)
	for _, k := range w.koi {
		if k != nil {
			r = append(r, k.person)
		}
	}
	return r
}
