package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// emptyWorld returns a world without koi and crumbs, in which no crumbs appear.
func emptyWorld(rate int) *world {
	w := newWorld(rate, 1)
	w.crumbs = nil
	w.sowing = math.Inf(-1)
	return w
}

// put puts a koi somewhere, that has been there for a while.
func (w *world) put(x, y float64, score uint16) *koi {
	k := w.koi[w.join(join{name: "x"})]
	k.body = body{x: x, y: y, score: score}
	k.shield = 0
	return k
}

// play has brains play for some seconds, and calls check after each tick.
func play(w *world, bots int, seconds int, check func()) {
	brains := make(map[uint8]*brain)
	for i := range bots {
		id := w.join(join{koi: uint8(i % varieties), bot: true, name: botName(i)})
		brains[id] = newBrain(uint64(i))
	}
	var s snapshot
	for range seconds * w.rate {
		w.snapshot(&s)
		for i := range s.koi {
			k := &s.koi[i]
			if brains[k.id] != nil && (s.tick+uint32(k.id))%3 == 0 {
				w.steer(k.id, steer{k.ack + 1, brains[k.id].decide(&w.motion, &s, k)})
			}
		}
		w.step()
		check()
	}
}

// The same seed and the same inputs make the same world, and another seed another.
func TestDeterministic(t *testing.T) {
	history := func(seed uint64) []byte {
		w := newWorld(30, seed)
		var s snapshot
		var all []byte
		play(w, 40, 10, func() {
			if w.tick%50 == 0 {
				w.leave(w.roster()[3].id)
				w.join(join{name: "late"})
			}
			w.snapshot(&s)
			all = s.append(all)
		})
		return all
	}
	a, b, c := history(5), history(5), history(6)
	if !bytes.Equal(a, b) {
		t.Error("it does not repeat")
	}
	if bytes.Equal(a, c) {
		t.Error("the seed does not matter")
	}
}

// Invariants of a full pond.
func TestInvariants(t *testing.T) {
	w := newWorld(20, 9)
	var s snapshot
	var buf []byte
	hits, largest := 0, 0
	dazed := make(map[uint8]bool)
	play(w, 200, 30, func() {
		for _, k := range w.koi {
			if k == nil {
				continue
			}
			if math.Hypot(k.x, k.y) > pondRadius {
				t.Fatalf("tick %d: koi %d is on the bank", w.tick, k.id)
			}
			if !dazed[k.id] && k.daze > 0 {
				hits++
			}
			dazed[k.id] = k.daze > 0
		}
		if len(w.crumbs) > maxCrumbs {
			t.Fatalf("tick %d: %d crumbs", w.tick, len(w.crumbs))
		}
		w.snapshot(&s)
		buf = s.append(buf[:0])
		largest = max(largest, len(buf))
	})
	var fed int
	for _, k := range w.koi {
		if k != nil && k.score > 0 {
			fed++
		}
	}
	if hits < 50 || fed < 150 {
		t.Errorf("%d hits, and %d of 200 have eaten: the bots do not play", hits, fed)
	}
	// Bots do not all go where the fight is.
	near := 0
	for i := range s.koi {
		for j := range s.koi[:i] {
			if math.Hypot(s.koi[i].x-s.koi[j].x, s.koi[i].y-s.koi[j].y) < 200 {
				near++
			}
		}
	}
	const even = 200 * 199 / 2 * 200.0 * 200 / (pondRadius * pondRadius)
	if float64(near) > 2*even {
		t.Errorf("%d pairs are near each other, of an even spread were %.0f", near, even)
	}
	if largest > 4<<10 {
		t.Errorf("a snapshot has %d bytes", largest)
	}
	t.Logf("%d hits, %d of 200 have eaten, snapshots have up to %d bytes, %d pairs near for %.0f", hits, fed, largest, near, even)
}

func TestEating(t *testing.T) {
	w := emptyWorld(30)
	near, far, dazed := w.put(6, 0, 0), w.put(50, 0, 0), w.put(-60, 0, 0)
	w.crumbs = []crumb{
		{128, 129, 7}, // in reach of the first
		{130, 128, 5}, // between the first two, nearer to the second
		{124, 128, 3}, // next to the one that is dazed
		{200, 128, 9}, // nobody is there
	}
	dazed.daze = 20
	w.step()
	if near.score != 7 || far.score != 5 || dazed.score != 0 {
		t.Errorf("the scores are %d, %d, %d, want 7, 5, 0", near.score, far.score, dazed.score)
	}
	if len(w.crumbs) != 2 || w.crumbs[0].value != 3 || w.crumbs[1].value != 9 {
		t.Errorf("what is left is %v", w.crumbs)
	}
	near.score = math.MaxUint16 - 2
	near.gain(10)
	if near.score != math.MaxUint16 {
		t.Errorf("the score has gone over to %d", near.score)
	}
}

// A koi that eats nothing gets smaller, at the same pace at each rate, and never
// has less than nothing.
func TestHunger(t *testing.T) {
	for _, rate := range []int{20, 60} {
		for _, score := range []uint16{0, 1, 100, math.MaxUint16} {
			w := emptyWorld(rate)
			k := w.put(0, 0, score)
			for range hungerTime * rate {
				w.step()
			}
			want := float64(score) / math.E
			if got := float64(k.score); math.Abs(got-want) > 1+want/50 {
				t.Errorf("rate %d: of %d are left %v, want %v", rate, score, got, want)
			}
		}
	}
}

// Two that meet push each other away, the lighter one more, and their momentum
// stays the same.
func TestCollision(t *testing.T) {
	w := emptyWorld(30)
	small, big := w.put(-20, 3, 0), w.put(20, -3, fullGrown)
	small.vx, big.vx, big.vy = 200, -100, 40
	mass := func(k *koi) float64 { return k.radius() * k.radius() }
	px := small.vx*mass(small) + big.vx*mass(big)
	py := small.vy*mass(small) + big.vy*mass(big)
	w.meet(small, big)

	if d := math.Hypot(small.x-big.x, small.y-big.y); math.Abs(d-small.radius()-big.radius()) > 0.2 {
		t.Errorf("they are %v apart, want %v", d, small.radius()+big.radius())
	}
	if small.x > -21 || big.x < 20.1 || small.x+20 > -(big.x-20) {
		t.Errorf("they are at %v and %v", small.x, big.x)
	}
	qx := small.vx*mass(small) + big.vx*mass(big)
	qy := small.vy*mass(small) + big.vy*mass(big)
	if math.Abs(px-qx) > 100 || math.Abs(py-qy) > 100 {
		t.Errorf("the momentum was %v, %v and is %v, %v", px, py, qx, qy)
	}
	if small.vx > 0 || small.daze > 0 || big.daze > 0 {
		t.Errorf("they have become %+v and %+v", small, big)
	}
	v := small.vx
	w.meet(small, big) // they touch, and part: nothing happens any more
	if small.vx != v {
		t.Error("they bounce again")
	}
}

// Two in the same place must not stay there.
func TestSamePlace(t *testing.T) {
	w := emptyWorld(30)
	a, b := w.put(5, 5, 0), w.put(5, 5, 0)
	w.step()
	if d := math.Hypot(a.x-b.x, a.y-b.y); d < 29 {
		t.Errorf("they are %v apart", d)
	}
}

func TestRobbing(t *testing.T) {
	for _, c := range []struct {
		name          string
		change        func(w *world, robber, victim *koi)
		robs, isRobed bool
	}{
		{"dart", func(*world, *koi, *koi) {}, false, true},
		{"no dart", func(_ *world, r, _ *koi) { r.dart = 0 }, false, false},
		{"dart that is over", func(w *world, r, _ *koi) { r.dart = w.dartLast }, false, false},
		{"slow dart", func(_ *world, r, _ *koi) { r.vx = ramSpeed - 10 }, false, false},
		{"dart away", func(_ *world, r, v *koi) { r.vx, v.vx = -700, -900 }, false, false},
		{"newcomer", func(_ *world, _, v *koi) { v.shield = 2 }, false, false},
		{"dazed already", func(_ *world, _, v *koi) { v.daze = 3 }, false, false},
		{"both dart", func(w *world, r, v *koi) { v.dart, v.vx = w.dartFirst, -700 }, false, false},
		{"other darts", func(w *world, r, v *koi) { r.dart, v.dart, v.vx = 0, w.dartFirst, -700 }, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := emptyWorld(30)
			robber, victim := w.put(-20, 0, 100), w.put(5, 0, 100)
			robber.vx, robber.dart = 700, w.dartFirst
			c.change(w, robber, victim)
			daze := victim.daze
			w.meet(robber, victim)
			const loss = 100/spillPart + spillLeast
			if got := victim.score == 100-loss && victim.daze == w.dazeFirst; got != c.isRobed {
				t.Errorf("the victim is %+v", victim.body)
			}
			if !c.isRobed && (victim.score < 100 || victim.daze != daze) {
				t.Errorf("the victim has lost something: %+v", victim.body)
			}
			if got := robber.score < 100 && robber.daze > 0; got != c.robs {
				t.Errorf("the robber is %+v", robber.body)
			}
			sum := int(robber.score) + int(victim.score)
			for _, c := range w.crumbs {
				sum += int(c.value)
			}
			if sum != 200 {
				t.Errorf("there are %d points, were 200", sum)
			}
		})
	}
}

// Nothing gets lost where there is no room for crumbs, or where they would be
// on the bank, and nobody has less than nothing.
func TestSpilling(t *testing.T) {
	for _, c := range []struct {
		name           string
		x              float64
		score          uint16
		crumbs         int
		spilt, toRober int
	}{
		{"some", 0, 40, 0, 40/spillPart + spillLeast, 0},
		{"little", 0, 1, 0, 1, 0},
		{"nothing", 0, 0, 0, 0, 0},
		{"by the bank", pondRadius - 20, 40, 0, 40/spillPart + spillLeast, 0},
		{"full", 0, 40, maxCrumbs, 0, 40/spillPart + spillLeast},
		{"more than crumbs can hold", 0, 60000, 0, spillCrumbs * 255, 60000/spillPart + spillLeast - spillCrumbs*255},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := emptyWorld(30)
			for i := range c.crumbs {
				w.crumbs = append(w.crumbs, crumb{uint8(i), 1, 1})
			}
			robber, victim := w.put(0, 500, 0), w.put(c.x, 0, c.score)
			w.rob(victim, robber)
			spilt := 0
			for _, cr := range w.crumbs[c.crumbs:] {
				x, y := cr.at()
				if cr.value == 0 || math.Hypot(x, y) > pondRadius-15 {
					t.Errorf("there is a crumb %v", cr)
				}
				spilt += int(cr.value)
			}
			if spilt > c.spilt || spilt < c.spilt-1020 || spilt+int(robber.score) != c.spilt+c.toRober {
				t.Errorf("%d are spilt and %d went to the robber, want %d and %d", spilt, robber.score, c.spilt, c.toRober)
			}
			if int(victim.score)+spilt+int(robber.score) != int(c.score) {
				t.Errorf("the victim has %d left", victim.score)
			}
		})
	}
}

func TestJoinAndLeave(t *testing.T) {
	w := emptyWorld(30)
	for i := range maxPlayers {
		if id := w.join(join{name: "x"}); int(id) != i+1 {
			t.Fatalf("koi %d has the id %d", i, id)
		}
	}
	if id := w.join(join{name: "x"}); id != 0 {
		t.Fatalf("a full pond has given the id %d", id)
	}
	w.koi[7].score = 20
	version := w.version
	w.leave(7)
	w.leave(3)
	if w.version == version || w.count != maxPlayers-2 || len(w.roster()) != maxPlayers-2 {
		t.Errorf("%d koi are left", w.count)
	}
	left := 0
	for _, c := range w.crumbs {
		left += int(c.value)
	}
	if left != 10 {
		t.Errorf("it has left %d of 20 behind", left)
	}
	// Ids go round: the lower one is next, since the last one was the highest.
	if a, b := w.join(join{name: "y"}), w.join(join{name: "z"}); a != 3 || b != 7 {
		t.Errorf("the new ones have the ids %d and %d", a, b)
	}
	w.leave(7)
	if id := w.join(join{name: "y"}); id != 7 {
		t.Errorf("the only free id is 7, not %d", id)
	}
}

// Newcomers get room, and cannot be robbed at first.
func TestNewcomer(t *testing.T) {
	w := emptyWorld(30)
	w.put(0, 0, 0)
	for range 50 {
		k := w.koi[w.join(join{name: "x"})]
		if d := math.Hypot(k.x, k.y); d < 100 || d > pondRadius {
			t.Errorf("a newcomer is %v from the only other koi", d)
		}
		if k.shield == 0 {
			t.Error("a newcomer has no shield")
		}
		w.leave(k.id)
	}
	k := w.koi[w.join(join{name: "x"})]
	for range int(shieldTime*30) - 1 {
		w.step()
	}
	if k.shield == 0 {
		t.Error("the shield was too short")
	}
	w.step()
	if k.shield != 0 {
		t.Error("the shield is too long")
	}
}

// One input per tick takes effect, in order, and the number of the last one is
// told.
func TestInputs(t *testing.T) {
	w := emptyWorld(30)
	k := w.put(0, 0, 0)
	add := func(seqs ...uint8) {
		for _, seq := range seqs {
			w.steer(k.id, steer{seq, steering{dir: seq, throttle: seq, dart: seq == 41}})
		}
	}
	expect := func(ack, throttle uint8) {
		t.Helper()
		w.step()
		if k.ack != ack || k.last.throttle != throttle {
			t.Errorf("the last input was %d, throttle %d, want %d, %d", k.ack, k.last.throttle, ack, throttle)
		}
	}
	expect(0, 0) // there was none
	add(1, 2, 3)
	expect(1, 1)
	expect(2, 2)
	expect(3, 3)
	expect(3, 3) // it holds
	add(255, 0, 1)
	expect(255, 255)
	expect(0, 0)
	expect(1, 1)
	add(40, 41, 42, 43, 44, 45) // too many: the latest two are kept, and the dart
	expect(44, 44)
	if k.dart == 0 {
		t.Error("a dart was lost")
	}
	expect(45, 45)
	for range inputTimeout * w.rate {
		w.step()
	}
	expect(45, 0) // whoever says nothing any more drifts
	add(46)
	expect(46, 46) // and is there again with the first word
	expect(46, 46)
}

// Crumbs appear until there are enough.
func TestSowing(t *testing.T) {
	w := newWorld(60, 3)
	w.crumbs = w.crumbs[:10]
	for range 60 {
		w.step()
	}
	if n := len(w.crumbs); n < 10+sowRate-5 || n > 10+sowRate+1 {
		t.Errorf("after a second there are %d crumbs", n)
	}
	for range 600 {
		w.step()
	}
	treats := 0
	for _, c := range w.crumbs {
		x, y := c.at()
		if math.Hypot(x, y) > pondRadius-15 {
			t.Errorf("a crumb is on the bank: %v", c)
		}
		if c.value == treatValue {
			treats++
		}
	}
	if len(w.crumbs) != crumbsLeast || treats == 0 || treats > crumbsLeast/3 {
		t.Errorf("there are %d crumbs, %d of them treats", len(w.crumbs), treats)
	}
}

// No two crumbs are in the same field: pages tell them apart by that.
func TestFields(t *testing.T) {
	w := emptyWorld(30)
	rng := rand.New(rand.NewPCG(1, 1))
	dropped := 0
	for range 200 {
		if w.drop(rng.Float64()*100, rng.Float64()*100, 1) {
			dropped++
		}
	}
	seen := make(map[[2]uint8]bool)
	for _, c := range w.crumbs {
		seen[[2]uint8{c.x, c.y}] = true
	}
	if len(seen) != dropped || len(w.crumbs) != dropped || dropped > 64 {
		t.Errorf("%d crumbs in %d fields", len(w.crumbs), len(seen))
	}
}
