package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

// Source has the topics and makes their updates.
type Source struct {
	topics []topic
	slot   time.Duration // between two updates of different topics
	size   int
}

// NewSource makes a source that gives each of so many topics an update of so
// many bytes once in every.
func NewSource(topics int, every time.Duration, size int) (*Source, error) {
	slot := every / time.Duration(max(topics, 1))
	switch {
	case topics < 1 || topics > MaxTopics:
		return nil, fmt.Errorf("feed: %d topics; it takes 1 to %d", topics, MaxTopics)
	case slot < 10*time.Microsecond:
		return nil, fmt.Errorf("feed: %d updates in %v are too many", topics, every)
	case size < MinSize || size > MaxSize:
		return nil, fmt.Errorf("feed: updates of %d bytes; they have %d to %d", size, MinSize, MaxSize)
	}
	s := &Source{topics: make([]topic, topics), slot: slot, size: size}
	for i := range s.topics {
		s.topics[i] = topic{name: FirstTopic + i, seq: FirstSeq}
	}
	return s, nil
}

// Run makes updates until ctx is done. Topic i has its turn at the times that
// are i slots after a whole number of rounds since 1970, so a client in another
// process knows when that is.
func (s *Source) Run(ctx context.Context) {
	n := time.Now().UnixNano()/int64(s.slot) + 1
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ; ; n++ {
		timer.Reset(time.Until(time.Unix(0, n*int64(s.slot))))
		select {
		case <-timer.C:
			s.Publish(int(n % int64(len(s.topics))))
		case <-ctx.Done():
			return
		}
	}
}

// Publish makes an update of topic i, counted from 0, and passes it on. It is for
// tests; Run does it at the right times.
func (s *Source) Publish(i int) { s.topics[i].publish(time.Now(), s.size) }

// Subscribers is how many clients wait for updates of topic i.
func (s *Source) Subscribers(i int) int { return len(s.topics[i].subscribers.All()) }

// topic finds a topic by its name, or returns nil.
func (s *Source) topic(name int) *topic {
	if i := name - FirstTopic; i >= 0 && i < len(s.topics) {
		return &s.topics[i]
	}
	return nil
}

type topic struct {
	name        int
	subscribers contract.Set[*subscriber]

	mu     sync.Mutex // guards the fields below
	seq    int
	latest []byte // the update with the number seq, or nil; its bytes are never changed
}

// subscriber is told of the updates of a topic.
type subscriber struct{ deliver func(update []byte) }

// publish makes an update and passes it on.
func (t *topic) publish(now time.Time, size int) {
	t.mu.Lock()
	t.seq++
	update := appendUpdate(make([]byte, 0, size), t.name, t.seq, now, size)
	t.latest = update
	t.mu.Unlock()
	for _, s := range t.subscribers.All() {
		s.deliver(update)
	}
}

// after returns the latest update, or nil if the client has seen it.
func (t *topic) after(seen int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seq <= seen {
		return nil
	}
	return t.latest
}

// subscribe returns a channel on which updates come from now on, until cancel
// is called. Updates that come while the channel is full are missed.
func (t *topic) subscribe(room int) (updates <-chan []byte, cancel func()) {
	c := make(chan []byte, room)
	s := &subscriber{func(update []byte) {
		select {
		case c <- update:
		default:
		}
	}}
	t.subscribers.Add(s)
	return c, func() { t.subscribers.Remove(s) }
}
