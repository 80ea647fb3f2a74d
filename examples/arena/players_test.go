package main

import (
	"math"
	"testing"
)

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

// One input per tick takes effect, in order, and snapshots have the number of the last
// one.
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
	expect(45, 0) // without input it drifts
	add(46)
	expect(46, 46) // and is there again with the first word
	expect(46, 46)
}
