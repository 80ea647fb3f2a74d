package chat

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestPresence(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		w := ada.join(lobby, "Ada")
		if w.Name != "Ada" || len(w.History) != 0 {
			t.Errorf("welcome is %+v", w)
		}
		if want := (limitsInfo{Name: 10, Room: 8, Text: 20, History: 4}); w.Limits != want {
			t.Errorf("limits are %+v, want %+v", w.Limits, want)
		}
		ada.silent() // nobody hears of their own arrival

		w2 := bo.join(lobby, "Bo")
		if want := []personInfo{{w.You, "Ada"}, {w2.You, "Bo"}}; !reflect.DeepEqual(w2.People, want) {
			t.Errorf("people are %v, want %v", w2.People, want)
		}
		if e := ada.follows("joined"); e.Room != lobby || e.Name != "Bo" || e.From != w2.You {
			t.Errorf("joined is %+v", e)
		}
		bo.silent()

		bo.leave()
		if e := ada.follows("left"); e.Room != lobby || e.Name != "Bo" || e.From != w2.You {
			t.Errorf("left is %+v", e)
		}
		ada.silent()
	})
}

func TestKeyStaysSecret(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		bo.join(lobby, "Bo")
		id := ada.join(lobby, "Ada").You
		ada.say("1", "hello")
		ada.expect("ack")
		for range 2 { // joined, message
			_, data, err := bo.conn.Read(t.Context())
			if err != nil || strings.Contains(string(data), "secret") {
				t.Errorf("the key is in %s, %v", data, err)
			}
		}
		ada.leave()
		if again := visit(t, s).join(lobby, "Ada").You; again != id {
			t.Errorf("the same key got the ids %s and %s", id, again)
		}
		if other := visit(t, s).join(lobby, "Al").You; other == id {
			t.Error("different keys got the same id")
		}
	})
}

// A person with two connections is one person, and gets everything on both.
func TestPersonWithTwoConnections(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		bo, one, two := visit(t, s), visit(t, s), visit(t, s)
		bo.join(lobby, "Bo")
		one.join(lobby, "Ada")
		bo.follows("joined")
		if w := two.join(lobby, "Ada"); w.Name != "Ada" || len(w.People) != 2 {
			t.Errorf("welcome is %+v", w)
		}
		bo.silent()
		one.silent()

		one.say("1", "hello")
		for _, p := range []*page{bo, one, two} {
			if e := p.follows("message"); e.Text != "hello" {
				t.Errorf("message is %+v", e)
			}
		}
		one.follows("ack")
		two.silent()

		one.leave()
		bo.silent()
		two.leave()
		bo.follows("left")
	})
}

func TestNames(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, other, bo := visit(t, s), visit(t, s), visit(t, s)
		ada.join(lobby, "Ada")
		if w := other.joinAs(key("other"), lobby, "  aDA "); w.Name != "aDA 2" {
			t.Errorf("the second Ada is %q", w.Name)
		}
		bo.join(lobby, "Bo")
		other.follows("joined")

		other.send(incoming{Type: "rename", Name: "Countess of Lovelace"})
		other.refused("bad-name")
		for range 2 { // the second time it is nothing new
			other.send(incoming{Type: "rename", Name: "Countess X"})
		}
		if e := bo.follows("renamed"); e.Name != "Countess X" || e.Was != "aDA 2" {
			t.Errorf("renamed is %+v", e)
		}
		other.follows("renamed")
		bo.silent()
		bo.send(incoming{Type: "rename", Name: "countess x"}) // with the number it has to be shorter
		if e := other.follows("renamed"); e.Name != "countess 2" {
			t.Errorf("the second Countess X is %q", e.Name)
		}
	})
}

func TestHistory(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada := visit(t, s)
		ada.join(lobby, "Ada")
		for i := range 6 {
			ada.say(fmt.Sprint(i), fmt.Sprint("text ", i))
			m := ada.follows("message")
			if e := ada.follows("ack"); e.ID != fmt.Sprint(i) || e.At == 0 || e.At != m.At {
				t.Errorf("ack is %+v", e)
			}
		}
		ada.send(incoming{Type: "typing", On: true}) // is no history
		got := visit(t, s).join(lobby, "Bo").History
		if len(got) != testLimits.history {
			t.Fatalf("history has %d messages", len(got))
		}
		for i, m := range got {
			if m.Text != fmt.Sprint("text ", i+2) || m.ID != fmt.Sprint(i+2) || m.Name != "Ada" {
				t.Errorf("message %d of the history is %+v", i, m)
			}
		}
	})
}

// Rooms do not hear each other, and keep their history while they are empty.
func TestRoomsAreApart(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		ada.join(lobby, "Ada")
		bo.join("tea", "Bo")
		ada.say("1", "in the lobby")
		ada.expect("ack")
		bo.silent()

		ada.send(incoming{Type: "join", Room: "TEA", Name: "Ada", Key: key("Ada")})
		if w := ada.follows("welcome"); w.Room != "tea" || len(w.People) != 2 {
			t.Errorf("welcome is %+v", w)
		}
		ada.follows("ready")
		bo.follows("joined")
		ada.say("2", "in tea")
		ada.expect("ack")
		if e := bo.follows("message"); e.Text != "in tea" || e.Room != "tea" {
			t.Errorf("message is %+v", e)
		}

		ada.leave()
		bo.leave()
		time.Sleep(testLimits.keepEmpty / 2)
		if w := visit(t, s).join(lobby, "Bo"); len(w.History) != 1 || len(w.People) != 1 {
			t.Errorf("welcome is %+v", w)
		}
	})
}

// A page that misses an ack sends the message again, and gets the ack again; the
// others get the message once.
func TestSaidTwice(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		bo.join(lobby, "Bo")
		ada.join(lobby, "Ada")
		bo.follows("joined")
		ada.say("x", "once")
		ada.follows("message")
		first := ada.follows("ack")
		bo.follows("message")
		ada.leave()
		bo.follows("left")

		time.Sleep(time.Second)
		ada = visit(t, s)
		ada.join(lobby, "Ada")
		bo.follows("joined")
		ada.say("x", "once")
		if again := ada.follows("ack"); !reflect.DeepEqual(again, first) {
			t.Errorf("acks are %+v and %+v", first, again)
		}
		bo.silent()

		// Another person may use the same id.
		bo.say("x", "me too")
		if e := ada.follows("message"); e.Text != "me too" {
			t.Errorf("message is %+v", e)
		}

		// The memory of a room is bounded.
		for i := range testLimits.recent {
			bo.say(fmt.Sprint(i), "text")
		}
		synctest.Wait()
		if n := len(s.rooms[lobby].recent); n != testLimits.recent {
			t.Errorf("the room remembers %d messages", n)
		}
	})
}

func TestTyping(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		ada.join(lobby, "Ada")
		id := bo.join(lobby, "Bo").You
		ada.follows("joined")
		for _, on := range []bool{true, false} {
			bo.send(incoming{Type: "typing", On: on})
			if e := ada.follows("typing"); e.From != id || e.On != on || e.Room != lobby {
				t.Errorf("typing is %+v", e)
			}
		}
	})
}

func TestBadInput(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada := visit(t, s)
		for _, test := range []struct{ key, room, name, code string }{
			{"short", lobby, "Ada", "bad-key"},
			{strings.Repeat("k", 65), lobby, "Ada", "bad-key"},
			{key("Ada"), "", "Ada", "bad-room"},
			{key("Ada"), "two words", "Ada", "bad-room"},
			{key("Ada"), "<b>", "Ada", "bad-room"},
			{key("Ada"), listTopic, "Ada", "bad-room"},
			{key("Ada"), typingTopic("tea"), "Ada", "bad-room"},
			{key("Ada"), "ninechars", "Ada", "bad-room"},
			{key("Ada"), lobby, " \t ", "bad-name"},
			{key("Ada"), lobby, "Ada\u202e", "bad-name"},
			{key("Ada"), lobby, "A\x00da", "bad-name"},
			{key("Ada"), lobby, "elevenchars", "bad-name"},
		} {
			ada.send(incoming{Type: "join", Key: test.key, Room: test.room, Name: test.name})
			ada.refused(test.code)
		}
		for _, in := range []incoming{{Type: "say", ID: "1", Text: "text"}, {Type: "rename", Name: "Ada"}, {Type: "typing"}} {
			ada.send(in)
			ada.refused("not-joined")
		}

		ada.join(lobby, "Ada")
		for _, test := range []struct{ id, text, code string }{
			{"", "text", "bad-id"},
			{strings.Repeat("i", 65), "text", "bad-id"},
			{"1", " \n\x00 ", "empty-text"},
			{"1", strings.Repeat("é", 21), "text-too-long"},
		} {
			ada.say(test.id, test.text)
			if e := ada.refused(test.code); e.ID != test.id && len(test.id) <= 64 {
				t.Errorf("%s is about %q, not %q", e.Code, e.ID, test.id)
			}
		}
		for i, test := range []struct{ text, want string }{
			{strings.Repeat("é", 20), strings.Repeat("é", 20)},
			{" one\n\x1b[2Jtwo ", "one\n[2Jtwo"},
		} {
			ada.say(fmt.Sprint(i), test.text)
			if e := ada.follows("message"); e.Text != test.want {
				t.Errorf("%q became %q", test.text, e.Text)
			}
			ada.follows("ack")
		}
		ada.silent()
	})
}

// A message during the shutdown is not acknowledged, so that the page sends it again
// when there is a server.
func TestSayAtTheEnd(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada := visit(t, s)
		ada.join(lobby, "Ada")
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		ada.say("1", "text")
		for _, e := range ada.expectClose(websocket.StatusInternalError, "something went wrong") {
			if e.Type == "ack" {
				t.Errorf("acknowledged: %+v", e)
			}
		}
	})
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
