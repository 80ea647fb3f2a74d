package hub

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/drain"
)

// check compares the messages of each subscription with those published.
func (m *model) check() {
	content := contents(m.T, m.taken)
	after := make(map[string]map[string]string) // by hub and topic: the message after a message
	seen := make(map[*fake]map[string]bool)     // by connection, in all of its subscriptions
	for i, s := range m.taken {
		if seen[s.conn] == nil {
			seen[s.conn] = make(map[string]bool)
		}
		sent := s.conn.prepared()
		if s.last < 0 {
			s.last = len(sent)
		}
		what := fmt.Sprintf("subscription %d, of hub %d to %q, replay %v, slow %v", i, s.hub, s.topic, s.replay, s.slow)
		got := make(map[string]bool)
		next := make(map[int]int) // by publisher
		before := 0
		order := fmt.Sprint(s.hub, " ", s.topic)
		if after[order] == nil {
			after[order] = make(map[string]string)
		}
		last := ""
		for _, prepared := range sent[s.first:s.last] {
			id := content[prepared]
			p := m.published[id]
			if p == nil || p.topic != s.topic {
				m.Fatalf("%s: got %q, %+v", what, id, p)
			}
			if got[id] {
				m.Fatalf("%s: got %q twice", what, id)
			}
			got[id] = true
			if seen[s.conn][id] && !s.replay {
				m.Fatalf("%s: got %q, as the connection did before", what, id)
			}
			seen[s.conn][id] = true
			if p.number < next[p.publisher] {
				m.Fatalf("%s: got %q too late", what, id)
			}
			next[p.publisher] = p.number + 1
			if last != "" {
				if n, ok := after[order][last]; ok && n != id {
					m.Fatalf("%s: %q comes behind %q, and elsewhere it is %q", what, id, last, n)
				}
				after[order][last] = id
			}
			last = id
			if p.end < s.called && (p.hub == s.hub || m.direct()) {
				before++
			}
		}
		if !s.replay && before > 0 || before > modelReplay {
			m.Fatalf("%s: got %d messages from before", what, before)
		}
		for id, p := range m.published {
			if p.topic == s.topic && s.begun > 0 && p.start > s.begun && !got[id] && m.reaches(p, s) {
				m.Fatalf("%s: does not get %q, %+v; it is %+v", what, id, *p, *s)
			}
		}
	}
}

// direct reports whether messages have been delivered everywhere when Publish
// returns.
func (m *model) direct() bool {
	_, ok := m.plane.(*faulty)
	return !ok
}

// reaches reports whether p, which was published after s had begun, must have
// been given to s.
func (m *model) reaches(p *published, s *taken) bool {
	if errors.Is(p.err, ErrClosed) {
		return false
	}
	there := s.ending == 0 || p.end < s.ending
	switch {
	case s.slow && s.ending != 0:
		return false // waiting messages were dropped
	case s.closed:
		return false // the connection takes none
	case p.hub == s.hub:
		return there // Shutdown waits for calls
	case p.err != nil:
		return false // it may not arrive elsewhere
	case p.end > m.down[s.hub]:
		return false // Shutdown does not wait for other hubs
	case m.direct():
		return there
	}
	// It takes its time, which those that were there up to the end had.
	return s.ending == 0 && s.hub != 1
}

// contents returns the contents of the messages that were given to connections.
func contents(t *testing.T, all []*taken) map[*websocket.PreparedMessage]string {
	t.Helper()
	content := make(map[*websocket.PreparedMessage]string)
	var list []*websocket.PreparedMessage
	for _, s := range all {
		for _, m := range s.conn.prepared() {
			if _, ok := content[m]; !ok {
				content[m] = ""
				list = append(list, m)
			}
		}
	}
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	failed := make(chan error, 1)
	go func() {
		for _, m := range list {
			if err := server.WritePrepared(bg, m); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for _, m := range list {
		_, p, err := client.Read(bg)
		if err != nil {
			t.Fatal(err)
		}
		content[m] = string(p)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return content
}

var errFaulty = errors.New("the backplane is at fault")

// faulty is a Backplane that is slow, refuses now and then, and delivers messages
// that were on their way at an unsubscribe.
type faulty struct {
	mu     sync.Mutex
	topics map[string][]*faultyBox
	boxes  awaited // messages on their way
}

type faultyBox struct {
	deliver func([]byte)
	msgs    [][]byte // guarded by faulty.mu
	busy    bool     // guarded by faulty.mu
}

// awaited counts, and can be waited for while it does.
type awaited struct{ drain.Group }

func (a *awaited) Wait(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is on its way", func() bool { return a.Count() == 0 })
}

func (f *faulty) Publish(topic string, msg []byte) error {
	if rand.IntN(50) == 0 {
		return errFaulty
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.topics[topic] {
		f.boxes.Enter()
		b.msgs = append(b.msgs, append([]byte(nil), msg...))
		if !b.busy {
			b.busy = true
			go f.carry(b)
		}
	}
	return nil
}

// carry delivers the messages in a box.
func (f *faulty) carry(b *faultyBox) {
	for {
		if rand.IntN(10) == 0 {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
		}
		f.mu.Lock()
		if len(b.msgs) == 0 {
			b.busy = false
			f.mu.Unlock()
			return
		}
		msg := b.msgs[0]
		b.msgs = b.msgs[1:]
		f.mu.Unlock()
		b.deliver(msg)
		clear(msg)
		f.boxes.Leave()
	}
}

func (f *faulty) Subscribe(topic string, deliver func([]byte)) (func() error, error) {
	if rand.IntN(20) == 0 {
		return nil, errFaulty
	}
	b := &faultyBox{deliver: deliver}
	f.mu.Lock()
	if f.topics == nil {
		f.topics = make(map[string][]*faultyBox)
	}
	f.topics[topic] = append(f.topics[topic], b)
	f.mu.Unlock()
	time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
	return func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		kept := []*faultyBox{}
		for _, x := range f.topics[topic] {
			if x != b {
				kept = append(kept, x)
			}
		}
		f.topics[topic] = kept
		if rand.IntN(10) == 0 {
			return errFaulty
		}
		return nil
	}, nil
}
