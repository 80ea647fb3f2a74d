package hub

import (
	"sync"

	"github.com/fullduplex-go/websocket"
)

// message is a message of a topic, as it is published and as it waits for slow
// readers: they all share it.
type message struct {
	prepared *websocket.PreparedMessage
	key      string
	seq      uint64 // its number in the topic, from 1

	older, newer *message // its neighbours in the topic's replay; guarded by topic.mu
}

// topic is who has subscribed to it, and what is kept for them.
//
// A subscription gets the messages of a range of numbers. Its first number is
// the one after the newest message, and is decided under mu while chunk.mu is
// held. So a message with that number finds the subscription in its chunk, and
// one with an earlier number is not given to it, wherever its place is. A
// subscription that ends gets the current message first, if that has not come
// to its chunk yet.
//
// Its locks are taken in this order: out, link, publishing, chunk.mu, mu. Only
// out and link are held while the backplane is called, and the backplane's calls
// need neither, so that it may deliver in the middle of a Publish. Nothing but
// chunk.mu is needed to give a message to a subscriber, and nobody holds it for
// longer than it takes to give one message to one chunk: to subscribe or to end a
// subscription never waits for a message to go to a hundred thousand.
type topic struct {
	hub  *Hub
	name string

	out        sync.Mutex // held by who publishes here, so that others get it in the same order
	publishing sync.Mutex // held while a message goes to all subscribers, one message at a time

	link   sync.Mutex   // held while the backplane is told who wants the topic
	unlink func() error // guarded by link; nil if the hub has not subscribed at the backplane

	mu      sync.Mutex // guards what follows
	refs    int        // subscriptions, calls under way, and what else keeps the topic
	dead    bool       // it is no longer in Hub.topics, or about to be removed
	used    bool       // it had a subscriber, or the replay got something, since recheck
	idle    bool       // it is among Hub.idle
	seq     uint64     // of the newest message
	current *message   // the newest message while it goes to all subscribers, or nil
	source  *source    // where messages of the backplane may come from, or nil
	set     set
	replay  replay
	members map[string]int // how many subscriptions each has
	events  []event        // that OnJoin and OnLeave have not been called for yet
	telling bool           // a goroutine calls them
}

// retain keeps t until release is called; unless it is dead.
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

// publish gives m to all subscribers. from is where it came from, nil if it was
// published here. If t is dead, or from is no longer its source, publish does
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

// number makes m the newest message, and the current one, and returns where the
// subscribers are that are to get it. Later subscribers get it from the replay.
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

// start returns the number of the first message that a subscription gets which
// begins now, and with replay what the topic has kept of those before. The
// caller holds the lock of the subscription's chunk, and adds it there.
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
