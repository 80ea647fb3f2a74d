package hub

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// waitingMemory is a Memory whose unsubscribe waits in the middle: it has been called, and
// messages still come. It keeps every deliver that it was given.
type waitingMemory struct {
	Memory
	delivers []func([]byte)
	entered  chan struct{} // unsubscribe says that it was called
	open     chan struct{} // and waits for this
}

func newWaitingMemory() *waitingMemory {
	return &waitingMemory{entered: make(chan struct{}, 1), open: make(chan struct{})}
}

func (g *waitingMemory) Subscribe(topic string, deliver func([]byte)) (func() error, error) {
	unsubscribe, err := g.Memory.Subscribe(topic, deliver)
	g.mu.Lock()
	g.delivers = append(g.delivers, deliver)
	g.mu.Unlock()
	return func() error {
		select {
		case g.entered <- struct{}{}:
		default:
		}
		<-g.open
		return unsubscribe()
	}, err
}

// A subscriber that comes while the topic is being forgotten gets each message once:
// the hub is never twice at the backplane.
func TestSubscribeBesideForget(t *testing.T) {
	plane := newWaitingMemory()
	h, other := newHub(t, &Options{Backplane: plane}), newHub(t, &Options{Backplane: plane})
	subscribe(t, h, "topic", newFake(), nil).Unsubscribe()
	forgotten := make(chan error)
	go func() { forgotten <- h.Forget("topic") }()
	<-plane.entered

	c := newFake()
	subscribed := make(chan error, 1)
	go func() {
		_, err := h.subscribe("topic", c, nil)
		subscribed <- err
	}()
	select { // it has to wait, so this takes as long as it may
	case err := <-subscribed:
		subscribed <- err
	case <-time.After(50 * time.Millisecond):
		close(plane.open)
	}
	if err := <-subscribed; err != nil {
		t.Fatal(err)
	}
	publish(t, other, "topic", "7")
	select {
	case <-plane.open:
	default:
		close(plane.open)
	}
	if err := <-forgotten; err != nil {
		t.Fatal(err)
	}
	publish(t, other, "topic", "8")
	check(t, "messages", c.got(t), words("7 8"))
}

// A message that the backplane delivers late, for a subscription that has ended,
// reaches no subscriber, whether the topic is another one now or still the same.
func TestLateDelivery(t *testing.T) {
	late := func(m string) []byte {
		return appendEnvelope(nil, &envelope{typ: websocket.Text, payload: []byte(m)})
	}
	t.Run("forgotten", func(t *testing.T) {
		plane := newWaitingMemory()
		close(plane.open)
		h := newHub(t, &Options{Backplane: plane, Replay: 5})
		subscribe(t, h, "topic", newFake(), nil).Unsubscribe()
		if err := h.Forget("topic"); err != nil {
			t.Fatal(err)
		}
		c := newFake()
		subscribe(t, h, "topic", c, nil)
		plane.delivers[0](late("1"))
		plane.delivers[1](late("2"))
		check(t, "messages", c.got(t), words("2"))
	})
	t.Run("kept", func(t *testing.T) {
		plane := newWaitingMemory()
		h := newHub(t, &Options{Backplane: plane, Replay: 5, Linger: time.Microsecond})
		s := subscribe(t, h, "topic", newFake(), nil)
		h.mu.RLock()
		topic := h.topics["topic"]
		h.mu.RUnlock()
		plane.delivers[0](late("0"))
		s.Unsubscribe()
		<-plane.entered // it is being forgotten
		c := newFake()
		subscribed := make(chan error, 1)
		go func() {
			_, err := h.subscribe("topic", c, &SubscribeOptions{Replay: true})
			subscribed <- err
		}()
		eventually(t, "the topic is used again", func() bool {
			topic.mu.Lock()
			defer topic.mu.Unlock()
			return topic.refs > 0
		})
		plane.delivers[0](late("1")) // too late, so not for the replay either
		close(plane.open)
		if err := <-subscribed; err != nil {
			t.Fatal(err)
		}
		plane.delivers[0](late("2"))
		plane.delivers[1](late("3"))
		check(t, "messages", c.got(t), words("3"))
		check(t, "the topic is the same", h.topics["topic"] == topic, true)
	})
}

// turnstile is a Memory at which the first Publish has to wait.
type turnstile struct {
	Memory
	used    atomic.Bool
	entered chan struct{}
	open    chan struct{}
}

func (p *turnstile) Publish(topic string, msg []byte) error {
	if !p.used.Swap(true) {
		close(p.entered)
		<-p.open
	}
	return p.Memory.Publish(topic, msg)
}

// Messages of a hub reach others in the order in which they reach those
// here, also if the topic was forgotten when the first one was about to begin.
func TestOrderBesideForget(t *testing.T) {
	const while = 20 * time.Millisecond // for others to get stuck, if they do; a longer time changes nothing
	plane := &turnstile{entered: make(chan struct{}), open: make(chan struct{})}
	here, there := newHub(t, &Options{Backplane: plane}), newHub(t, &Options{Backplane: plane})
	near, far := newFake(), newFake()
	subscribe(t, there, "topic", far, nil)
	subscribe(t, here, "topic", near, nil).Unsubscribe()
	topic := here.topics["topic"]
	results := make(chan error, 3)

	topic.plane.out.Lock()
	go func() { results <- here.Publish("topic", websocket.Text, []byte("a")) }()
	time.Sleep(while) // it has found the topic and waits
	go func() { results <- here.Forget("topic") }()
	time.Sleep(while) // it waits, too, or the topic is gone
	subscribe(t, here, "topic", near, nil)
	topic.plane.out.Unlock()
	<-plane.entered
	go func() { results <- here.Publish("topic", websocket.Text, []byte("b")) }()
	time.Sleep(while) // it waits for the first, or overtakes it
	close(plane.open)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	all := far.got(t)
	check(t, "messages elsewhere", len(all), 2)
	got := near.got(t)
	check(t, "messages here", got, all[len(all)-len(got):])
}
