package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/hub"
)

// testPlane connects a server to a backplane. It fails while failing is set.
type testPlane struct {
	*hub.Memory
	failing atomic.Bool
}

func (c *testPlane) Publish(topic string, msg []byte) error {
	if c.failing.Load() {
		return errors.New("the plane fails")
	}
	return c.Memory.Publish(topic, msg)
}

func (c *testPlane) Subscribe(topic string, deliver func([]byte)) (func() error, error) {
	return c.Memory.Subscribe(topic, func(msg []byte) {
		if !c.failing.Load() {
			deliver(msg)
		}
	})
}

// cluster starts servers that share a backplane.
type cluster struct {
	t      *testing.T
	plane  hub.Memory
	limits limits
}

// start starts a server.
func (s *cluster) start(name string) (*Server, *testPlane) {
	s.t.Helper()
	c := &testPlane{Memory: &s.plane}
	server := mustServer(s.t, Options{Name: name, Backplane: c}, s.limits)
	s.t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			s.t.Error("shutdown:", err)
		}
	})
	return server, c
}

// withCluster runs f in a bubble of synctest.
func withCluster(t *testing.T, f func(t *testing.T, s *cluster)) {
	synctest.Test(t, func(t *testing.T) { f(t, &cluster{t: t, limits: testLimits}) })
}

// settle waits until the servers have exchanged their pending notices.
func settle() {
	time.Sleep(2 * listDelay)
	synctest.Wait()
}

func TestTwoServers(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		ada, bo := visit(t, here), visit(t, there)
		w := ada.join("tea", "Ada")
		settle()
		w2 := bo.join("tea", "ada")
		if w2.Name != "ada 2" {
			t.Errorf("the second Ada is %q", w2.Name)
		}
		if want := []personInfo{{w.You, "Ada"}, {w2.You, "ada 2"}}; !reflect.DeepEqual(w2.People, want) {
			t.Errorf("people are %v, want %v", w2.People, want)
		}
		if w.Server != "here" || w2.Server != "there" {
			t.Errorf("the servers are %q and %q", w.Server, w2.Server)
		}
		if e := ada.follows("joined"); e.Name != "ada 2" || e.From != w2.You {
			t.Errorf("joined is %+v", e)
		}
		settle()
		for _, server := range []*Server{here, there} {
			want := []roomInfo{{lobby, 0}, {"tea", 2}}
			if got := visit(t, server).join(lobby, "Guest").Rooms; !reflect.DeepEqual(got[1:], want[1:]) {
				t.Errorf("rooms are %v, want %v", got, want)
			}
		}

		bo.send(incoming{Type: "typing", On: true})
		if e := ada.follows("typing"); e.From != w2.You || !e.On {
			t.Errorf("typing is %+v", e)
		}
		bo.say("1", "hello")
		if e := ada.follows("message"); e.Text != "hello" || e.From != w2.You || e.Name != "ada 2" {
			t.Errorf("message is %+v", e)
		}
		ada.say("1", "hello yourself")
		bo.expect("ack")
		if e := bo.follows("message"); e.Text != "hello yourself" || e.From != w.You {
			t.Errorf("message is %+v", e)
		}
		bo.send(incoming{Type: "rename", Name: "Bo"})
		if e := ada.expect("renamed"); e.Name != "Bo" || e.Was != "ada 2" {
			t.Errorf("renamed is %+v", e)
		}
		bo.leave()
		if e := ada.follows("left"); e.Name != "Bo" || e.From != w2.You {
			t.Errorf("left is %+v", e)
		}
		for range 3 { // telling it again is no news
			time.Sleep(listInterval)
			ada.silent()
		}
	})
}

// A person that is at two servers is there until they have left both.
func TestPersonAtTwoServers(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		bo, one, two := visit(t, here), visit(t, here), visit(t, there)
		bo.join("tea", "Bo")
		one.join("tea", "Ada")
		bo.follows("joined")
		settle()
		if w := two.join("tea", "Ada"); w.Name != "Ada" || len(w.People) != 2 {
			t.Errorf("welcome is %+v", w)
		}
		settle()
		one.leave()
		settle()
		bo.silent()
		two.leave()
		bo.follows("left")
	})
}

// The limits of a room are those of all servers together.
func TestFullRoomOverServers(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		for i := range testLimits.people {
			visit(t, here).join("tea", fmt.Sprint("guest ", i))
		}
		settle()
		ada := visit(t, there)
		ada.send(incoming{Type: "join", Room: "tea", Name: "Ada", Key: key("Ada")})
		ada.refused("room-full")
		// A person of another server may enter here, too.
		visit(t, there).join("tea", "guest 0")
	})
}

func texts(messages []event) string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Text)
	}
	return strings.Join(all, ", ")
}

// merged returns messages as a page shows them: each once, the oldest first.
func merged(messages []event) []event {
	messages = slices.Clone(messages)
	slices.SortStableFunc(messages, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return slices.CompactFunc(messages, func(a, b event) bool { return a.From == b.From && a.ID == b.ID })
}

// A server that comes later learns what was said, of all the others, and has it
// for those who come later still.
func TestLateServer(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		ada, bo := visit(t, here), visit(t, there)
		ada.join("tea", "Ada")
		bo.join("tea", "Bo")
		for i := range 3 {
			ada.say(fmt.Sprint(i), fmt.Sprint("a", i))
			ada.expect("ack")
			time.Sleep(time.Millisecond)
			bo.say(fmt.Sprint(i), fmt.Sprint("b", i))
			bo.expect("ack")
			time.Sleep(time.Millisecond)
		}
		bo.leave()
		settle()

		late, _ := s.start("late")
		cy := visit(t, late)
		all := cy.join("tea", "Cy").Elsewhere // perhaps there is an answer already
		for texts(merged(all)) != "a0, b0, a1, b1, a2, b2" {
			all = append(all, cy.expect("history").Messages...)
		}
		ada.say("3", "a3")
		if e := cy.expect("message"); e.Text != "a3" {
			t.Errorf("message is %+v", e)
		}
		cy.leave()

		di := visit(t, late)
		w := di.join("tea", "Di")
		if n := len(w.Elsewhere); n != testLimits.history {
			t.Errorf("%d messages were said before", n)
		}
		if got := texts(merged(append(w.Elsewhere, w.History...))); got != "b1, a2, b2, a3" && got != "a1, b1, a2, b2, a3" {
			t.Errorf("history is %q", got)
		}
		di.silent()
	})
}

// A message that is said again on another server is in the history once.
func TestSaidAgainElsewhere(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		visit(t, there).join("tea", "Bo")
		for _, server := range []*Server{here, there} {
			ada := visit(t, server)
			ada.join("tea", "Ada")
			ada.say("1", "once")
			ada.expect("ack")
			ada.leave()
			settle()
		}
		for _, server := range []*Server{here, there} {
			if got := texts(visit(t, server).join("tea", "Cy").History); got != "once" {
				t.Errorf("the history is %q", got)
			}
		}
	})
}

// A server that is not heard of has no visitors, as far as the others know.
// When it is back so are they, and so is what they have said meanwhile.
func TestServerCutOff(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, cable := s.start("there")
		ada, bo := visit(t, here), visit(t, there)
		ada.join("tea", "Ada")
		settle()
		bo.join("tea", "Bo")
		ada.expect("joined")

		cable.failing.Store(true)
		bo.say("1", "anybody?")
		bo.follows("message") // to oneself, at least
		bo.follows("ack")
		start := time.Now()
		for _, p := range []*page{ada, bo} {
			if e := p.follows("left"); e.Name == "" {
				t.Errorf("left is %+v", e)
			}
		}
		if took := time.Since(start); took < listLifetime-listInterval || took > listLifetime+2*listInterval {
			t.Errorf("it took %v to notice", took)
		}

		cable.failing.Store(false)
		ada.follows("joined")
		if got := texts(ada.follows("history").Messages); got != "anybody?" {
			t.Errorf("said meanwhile: %q", got)
		}
		bo.follows("joined")
		bo.say("2", "there you are")
		if e := ada.expect("message"); e.Text != "there you are" {
			t.Errorf("message is %+v", e)
		}
	})
}

// A server that ends says so: its visitors are gone at once.
func TestServerEnds(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		there, _ := s.start("there")
		ada, bo := visit(t, here), visit(t, there)
		ada.join("tea", "Ada")
		bo.join("tea", "Bo")
		ada.expect("joined")
		bo.leave()
		start := time.Now()
		if err := there.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		ada.follows("left")
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		if err := there.Shutdown(t.Context()); err != nil {
			t.Error("once more:", err)
		}
	})
}

// Invalid notices do no harm, and take no room.
func TestNonsenseFromServers(t *testing.T) {
	withCluster(t, func(t *testing.T, s *cluster) {
		here, _ := s.start("here")
		ada := visit(t, here)
		ada.join(lobby, "Ada")
		many := make([]personInfo, testLimits.people+1)
		for i := range many {
			many[i] = personInfo{fmt.Sprint(i), fmt.Sprint("guest ", i)}
		}
		few := many[:1]
		say := func(v any) {
			t.Helper()
			msg, ok := v.(string)
			if !ok {
				b, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				msg = string(b)
			}
			if err := s.plane.Publish(peersTopic, []byte(msg)); err != nil {
				t.Fatal(err)
			}
		}
		say("")
		say("{")
		say("[]")
		say("{}")
		say(`{"server":7}`)
		say(notice{Room: lobby, People: few})
		say(notice{Server: "x", Room: "two words", People: few})
		say(notice{Server: "x", Room: listTopic, People: few})
		say(notice{Server: "x", Room: lobby, People: many})
		say(notice{Server: "x", Room: lobby, People: []personInfo{{"", "who"}, {"who", ""}}})
		say(notice{Server: "x", Room: "nowhere", Ask: true})
		ada.silent()

		// No more rooms than there may be, but those who are here go first.
		for _, room := range []string{"a", "b", "c", "d"} {
			say(notice{Server: "y", Room: room, People: few})
		}
		settle()
		if n := len(here.rooms); n != testLimits.rooms {
			t.Errorf("there are %d rooms", n)
		}
		ada.silent()
		time.Sleep(listLifetime + 2*listInterval)
		visit(t, here).join("e", "Bo")
	})
}

// A backplane that cannot be had is an error.
func TestNoBackplane(t *testing.T) {
	for good := range 2 {
		plane := &broken{good: good}
		if _, err := newServer(Options{Backplane: plane}, testLimits); !errors.Is(err, errPlane) {
			t.Errorf("got %v", err)
		}
		if plane.subscribed != 0 {
			t.Errorf("%d subscriptions are left", plane.subscribed)
		}
	}
}

var errPlane = errors.New("no more")

// broken takes some subscriptions, and then no more.
type broken struct{ good, subscribed int }

func (b *broken) Publish(string, []byte) error { return nil }

func (b *broken) Subscribe(string, func([]byte)) (func() error, error) {
	if b.subscribed == b.good {
		return nil, errPlane
	}
	b.subscribed++
	return func() error { b.subscribed--; return nil }, nil
}

func TestBounded(t *testing.T) {
	m := message{Text: "text"}
	size := len(encode(m)) + 1
	for n, want := range []int{0, 1, 2, 3, 3} {
		if got := len(bounded([]message{m, m, m}, n*size)); got != want {
			t.Errorf("%d bytes hold %d messages, not %d", n*size, got, want)
		}
	}
}
