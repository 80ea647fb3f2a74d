package hub

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// post is a Backplane like a broker: it delivers later, to each subscriber in a
// goroutine of its own, also to the publisher. It fails when told to, and counts.
type post struct {
	mu                sync.Mutex
	boxes             map[string][]*box
	fail              error
	subscribed, ended int
	most              int           // subscribers to one topic at the same time
	hang              chan struct{} // Subscribe and unsubscribe wait for it, if not nil
}

// box is the messages for a subscriber that are under way.
type box struct {
	msgs chan []byte
	done chan struct{} // closed when no more are delivered
}

func (p *post) wait() error {
	p.mu.Lock()
	hang, err := p.hang, p.fail
	p.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return err
}

func (p *post) Publish(topic string, msg []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.boxes[topic] {
		b.msgs <- bytes.Clone(msg)
	}
	return p.fail
}

func (p *post) Subscribe(topic string, deliver func([]byte)) (func() error, error) {
	if err := p.wait(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.boxes == nil {
		p.boxes = make(map[string][]*box)
	}
	p.subscribed++
	b := &box{make(chan []byte, 1000), make(chan struct{})}
	p.boxes[topic] = append(p.boxes[topic], b)
	p.most = max(p.most, len(p.boxes[topic]))
	go func() {
		defer close(b.done)
		for msg := range b.msgs {
			deliver(msg)
			clear(msg) // which deliver does not keep
		}
	}()
	return func() error {
		err := p.wait()
		p.mu.Lock()
		p.ended++
		p.boxes[topic] = slices.DeleteFunc(p.boxes[topic], func(x *box) bool { return x == b })
		close(b.msgs)
		p.mu.Unlock()
		<-b.done
		return err
	}, nil
}

func (p *post) counts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint(p.subscribed, " ", p.ended)
}

func (p *post) set(fail error, hang chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail, p.hang = fail, hang
}

// overBackplanes runs a test with several hubs on one backplane, for each kind.
func overBackplanes(t *testing.T, f func(t *testing.T, hubs []*Hub)) {
	for name, newPlane := range map[string]func() Backplane{
		"memory": func() Backplane { return new(Memory) },
		"post":   func() Backplane { return new(post) },
	} {
		t.Run(name, func(t *testing.T) {
			plane := newPlane()
			var hubs []*Hub
			for range 3 {
				hubs = append(hubs, newHub(t, &Options{Backplane: plane, Replay: 5}))
			}
			f(t, hubs)
		})
	}
}

// Every message arrives once at every subscriber of every hub, those of each
// publisher in order.
func TestBackplane(t *testing.T) {
	overBackplanes(t, func(t *testing.T, hubs []*Hub) {
		const publishers, each = 2, 50
		var conns [][]*fake
		for _, h := range hubs {
			pair := []*fake{newFake(), newFake()}
			for _, c := range pair {
				subscribe(t, h, "topic", c, &SubscribeOptions{Policy: DropOldest})
			}
			conns = append(conns, pair)
		}
		bystander := newFake()
		subscribe(t, hubs[0], "another topic", bystander, nil)
		var wg sync.WaitGroup
		for i, h := range hubs {
			for k := range publishers {
				wg.Go(func() {
					for j := range each {
						publish(t, h, "topic", fmt.Sprint(i*publishers+k, " ", j))
					}
				})
			}
		}
		wg.Wait()
		all := len(hubs) * publishers * each
		orders := make([][][]string, len(hubs)) // by hub, of the messages of each hub
		for i, pair := range conns {
			for _, c := range pair {
				eventually(t, "all have arrived", func() bool { return len(c.prepared()) >= all })
			}
			if !slices.Equal(pair[0].prepared(), pair[1].prepared()) {
				t.Errorf("hub %d: two orders", i)
			}
			next := make([]int, len(hubs)*publishers)
			orders[i] = make([][]string, len(hubs))
			for _, m := range pair[0].got(t) {
				var from, j int
				fmt.Sscan(m, &from, &j)
				if j != next[from] {
					t.Fatalf("hub %d: message %d of publisher %d comes where %d should", i, j, from, next[from])
				}
				next[from]++
				orders[i][from/publishers] = append(orders[i][from/publishers], m)
			}
			check(t, fmt.Sprint("messages on hub ", i), slices.Max(next)+slices.Min(next), 2*each)
			if i > 0 && !slices.EqualFunc(orders[i], orders[0], slices.Equal) {
				t.Errorf("hub %d: the messages of a hub come in another order than on hub 0", i)
			}
		}
		check(t, "another topic", len(bystander.prepared()), 0)
		for _, h := range hubs {
			st := h.Stats()
			check(t, "published, received, delivered", []uint64{st.Published, st.Received, st.Delivered},
				[]uint64{publishers * each, 2 * publishers * each, uint64(2 * all)})
		}
	})
}

// Messages of other hubs get into the replay, and keep their keys.
func TestBackplaneReplayAndKeys(t *testing.T) {
	overBackplanes(t, func(t *testing.T, hubs []*Hub) {
		first := newFake()
		subscribe(t, hubs[0], "topic", first, nil)
		slow := newStalled(1)
		defer slow.read(true)
		s := subscribe(t, hubs[0], "topic", slow, &SubscribeOptions{Policy: KeepLatest})
		for _, m := range []string{"x=0", "a=1", "b=2", "a=3"} {
			publishKey(t, hubs[1], "topic", m[:1], m[2:])
		}
		if err := hubs[1].Publish("topic", websocket.Binary, []byte("4")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all have arrived", func() bool { return len(first.prepared()) == 5 })
		late := newFake()
		subscribe(t, hubs[0], "topic", late, &SubscribeOptions{Replay: true})
		check(t, "replay", late.got(t), words("0 2 3 4"))
		check(t, "slow", s.Stats(), Stats{Sent: 1, Conflated: 1, Pending: 3})
		check(t, "type", messageType(t, late.prepared()[3]), websocket.Binary)
		check(t, "type", messageType(t, late.prepared()[2]), websocket.Text)
	})
}

func messageType(t *testing.T, m *websocket.PreparedMessage) websocket.MessageType {
	t.Helper()
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	if err := server.WritePrepared(bg, m); err != nil {
		t.Fatal(err)
	}
	typ, _, err := client.Read(bg)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// When the backplane fails, local subscribers still get local messages, and the call
// returns the error.
func TestBackplaneErrors(t *testing.T) {
	var log bytes.Buffer
	broken := errors.New("broken")
	plane := new(post)
	h := newHub(t, &Options{Backplane: plane, Replay: 3, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := newFake()
	s := subscribe(t, h, "topic", c, nil)
	plane.set(broken, nil)
	if err := h.Publish("topic", websocket.Text, []byte("1")); !errors.Is(err, broken) {
		t.Errorf("published with the error %v", err)
	}
	if err := h.Publish("another topic", websocket.Text, []byte("2")); !errors.Is(err, broken) {
		t.Errorf("published to another topic with the error %v", err)
	}
	check(t, "sent", c.got(t), words("1"))
	// The topic is connected already.
	subscribe(t, h, "topic", newFake(), nil).Unsubscribe()
	// Another one is not, and stays unchanged.
	other := newFake()
	if _, err := h.subscribe("another topic", other, &SubscribeOptions{Member: "ada"}); !errors.Is(err, broken) {
		t.Errorf("subscribed with the error %v", err)
	}
	check(t, "subscribers", h.Subscribers("another topic"), 0)
	check(t, "members", len(h.Members("another topic")), 0)
	plane.set(nil, nil)
	subscribe(t, h, "another topic", other, &SubscribeOptions{Replay: true})
	check(t, "sent", other.got(t), words("2"))

	s.Unsubscribe()
	plane.set(broken, nil)
	if err := h.Shutdown(bg); !errors.Is(err, broken) {
		t.Errorf("shut down with the error %v", err)
	}
	check(t, "subscribed and ended", plane.counts(), "2 2")
}

// Invalid messages of the backplane are counted and logged, not too often, and have
// no other effect.
func TestBackplaneInvalid(t *testing.T) {
	var log bytes.Buffer
	plane := new(Memory)
	h := newHub(t, &Options{Backplane: plane, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := newFake()
	subscribe(t, h, "topic", c, nil)
	for range 100 {
		plane.Publish("topic", []byte("hello"))
	}
	_, refused := websocket.NewPreparedMessage(websocket.Text, []byte("\xff"))
	if refused != nil {
		plane.Publish("topic", appendEnvelope(nil, &envelope{typ: websocket.Text, payload: []byte("\xff")}))
		check(t, "invalid", h.Stats().Invalid, 101)
	}
	plane.Publish("topic", appendEnvelope(nil, &envelope{typ: websocket.Text, payload: []byte("well")}))
	check(t, "sent", c.got(t), words("well"))
	check(t, "received", h.Stats().Received, 1)
	if lines := strings.Count(log.String(), "\n"); lines != 7 || !strings.Contains(log.String(), "version 104, not 1") {
		t.Errorf("logged %d times:\n%s", lines, &log)
	}
}

// A hub subscribes to a topic with its first subscriber and unsubscribes a
// while after the last, once each, whatever comes and goes in between.
func TestBackplaneLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = 10 * time.Second
		plane := new(post)
		h := New(&Options{Backplane: plane, Linger: linger})
		publish(t, h, "topic", "nobody here")
		check(t, "topics", h.Stats().Topics, 0)
		c := newFake()
		defer c.cancel(nil)
		for range 100 {
			subscribe(t, h, "topic", c, nil).Unsubscribe()
			time.Sleep(linger / 50)
		}
		check(t, "after churn", plane.counts(), "1 0")
		time.Sleep(2*linger + time.Second)
		check(t, "later", plane.counts(), "1 1")
		check(t, "topics", h.Stats().Topics, 0)
		s := subscribe(t, h, "topic", c, nil)
		check(t, "again", plane.counts(), "2 1")
		time.Sleep(10 * linger)
		check(t, "kept", plane.counts(), "2 1")
		s.Unsubscribe()
		time.Sleep(3 * linger)
		check(t, "released", plane.counts(), "2 2")
	})
}

// A subscriber to a topic that is being forgotten gets the messages from then on; the
// hub never has two subscriptions at the backplane.
func TestBackplaneReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		plane := new(post)
		h := New(&Options{Backplane: plane, Linger: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		other := New(&Options{Backplane: plane})
		defer other.Shutdown(t.Context())
		defer h.Shutdown(t.Context())
		c := newFake()
		defer c.cancel(nil)
		subscribe(t, h, "topic", c, nil).Unsubscribe()
		hang := make(chan struct{})
		plane.set(errors.New("too late"), hang)
		time.Sleep(time.Minute) // it unsubscribes
		subscribed := make(chan error)
		go func() {
			_, err := h.subscribe("topic", c, nil)
			subscribed <- err
		}()
		// A goroutine that waits for a lock keeps a bubble from being idle, so
		// this cannot be waited for. The checks below hold in any case.
		runtime.Gosched()
		check(t, "while it hangs", plane.counts(), "1 0")
		plane.set(nil, nil)
		close(hang)
		if err := <-subscribed; err != nil {
			t.Fatal(err)
		}
		publish(t, other, "topic", "1")
		synctest.Wait()
		check(t, "sent", c.got(t), words("1"))
		check(t, "subscribed and ended", plane.counts(), "2 1")
		check(t, "at the same time", plane.most, 1)
		if !strings.Contains(log.String(), "too late") {
			t.Errorf("logged %q", &log)
		}
	})
}

// Subscribers come and go on two hubs while both publish, and topics are
// forgotten as soon as they can be.
func TestBackplaneChurn(t *testing.T) {
	plane := new(Memory)
	hubs := []*Hub{
		newHub(t, &Options{Backplane: plane, Linger: -1, Replay: 1}),
		newHub(t, &Options{Backplane: plane, Linger: time.Microsecond, Replay: 1}),
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			h := hubs[i%2]
			for j := range 200 {
				topic := fmt.Sprint(j % 2)
				c := newFake()
				s := subscribe(t, h, topic, c, nil)
				publish(t, h, topic, "here")
				if len(c.prepared()) == 0 {
					t.Error("a message that was published after Subscribe was not delivered")
				}
				publish(t, hubs[(i+1)%2], topic, "there")
				if len(c.prepared()) < 2 { // Memory delivers at once
					t.Error("a message that was published elsewhere after Subscribe was not delivered")
				}
				s.Unsubscribe()
			}
		})
	}
	wg.Wait()
	for _, h := range hubs {
		eventually(t, "no topics are left", func() bool { return h.Stats().Topics == 0 })
	}
	check(t, "topics at the backplane", len(plane.topics), 0)
}

func TestMemory(t *testing.T) {
	m := new(Memory)
	if err := m.Publish("topic", []byte("nobody")); err != nil {
		t.Fatal(err)
	}
	var got []string
	end := func() error { return nil }
	for i := range 2 {
		var err error
		end, err = m.Subscribe("topic", func(msg []byte) { got = append(got, fmt.Sprintf("%s-%d", msg, i)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	m.Publish("topic", []byte("a"))
	m.Publish("another", []byte("b"))
	end()
	end()
	m.Publish("topic", []byte("c"))
	check(t, "delivered", got, words("a-0 a-1 c-0"))
}
