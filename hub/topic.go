package hub

import (
	"fmt"
	"sync"

	"github.com/fullduplex-go/websocket"
)

// message is a message of a topic. All subscribers, the replay and all backlogs
// share it.
type message struct {
	prepared *websocket.PreparedMessage
	size     int // about how many bytes it is on the wire
	key      string
	seq      uint64 // its number in the topic, from 1

	older, newer *message // its neighbours in the topic's replay; guarded by topic.mu
}

// newMessage returns a message with the content p, which it does not keep.
func (h *Hub) newMessage(key string, typ websocket.MessageType, p []byte) (*message, error) {
	if most := h.opts.MaxMessage; most > 0 && len(p)+maxHeader > most {
		return nil, &tooBigError{len(p), most}
	}
	prepared, err := websocket.NewPreparedMessage(typ, p)
	if err != nil {
		return nil, err
	}
	return &message{prepared: prepared, size: len(p) + maxHeader, key: key}, nil
}

// maxHeader is the size of the longest header of a server's frame.
const maxHeader = 10

// tooBigError is the error for a message over Options.MaxMessage.
type tooBigError struct{ size, limit int }

func (e *tooBigError) Error() string {
	return fmt.Sprintf("hub: message of %d bytes is over Options.MaxMessage (%d, with %d for the header)", e.size, e.limit, maxHeader)
}

func (e *tooBigError) Unwrap() error { return websocket.ErrMessageTooBig }

// topic holds the subscribers of a topic, and the messages that are kept for them.
//
// A subscription gets the messages of a range of numbers. Its first number is
// the one after the newest message, and is decided under mu while chunk.mu is
// held. So a message with that number finds the subscription in its chunk, and
// an earlier message is not given to the subscription, wherever its place is. A
// subscription that ends is given first what its chunk has not had yet of the
// messages that have a number.
//
// The locks are taken in this order: out, link, chunk.mu, mu. Only out and link are
// held while the backplane is called. The backplane's calls take neither, so it may
// deliver in the middle of a Publish. Only chunk.mu is needed to give messages to a
// subscriber, and it is held for at most as long as one chunk takes one batch: no
// Subscribe or Unsubscribe waits until a message has gone to a hundred thousand
// subscribers.
type topic struct {
	hub   *Hub
	name  string
	plane *planeLink // nil without a Backplane

	mu       sync.Mutex // guards the fields below
	refs     int32      // users that keep the topic: subscriptions, calls under way, tell
	dead     bool       // removed from Hub.topics, or about to be
	used     bool       // had a subscriber, or a message for the replay, since recheck
	idle     bool       // in Hub.idle
	seq      uint64     // of the newest message
	delivery *delivery  // the messages that are on their way to the subscribers, or nil
	replay   *replay    // nil if it is empty
	presence *presence  // nil without members
	set      set
}

// newTopic returns a topic, which takes as little memory as it can: there may be one
// for each connection.
func newTopic(h *Hub, name string) *topic {
	t := &topic{hub: h, name: name}
	t.set.first.topic = t
	if h.opts.Backplane != nil {
		t.plane = new(planeLink)
	}
	return t
}

// retain keeps t until release is called. It returns false if t is dead.
func (t *topic) retain() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return false
	}
	t.refs++
	return true
}

func (t *topic) release() {
	t.mu.Lock()
	t.refs--
	last := t.refs == 0 && !t.dead
	t.mu.Unlock()
	if last {
		t.hub.retire(t)
	}
}

// publish has m given to all subscribers. from is the source of m, nil if m was
// published here. If t is dead, or from is no longer t.source, publish does
// nothing and returns false.
func (t *topic) publish(m *message, from *source) bool {
	if !t.number(m, from) {
		return false
	}
	t.send(m)
	return true
}

// number makes m the newest message. Later subscribers get m from the replay. The
// caller calls send next.
func (t *topic) number(m *message, from *source) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || from != nil && from != t.plane.source {
		return false
	}
	t.seq++
	m.seq = t.seq
	if limit := t.hub.opts.Replay; limit > 0 {
		t.used = true
		if t.replay == nil {
			t.replay = new(replay)
		}
		t.replay.add(m, limit)
	}
	if t.set.size > 0 || t.delivery != nil {
		t.queueLocked(m) // without subscribers, too, if others wait for what comes before
	}
	return true
}

// start returns the number of the first message for a subscription that begins
// now and, with replay, the earlier messages that the topic has kept. The caller
// holds the lock of the subscription's chunk, and adds the subscription there.
func (t *topic) start(replay bool) (first uint64, kept []*message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if replay && t.replay != nil {
		kept = t.replay.messages()
	}
	return t.seq + 1, kept
}
