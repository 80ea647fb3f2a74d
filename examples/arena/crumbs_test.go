package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
