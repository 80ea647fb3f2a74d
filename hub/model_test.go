package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// modelVariable is how long TestModel goes on: a duration, such as 10m.
const modelVariable = "SOAK"

// TestModel has several hubs on one backplane do everything at random and at the
// same time, and then checks what each subscription got:
//
//   - the messages of each hub and topic have one order, of which each
//     subscription has got a part without a gap, each message once, also if the
//     connection has unsubscribed and subscribed again in between,
//   - of what was published before Subscribe was called it has no more than what
//     the replay holds, and that only if it asked for it,
//   - all that was published after Subscribe returned, up to its end.
func TestModel(t *testing.T) {
	length := 4 * time.Second
	if s := os.Getenv(modelVariable); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []struct {
		name    string
		hubs    int
		collect time.Duration
		new     func() Backplane
	}{
		{"alone", 1, 0, func() Backplane { return nil }},
		{"alone, collecting", 1, 200 * time.Microsecond, func() Backplane { return nil }},
		{"memory", 3, 0, func() Backplane { return new(Memory) }},
		{"memory, collecting", 3, 50 * time.Microsecond, func() Backplane { return new(Memory) }},
		{"faulty", 3, 0, func() Backplane { return new(faulty) }},
		{"faulty, collecting", 3, time.Millisecond, func() Backplane { return new(faulty) }},
	}
	for end := time.Now().Add(length); ; {
		for _, k := range kinds {
			if !t.Run(k.name, func(t *testing.T) { newModel(t, k.hubs, k.collect, k.new()).run() }) {
				return
			}
		}
		if time.Now().After(end) {
			return
		}
	}
}

const (
	modelReplay  = 5
	modelPublish = 150 // messages of each publisher
	modelWriters = 4   // publishers of each hub
)

var modelTopics = []string{"a", "b"}

// model is one run of TestModel.
type model struct {
	*testing.T
	plane Backplane
	hubs  []*Hub
	clock atomic.Int64 // numbers the events

	mu        sync.Mutex // guards the fields below
	published map[string]*published
	taken     []*taken
	down      map[int]int64 // when the Shutdown of a hub was called
}

// published is a message.
type published struct {
	hub        int
	publisher  int
	topic      string
	number     int   // among those of its publisher
	start, end int64 // of the call
	err        error
}

// taken is a subscription.
type taken struct {
	hub           int
	topic         string
	conn          *fake
	first, last   int // its part of the connection's messages
	replay, slow  bool
	closed        bool  // it ended with its connection
	called, begun int64 // when Subscribe was called, and had returned
	ending        int64 // when Unsubscribe was called; 0 if it was not
}

func newModel(t *testing.T, hubs int, collect time.Duration, plane Backplane) *model {
	m := &model{T: t, plane: plane, published: make(map[string]*published), down: make(map[int]int64)}
	for i := range hubs {
		m.hubs = append(m.hubs, newHub(t, &Options{
			Backplane: plane, Replay: modelReplay, Collect: collect, Linger: []time.Duration{-1, time.Millisecond, time.Minute}[i%3],
			OnJoin: func(string, string) {}, OnLeave: func(string, string) {}, Logger: slog.New(slog.DiscardHandler),
		}))
	}
	return m
}

func (m *model) now() int64 { return m.clock.Add(1) }

func (m *model) run() {
	for _, h := range m.hubs { // so that a message is on its way for a while
		for range (spreadFrom + 1) * chunkSize {
			for {
				if _, err := h.subscribe("a", &nullConn{countingConn{ctx: bg}}, nil); err == nil {
					break
				} else if !errors.Is(err, errFaulty) {
					m.Fatal(err)
				}
			}
		}
	}
	stop := make(chan struct{})
	var publishers, others sync.WaitGroup
	for i := range m.hubs {
		for k := range modelWriters {
			publishers.Go(func() { m.publish(i, modelWriters*i+k) })
		}
		for range 2 {
			others.Go(func() { m.come(i, stop) })
		}
		others.Go(func() { m.forget(i, stop) })
	}
	if len(m.hubs) > 1 { // one of them ends early
		publishers.Go(func() {
			for m.clock.Load() < 2*modelPublish {
				time.Sleep(100 * time.Microsecond)
			}
			m.shutdown(1)
		})
	}
	publishers.Wait()
	close(stop)
	others.Wait()
	if f, ok := m.plane.(*faulty); ok {
		f.boxes.Wait(m.T)
	}
	for _, s := range m.taken {
		s.conn.read(true)
	}
	for i, h := range m.hubs {
		eventually(m.T, "nothing is pending", func() bool { return h.pending.Count() == 0 })
		if i != 1 {
			m.shutdown(i)
		}
		check(m.T, "subscriptions", h.Stats().Subscriptions, 0)
		check(m.T, "topics", h.Stats().Topics, 0)
	}
	if mem, ok := m.plane.(*Memory); ok {
		check(m.T, "topics at the backplane", len(mem.topics), 0)
	}
	m.check()
}

// publish is a publisher.
func (m *model) publish(hub, publisher int) {
	for n := range modelPublish {
		p := &published{hub: hub, publisher: publisher, topic: modelTopics[rand.IntN(2)], number: n}
		p.start = m.now()
		id := fmt.Sprint(publisher, "-", n)
		p.err = m.hubs[hub].Publish(p.topic, websocket.Text, []byte(id))
		p.end = m.now()
		m.mu.Lock()
		m.published[id] = p
		m.mu.Unlock()
		if errors.Is(p.err, ErrClosed) {
			return
		}
		if p.err != nil && !errors.Is(p.err, errFaulty) {
			m.Error(p.err)
		}
		if rand.IntN(20) == 0 {
			time.Sleep(time.Duration(rand.IntN(200)) * time.Microsecond)
		}
	}
}

// come subscribes connections, often several times each, and leaves some of them
// subscribed.
func (m *model) come(hub int, stop <-chan struct{}) {
	for {
		conn, slow := newFake(), rand.IntN(4) == 0
		if slow {
			conn = newStalled(1 << 30)
		}
		topic := modelTopics[rand.IntN(2)]
		for range 1 + rand.IntN(6) {
			select {
			case <-stop:
				return
			default:
			}
			s := &taken{hub: hub, topic: topic, conn: conn, slow: slow, replay: rand.IntN(3) == 0, first: len(conn.prepared()), last: -1}
			opts := &SubscribeOptions{Replay: s.replay}
			if slow {
				opts.Policy, opts.Queue = DropOldest, 1<<20
			}
			if rand.IntN(2) == 0 {
				opts.Member = "somebody"
			}
			m.mu.Lock()
			s.called = m.now()
			m.taken = append(m.taken, s)
			m.mu.Unlock()
			sub, err := m.hubs[hub].subscribe(topic, conn, opts)
			if err == nil {
				s.begun = m.now()
			} else {
				s.last = s.first // there is none
			}
			switch {
			case errors.Is(err, ErrClosed):
				return
			case errors.Is(err, errFaulty):
				continue
			case err != nil:
				m.Error(err)
				return
			}
			if rand.IntN(2) == 0 {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			}
			if slow && rand.IntN(2) == 0 {
				conn.read(false)
			}
			if rand.IntN(10) == 0 {
				break // stays
			}
			m.mu.Lock()
			s.ending = m.now()
			s.closed = rand.IntN(10) == 0
			m.mu.Unlock()
			if s.closed {
				conn.end()
				break
			}
			sub.Unsubscribe()
			s.last = len(conn.prepared())
		}
	}
}

func (m *model) forget(hub int, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		if err := m.hubs[hub].Forget(modelTopics[rand.IntN(2)]); err != nil && !errors.Is(err, errFaulty) {
			m.Error(err)
		}
		time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
	}
}

// shutdown shuts a hub down. Slow connections are read meanwhile.
func (m *model) shutdown(hub int) {
	m.mu.Lock()
	m.down[hub] = m.now()
	m.mu.Unlock()
	done := make(chan error)
	go func() { done <- m.hubs[hub].Shutdown(bg) }()
	for {
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, errFaulty) {
				m.Error(err)
			}
			return
		case <-time.After(time.Millisecond):
			m.mu.Lock()
			for _, s := range m.taken {
				if s.hub == hub {
					s.conn.read(true)
				}
			}
			m.mu.Unlock()
		}
	}
}
