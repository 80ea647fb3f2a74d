package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// testLimits are small, so that a test can reach them.
var testLimits = limits{
	name: 10, room: 8, text: 20,
	rooms: 3, people: 3, history: 4, seen: 6, queue: 100,
	rate: 5, burst: 20, strikes: 10,
	forget: time.Hour,
}

// event is anything that the server sends.
type event struct {
	Type    string
	Room    string
	You     string
	People  []someone
	History []message
	Rooms   []roomInfo
	Limits  lengths
	Seq     int
	ID      string
	From    string
	Name    string
	Was     string
	Text    string
	At      int64
	On      bool
	T       float64
	RTT     float64
	Code    string
	Wait    int64
}

func decodeEvent(t *testing.T, data []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return e
}

// visitor is somebody without a connection: what the hub has for them stays in
// their queue, where the test finds it.
type visitor struct {
	t *testing.T
	h *hub
	*client
}

func newVisitor(t *testing.T, h *hub) *visitor {
	return &visitor{t, h, newClient(context.Background(), h.limits.queue)}
}

// key returns a key that belongs to that name.
func key(name string) string { return "the secret key of " + name }

func (v *visitor) join(room, name string) error { return v.h.join(v.client, key(name), room, name) }

// enter joins and returns the welcome.
func (v *visitor) enter(room, name string) event {
	v.t.Helper()
	if err := v.join(room, name); err != nil {
		v.t.Fatalf("%s joins %s: %v", name, room, err)
	}
	return v.expect("welcome")
}

func (v *visitor) say(id, text string) error { return v.h.say(v.client, id, text) }

// expect takes the next event from the queue, which has to be of that type. The
// lists of rooms, which come at a time of their own, are passed over.
func (v *visitor) expect(typ string) event {
	v.t.Helper()
	for {
		select {
		case data := <-v.out:
			e := decodeEvent(v.t, data)
			if e.Type == typ {
				return e
			}
			if e.Type != "rooms" {
				v.t.Fatalf("got %s instead of %s", data, typ)
			}
		default:
			v.t.Fatalf("there is no %s", typ)
		}
	}
}

// expectNothing checks that the queue is empty but for lists of rooms.
func (v *visitor) expectNothing() {
	v.t.Helper()
	for len(v.out) > 0 {
		if data := <-v.out; decodeEvent(v.t, data).Type != "rooms" {
			v.t.Fatalf("got %s", data)
		}
	}
}

// refused checks that err is a refusal with that code.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, not a refusal with %s", err, code)
	}
}

func TestPresence(t *testing.T) {
	h := newHub(testLimits)
	ada, bo := newVisitor(t, h), newVisitor(t, h)

	w := ada.enter(lobby, "Ada")
	if w.Room != lobby || w.Name != "Ada" || w.History == nil || len(w.History) != 0 {
		t.Errorf("welcome is %+v", w)
	}
	if want := (lengths{Name: 10, Room: 8, Text: 20}); w.Limits != want {
		t.Errorf("limits are %+v, want %+v", w.Limits, want)
	}
	ada.expectNothing() // nobody hears of their own arrival

	w2 := bo.enter(lobby, "Bo")
	if want := []someone{{w.You, "Ada"}, {w2.You, "Bo"}}; !reflect.DeepEqual(w2.People, want) {
		t.Errorf("people are %v, want %v", w2.People, want)
	}
	if e := ada.expect("joined"); e.Name != "Bo" || e.From != w2.You {
		t.Errorf("joined is %+v", e)
	}

	h.leave(bo.client)
	if e := ada.expect("left"); e.Name != "Bo" || e.From != w2.You {
		t.Errorf("left is %+v", e)
	}
	h.leave(bo.client) // once more is no harm
	ada.expectNothing()
	refused(t, bo.say("1", "hello?"), "not-joined")
}

func TestKeyStaysSecret(t *testing.T) {
	h := newHub(testLimits)
	ada, bo := newVisitor(t, h), newVisitor(t, h)
	bo.enter(lobby, "Bo")
	id := ada.enter(lobby, "Ada").You
	ada.say("1", "hello")
	ada.expect("ack")
	for len(bo.out) > 0 {
		if data := <-bo.out; strings.Contains(string(data), "secret") {
			t.Errorf("the key is in %s", data)
		}
	}
	h.leave(ada.client)
	if again := ada.enter(lobby, "Ada").You; again != id {
		t.Errorf("the same key got the ids %s and %s", id, again)
	}
	if other := newVisitor(t, h).enter(lobby, "Al").You; other == id {
		t.Error("different keys got the same id")
	}
}

// A person with two connections is one person, and gets everything on both.
func TestPersonWithTwoConnections(t *testing.T) {
	h := newHub(testLimits)
	bo, one, two := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
	bo.enter(lobby, "Bo")
	one.enter(lobby, "Ada")
	bo.expect("joined")
	if w := two.enter(lobby, "Ada"); w.Name != "Ada" || len(w.People) != 2 {
		t.Errorf("welcome is %+v", w)
	}
	bo.expectNothing()

	one.say("1", "hello")
	one.expect("ack")
	two.expect("message")
	bo.expect("message")
	h.typing(one.client, true)
	bo.expect("typing")
	two.expectNothing() // one does not watch oneself typing

	h.leave(one.client)
	bo.expectNothing()
	h.leave(two.client)
	bo.expect("left")
}

func TestNames(t *testing.T) {
	h := newHub(testLimits)
	ada, other, bo := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
	ada.enter(lobby, "Ada")
	if err := h.join(other.client, key("other"), lobby, "  aDA "); err != nil {
		t.Fatal(err)
	}
	if w := other.expect("welcome"); w.Name != "aDA 2" {
		t.Errorf("the second Ada is %q", w.Name)
	}
	bo.enter(lobby, "Bo")

	if err := h.rename(other.client, "Countess of Lovelace"); err == nil {
		t.Error("a name that is too long was accepted")
	}
	if err := h.rename(other.client, "Countess X"); err != nil {
		t.Fatal(err)
	}
	if e := bo.expect("renamed"); e.Name != "Countess X" || e.Was != "aDA 2" {
		t.Errorf("renamed is %+v", e)
	}
	h.rename(other.client, "Countess X")
	bo.expectNothing()
	h.rename(bo.client, "countess x") // with the number it has to be shorter
	if e := bo.expect("renamed"); e.Name != "countess 2" {
		t.Errorf("the second Countess X is %q", e.Name)
	}
}

func TestHistory(t *testing.T) {
	h := newHub(testLimits)
	ada := newVisitor(t, h)
	ada.enter(lobby, "Ada")
	for i := range 6 {
		if err := ada.say(fmt.Sprint(i), fmt.Sprint("text ", i)); err != nil {
			t.Fatal(err)
		}
		if e := ada.expect("ack"); e.ID != fmt.Sprint(i) || e.Seq != i+1 || e.At == 0 {
			t.Errorf("ack is %+v", e)
		}
	}
	got := newVisitor(t, h).enter(lobby, "Bo").History
	if len(got) != testLimits.history {
		t.Fatalf("history has %d messages", len(got))
	}
	for i, m := range got {
		if want := fmt.Sprint("text ", i+2); m.Text != want || m.Seq != i+3 || m.Name != "Ada" {
			t.Errorf("message %d of the history is %+v", i, m)
		}
	}
}

// Rooms do not hear each other, and keep their history while they are empty.
func TestRoomsAreApart(t *testing.T) {
	h := newHub(testLimits)
	ada, bo := newVisitor(t, h), newVisitor(t, h)
	ada.enter(lobby, "Ada")
	bo.enter("tea", "Bo")
	ada.say("1", "in the lobby")
	ada.expect("ack")
	bo.expectNothing()

	if w := ada.enter("TEA", "Ada"); w.Room != "tea" || len(w.History) != 0 || len(w.People) != 2 {
		t.Errorf("welcome is %+v", w)
	}
	bo.expect("joined")
	if w := bo.enter(lobby, "Bo"); len(w.History) != 1 || len(w.People) != 1 {
		t.Errorf("welcome is %+v", w)
	}
	ada.expect("left")
}

// Whoever misses an ack says the same again, and gets the ack again; the others
// hear it once.
func TestSaidTwice(t *testing.T) {
	h := newHub(testLimits)
	ada, bo := newVisitor(t, h), newVisitor(t, h)
	ada.enter(lobby, "Ada")
	bo.enter(lobby, "Bo")
	ada.expect("joined")

	ada.say("x", "once")
	first := ada.expect("ack")
	bo.expect("message")
	h.leave(ada.client)
	bo.expect("left")
	ada.enter(lobby, "Ada")
	bo.expect("joined")
	ada.say("x", "once")
	if again := ada.expect("ack"); !reflect.DeepEqual(again, first) {
		t.Errorf("acks are %+v and %+v", first, again)
	}
	bo.expectNothing()

	// Another person may use the same id.
	bo.say("x", "me too")
	if e := ada.expect("message"); e.Text != "me too" {
		t.Errorf("message is %+v", e)
	}
	bo.expect("ack")

	// What a room remembers is bounded.
	for i := range testLimits.seen {
		bo.say(fmt.Sprint(i), "text")
	}
	if r := h.rooms[lobby]; len(r.seen) != testLimits.seen || len(r.seenOrder) != testLimits.seen {
		t.Errorf("the room remembers %d and %d messages", len(r.seen), len(r.seenOrder))
	}
}

func TestTyping(t *testing.T) {
	h := newHub(testLimits)
	ada, bo := newVisitor(t, h), newVisitor(t, h)
	ada.enter(lobby, "Ada")
	id := bo.enter(lobby, "Bo").You
	ada.expect("joined")
	for _, on := range []bool{true, false} {
		h.typing(bo.client, on)
		if e := ada.expect("typing"); e.From != id || e.On != on {
			t.Errorf("typing is %+v", e)
		}
	}
	bo.expectNothing()
}

func TestBadInput(t *testing.T) {
	h := newHub(testLimits)
	ada := newVisitor(t, h)
	for _, test := range []struct{ key, room, name, code string }{
		{"short", lobby, "Ada", "bad-key"},
		{strings.Repeat("k", 65), lobby, "Ada", "bad-key"},
		{key("Ada"), "", "Ada", "bad-room"},
		{key("Ada"), "two words", "Ada", "bad-room"},
		{key("Ada"), "<b>", "Ada", "bad-room"},
		{key("Ada"), "ninechars", "Ada", "bad-room"},
		{key("Ada"), lobby, " \t ", "bad-name"},
		{key("Ada"), lobby, "Ada\u202e", "bad-name"},
		{key("Ada"), lobby, "A\x00da", "bad-name"},
		{key("Ada"), lobby, "elevenchars", "bad-name"},
	} {
		refused(t, h.join(ada.client, test.key, test.room, test.name), test.code)
	}
	refused(t, ada.say("1", "text"), "not-joined")
	refused(t, h.rename(ada.client, "Ada"), "not-joined")
	refused(t, h.typing(ada.client, true), "not-joined")

	ada.enter(lobby, "Ada")
	refused(t, ada.say("", "text"), "bad-id")
	refused(t, ada.say(strings.Repeat("i", 65), "text"), "bad-id")
	refused(t, ada.say("1", " \n\x00 "), "empty-text")
	refused(t, ada.say("1", strings.Repeat("é", 21)), "text-too-long")
	if err := ada.say("1", strings.Repeat("é", 20)); err != nil {
		t.Errorf("twenty characters were refused: %v", err)
	}
	if err := ada.say("2", "one\n\x1b[2Jtwo"); err != nil {
		t.Fatal(err)
	}
	ada.expect("ack")
	ada.expect("ack")
	ada.expectNothing()
	if got := h.rooms[lobby].history[1].Text; got != "one\n[2Jtwo" {
		t.Errorf("the text became %q", got)
	}
}

// A room that is full refuses, and whoever was refused stays where they were.
func TestFullRoom(t *testing.T) {
	h := newHub(testLimits)
	for i := range testLimits.people {
		newVisitor(t, h).enter("tea", fmt.Sprint("guest ", i))
	}
	ada := newVisitor(t, h)
	ada.enter(lobby, "Ada")
	refused(t, ada.join("tea", "Ada"), "room-full")
	if err := ada.say("1", "still here"); err != nil {
		t.Error(err)
	}
	ada.expect("ack")
}

func TestNumberOfRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(testLimits)
		ada, bo, guest := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
		ada.enter("a", "Ada")
		bo.enter("b", "Bo")
		refused(t, guest.join("c", "Guest"), "too-many-rooms")

		// The room that has been empty the longest gives way.
		ada.enter(lobby, "Ada")
		time.Sleep(time.Minute)
		bo.enter(lobby, "Bo")
		ada.expect("joined")
		guest.enter("c", "Guest")
		if h.rooms["a"] != nil || h.rooms["b"] == nil || h.rooms["c"] == nil {
			t.Error("the wrong room gave way")
		}

		// An empty room is forgotten after a while, the lobby never.
		for _, v := range []*visitor{ada, bo, guest} {
			h.leave(v.client)
		}
		bo.expect("left")
		time.Sleep(testLimits.forget + time.Minute)
		if w := newVisitor(t, h).enter(lobby, "Ada"); len(w.Rooms) != 1 || w.Rooms[0] != (roomInfo{lobby, 1}) {
			t.Errorf("rooms are %v", w.Rooms)
		}
	})
}

// Everyone learns of the rooms, wherever they are, and many changes at once are
// one list.
func TestRoomList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(testLimits)
		ada, bo, guest := newVisitor(t, h), newVisitor(t, h), newVisitor(t, h)
		ada.enter("b", "Ada")
		bo.enter("a", "Bo")
		guest.enter("b", "Guest")
		ada.expect("joined")
		time.Sleep(2 * listDelay)
		want := []roomInfo{{lobby, 0}, {"b", 2}, {"a", 1}}
		for _, v := range []*visitor{ada, bo, guest} {
			if got := v.expect("rooms").Rooms; !reflect.DeepEqual(got, want) {
				t.Errorf("rooms are %v, want %v", got, want)
			}
			if len(v.out) > 0 {
				t.Errorf("there is more: %s", <-v.out)
			}
		}
	})
}

// A client that nobody drains is dropped when its queue is full. It gets no
// message after the first that it has missed, and the others miss none.
func TestFullQueue(t *testing.T) {
	h := newHub(testLimits)
	slow := newVisitor(t, h)
	slow.enter(lobby, "Slow")
	ada := newVisitor(t, h)
	ada.enter(lobby, "Ada")
	slow.expect("joined")

	for i := range testLimits.queue + 1 {
		if slow.ctx.Err() != nil {
			t.Fatalf("dropped before message %d, with a queue for %d", i, testLimits.queue)
		}
		ada.say(fmt.Sprint(i), "text")
		ada.expect("ack")
	}
	if cause := context.Cause(slow.ctx); cause != errSlow {
		t.Fatalf("dropped because of %v", cause)
	}
	slow.expect("message") // makes room, but too late
	ada.say("late", "text")
	ada.expect("ack")
	for i := 1; i < testLimits.queue; i++ {
		if e := slow.expect("message"); e.Seq != i+1 {
			t.Fatalf("message %d comes after %d", e.Seq, i)
		}
	}
	slow.expectNothing()
	if ada.ctx.Err() != nil {
		t.Error("the author was dropped")
	}
}

func TestBucket(t *testing.T) {
	now := time.Now()
	b := newBucket(5, 3, now)
	for i := range 3 {
		if wait := b.take(now); wait != 0 {
			t.Fatalf("message %d has to wait %v", i, wait)
		}
	}
	wait := b.take(now)
	if wait != 200*time.Millisecond {
		t.Fatalf("the fourth has to wait %v", wait)
	}
	if wait := b.take(now.Add(wait - time.Millisecond)); wait == 0 {
		t.Error("it came too early and was accepted")
	}
	if wait := b.take(now.Add(wait)); wait != 0 {
		t.Errorf("it has waited, and has to wait another %v", wait)
	}
	now = now.Add(time.Hour) // no more than the burst is saved up
	for range 3 {
		b.take(now)
	}
	if b.take(now) == 0 {
		t.Error("four at once were accepted")
	}
}
