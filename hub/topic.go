package hub

import (
	"sync"

	"github.com/fullduplex-go/websocket"
)

// message is a message of a topic. All subscribers, the replay and all backlogs
// share it.
type message struct {
	prepared *websocket.PreparedMessage
	key      string
	seq      uint64 // its number in the topic, from 1

	older, newer *message // its neighbours in the topic's replay; guarded by topic.mu
}

// topic holds the subscribers of a topic, and the messages that are kept for them.
//
// A subscription gets the messages of a range of numbers. Its first number is
// the one after the newest message, and is decided under mu while chunk.mu is
// held. So a message with that number finds the subscription in its chunk, and
// an earlier message is not given to the subscription, wherever its place is. A
// subscription that ends gets the current message first, if its chunk has not
// had that message yet.
//
// The locks are taken in this order: out, link, publishing, chunk.mu, mu. Only
// out and link are held while the backplane is called. The backplane's calls
// take neither, so it may deliver in the middle of a Publish. Only chunk.mu is
// needed to give a message to a subscriber, and it is held for at most as long
// as one chunk takes one message: no Subscribe or Unsubscribe waits until a
// message has gone to a hundred thousand subscribers.
type topic struct {
	hub  *Hub
	name string

	out        sync.Mutex // held by a local Publish, so that other hubs see the same order
	publishing sync.Mutex // held while a message goes to all subscribers, one message at a time

	link   sync.Mutex   // held while the hub subscribes or unsubscribes at the backplane
	unlink func() error // guarded by link; nil if the hub has not subscribed at the backplane

	mu      sync.Mutex // guards the fields below
	refs    int        // users that keep the topic: subscriptions, calls under way, tell
	dead    bool       // removed from Hub.topics, or about to be
	used    bool       // had a subscriber, or a message for the replay, since recheck
	idle    bool       // in Hub.idle
	seq     uint64     // of the newest message
	current *message   // the newest message while it goes to all subscribers, or nil
	source  *source    // the one from which backplane messages are accepted, or nil
	set     set
	replay  replay
	members map[string]int // number of subscriptions of each member
	events  []event        // waiting for their call of OnJoin or OnLeave
	telling bool           // a goroutine makes these calls
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

// publish gives m to all subscribers. from is the source of m, nil if m was
// published here. If t is dead, or from is no longer t.source, publish does
// nothing and returns false.
func (t *topic) publish(m *message, from *source, n *counts) bool {
	t.publishing.Lock()
	defer t.publishing.Unlock()
	chunks, ok := t.number(m, from)
	if !ok {
		return false
	}
	for _, c := range chunks {
		c.deliver(m, n)
	}
	t.mu.Lock()
	t.current = nil
	t.mu.Unlock()
	return true
}

// number makes m the newest and current message, and returns the chunks of the
// subscribers that are to get it. Later subscribers get m from the replay.
func (t *topic) number(m *message, from *source) ([]*chunk, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead || from != nil && from != t.source {
		return nil, false
	}
	t.seq++
	m.seq = t.seq
	t.current = m
	if limit := t.hub.opts.Replay; limit > 0 {
		t.used = true
		t.replay.add(m, limit)
	}
	return t.set.chunks, true
}

// start returns the number of the first message for a subscription that begins
// now and, with replay, the earlier messages that the topic has kept. The caller
// holds the lock of the subscription's chunk, and adds the subscription there.
func (t *topic) start(replay bool) (first uint64, kept []*message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if replay {
		kept = t.replay.messages()
	}
	return t.seq + 1, kept
}

// currentMessage returns the message that is going to all subscribers, or nil.
func (t *topic) currentMessage() *message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}
