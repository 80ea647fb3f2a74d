package chat

import (
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

// A full room refuses a visitor, and the visitor stays in the old room.
func TestFullRoom(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		for i := range testLimits.people {
			visit(t, s).join("tea", fmt.Sprint("guest ", i))
		}
		visit(t, s).join("tea", "guest 0") // a person in the room may enter twice
		ada := visit(t, s)
		ada.join(lobby, "Ada")
		ada.send(incoming{Type: "join", Room: "tea", Name: "Ada", Key: key("Ada")})
		ada.refused("room-full")
		ada.say("1", "still here")
		if e := ada.follows("message"); e.Room != lobby {
			t.Errorf("message is %+v", e)
		}
		ada.follows("ack")
	})
}

func TestNumberOfRooms(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo, guest := visit(t, s), visit(t, s), visit(t, s)
		ada.join("a", "Ada")
		ada.say("1", "something")
		ada.expect("ack")
		bo.join("b", "Bo")
		guest.send(incoming{Type: "join", Room: "c", Name: "Guest", Key: key("Guest")})
		guest.refused("too-many-rooms")

		// The room that has been empty the longest gives way, with what was
		// said there.
		ada.join(lobby, "Ada")
		time.Sleep(time.Second)
		bo.join(lobby, "Bo")
		ada.expect("joined")
		guest.join("c", "Guest")
		if s.rooms["a"] != nil || s.rooms["b"] == nil || s.rooms["c"] == nil {
			t.Error("the wrong room gave way")
		}
		synctest.Wait()
		if w := bo.join("a", "Bo"); len(w.History) > 0 {
			t.Errorf("room a remembers %+v", w.History)
		}
		ada.expect("left")

		// An empty room is forgotten after a while, the lobby never.
		ada.leave()
		bo.leave()
		guest.leave()
		time.Sleep(testLimits.keepEmpty + time.Minute)
		if w := visit(t, s).join(lobby, "Ada"); len(w.Rooms) != 1 || w.Rooms[0] != (roomInfo{lobby, 1}) {
			t.Errorf("rooms are %v", w.Rooms)
		}
		synctest.Wait()
		if n := s.shared.Stats().Topics; n != 2 {
			t.Errorf("the hub has %d topics, not those of the lobby alone", n)
		}
	})
}

// Everyone learns of the rooms, wherever they are, and many changes at once are
// one list.
func TestRoomList(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		pages := []*page{visit(t, s), visit(t, s), visit(t, s)}
		pages[0].join("b", "Ada")
		pages[1].join("a", "Bo")
		pages[2].join("b", "Guest")
		pages[0].follows("joined")
		want := []roomInfo{{lobby, 0}, {"b", 2}, {"a", 1}}
		for _, p := range pages {
			if got := p.next(); got.Type != "rooms" || !reflect.DeepEqual(got.Rooms, want) {
				t.Errorf("rooms are %+v, want %v", got, want)
			}
		}
		time.Sleep(2 * listDelay)
		for _, p := range pages {
			if e, err := p.read(time.Nanosecond); err == nil {
				t.Errorf("there is more: %+v", e)
			}
		}
	})
}

// Nobody hears anything of a room that they have left.
func TestMove(t *testing.T) {
	inBubble(t, testLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
		bo.join("tea", "Bo")
		for _, room := range []string{"tea", lobby, "tea", lobby} {
			ada.join(room, "Ada")
		}
		bo.say("1", "anybody?")
		bo.send(incoming{Type: "typing", On: true})
		bo.expect("typing")
		ada.silent()
		if n := s.shared.Stats().Subscriptions; n != 4 {
			t.Errorf("two visitors have %d subscriptions", n)
		}
		// Joining again where one is brings the history again, and is no news.
		if w := bo.join("tea", "Bo"); len(w.History) != 1 || len(w.People) != 1 {
			t.Errorf("welcome is %+v", w)
		}
		bo.silent()
	})
}
