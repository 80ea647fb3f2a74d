package main

import (
	"bytes"
	"math"
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
