// Package planetest tests that a hub.Backplane keeps its contract.
package planetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Plane is hub.Backplane. The tests of package hub could not import this package
// if it imported hub.
type Plane interface {
	Publish(topic string, msg []byte) error
	Subscribe(topic string, deliver func(msg []byte)) (unsubscribe func() error, err error)
}

// patience is how long a message may be on its way.
const patience = 30 * time.Second

// Run runs the tests. Each call of open returns a plane as another process would
// have it: they are all connected.
func Run(t *testing.T, open func(t *testing.T) Plane) {
	for name, test := range map[string]func(t *testing.T, open func(t *testing.T) Plane){
		"subscribed when Subscribe returns": testSubscribed,
		"many subscribe at once":            testManySubscribe,
		"order":                             testOrder,
		"unsubscribe":                       testUnsubscribe,
		"topics":                            testTopics,
		"messages are not kept":             testNotKept,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// inbox is the messages that a subscription has got.
type inbox struct {
	busy sync.Mutex
	msgs chan string
	t    *testing.T
}

func subscribe(t *testing.T, p Plane, topic string) (in *inbox, unsubscribe func()) {
	t.Helper()
	in = &inbox{msgs: make(chan string, 1<<14), t: t}
	end, err := p.Subscribe(topic, in.deliver)
	if err != nil {
		t.Fatal(err)
	}
	unsubscribe = sync.OnceFunc(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(unsubscribe)
	return in, unsubscribe
}

func (in *inbox) deliver(msg []byte) {
	if !in.busy.TryLock() {
		in.t.Error("two messages of a topic are delivered at the same time")
		return
	}
	defer in.busy.Unlock()
	in.msgs <- string(msg)
}

func (in *inbox) next(t *testing.T) string {
	t.Helper()
	select {
	case m := <-in.msgs:
		return m
	case <-time.After(patience):
		t.Fatal("a message does not arrive")
		return ""
	}
}

func publish(t *testing.T, p Plane, topic, msg string) {
	t.Helper()
	if err := p.Publish(topic, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// Messages published as soon as Subscribe has returned arrive, each once.
func testSubscribed(t *testing.T, open func(t *testing.T) Plane) {
	here, there := open(t), open(t)
	for i := range 300 {
		topic := fmt.Sprint("topic ", i)
		in, _ := subscribe(t, here, topic)
		publish(t, there, topic, topic)
		publish(t, there, topic, "end")
		if got := in.next(t); got != topic {
			t.Fatalf("the first message of %q is %q", topic, got)
		}
		if got := in.next(t); got != "end" {
			t.Fatalf("%q has got %q, too", topic, got)
		}
	}
}

// The same for many who subscribe at the same time, on a plane that they share.
func testManySubscribe(t *testing.T, open func(t *testing.T) Plane) {
	here, there := open(t), open(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 30 {
				topic := fmt.Sprint(i, " ", j)
				got := make(chan string, 10)
				end, err := here.Subscribe(topic, func(msg []byte) { got <- string(msg) })
				if err == nil {
					err = there.Publish(topic, []byte(topic))
				}
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case m := <-got:
					if m != topic {
						t.Errorf("%q has got %q", topic, m)
					}
				case <-time.After(patience):
					t.Errorf("%q has got nothing", topic)
					return
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// Messages come one at a time, in the order of each publisher, each once.
func testOrder(t *testing.T, open func(t *testing.T) Plane) {
	const publishers, each = 3, 300
	here := open(t)
	in, _ := subscribe(t, here, "topic")
	var wg sync.WaitGroup
	for i := range publishers {
		p := open(t)
		wg.Go(func() {
			for j := range each {
				if err := p.Publish("topic", fmt.Append(nil, i, " ", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	defer wg.Wait()
	var next [publishers]int
	for range publishers * each {
		m := in.next(t)
		var i, j int
		if _, err := fmt.Sscan(m, &i, &j); err != nil {
			t.Fatal(err)
		}
		if next[i] != j {
			t.Fatalf("message %d of publisher %d comes where %d should", j, i, next[i])
		}
		next[i]++
	}
	select {
	case m := <-in.msgs:
		t.Errorf("%q comes, too", m)
	default:
	}
}

// After unsubscribe nothing that is published then arrives; a new subscription
// gets what is published from then on, once.
func testUnsubscribe(t *testing.T, open func(t *testing.T) Plane) {
	here, there := open(t), open(t)
	for i := range 100 {
		in, unsubscribe := subscribe(t, here, "topic")
		publish(t, there, "topic", fmt.Sprint(i))
		if got := in.next(t); got != fmt.Sprint(i) {
			t.Fatalf("subscription %d gets %q", i, got)
		}
		unsubscribe()
		select {
		case m := <-in.msgs:
			t.Fatalf("%q comes, too", m)
		default:
		}
	}
}

// Any string is a topic, and gets its own messages only.
func testTopics(t *testing.T, open func(t *testing.T) Plane) {
	topics := []string{"", " ", "a", "a.b", "a.*", "a.>", ">", "*", ".", "a.", "A", "\x00", "\xff", "ä", "a b",
		"a\r\nPUB a 1", strings.Repeat("long", 2000), strings.Repeat("long", 2001)}
	here, there := open(t), open(t)
	inboxes := make([]*inbox, len(topics))
	for i, topic := range topics {
		inboxes[i], _ = subscribe(t, here, topic)
	}
	for _, last := range []string{"", "end"} {
		for _, topic := range topics {
			publish(t, there, topic, topic+last)
		}
	}
	for i, topic := range topics {
		for _, last := range []string{"", "end"} {
			if got := inboxes[i].next(t); got != topic+last {
				t.Errorf("topic %.20q gets %.20q", topic, got)
			}
		}
	}
}

// Publish does not keep the message.
func testNotKept(t *testing.T, open func(t *testing.T) Plane) {
	here, there := open(t), open(t)
	in, _ := subscribe(t, here, "topic")
	msg := make([]byte, 8)
	for i := range 200 {
		copy(msg, fmt.Sprintf("%8d", i))
		if err := there.Publish("topic", msg); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if got, want := in.next(t), fmt.Sprintf("%8d", i); got != want {
			t.Fatalf("message %d is %q", i, got)
		}
	}
}
