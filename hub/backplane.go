package hub

import (
	"fmt"
	"sync"
)

// Backplane carries messages between the hubs of several processes, which see
// it as a set of topics like their own. Package natsplane has one for NATS,
// [Memory] is one for tests.
//
// A topic is any string, the empty one included. A message is bytes that only
// hubs understand.
type Backplane interface {
	// Publish sends msg to all subscribers of topic. It does not keep msg. It
	// must not take long, since the message is delivered here after it, and other
	// calls of [Hub.Publish] for the topic wait. It is called from several
	// goroutines.
	Publish(topic string, msg []byte) error

	// Subscribe calls deliver with each message that is published to topic from
	// now on, one at a time and in the order of each publisher, until
	// unsubscribe is called. The hub ignores its own messages, so the plane may
	// deliver them or not. deliver does not keep the message, and never waits
	// for a reader. It may be called at any time, from within Publish for
	// example.
	//
	// Every message that is published after Subscribe has returned arrives. So a
	// plane on a broker waits until the broker knows of the subscription: not
	// longer than some seconds, and not at all while there is no connection. In
	// these cases Subscribe returns no error, and messages arrive as soon as they
	// can. Subscribe holds up only other subscriptions to the same topic. It is
	// called from several goroutines, which should share a round trip.
	//
	// Once unsubscribe has been called, deliver may still be called with messages
	// that were on their way; the hub ignores them.
	//
	// A hub subscribes to a topic once at a time, and unsubscribes once. It may
	// have very many topics, so one should not cost a goroutine.
	Subscribe(topic string, deliver func(msg []byte)) (unsubscribe func() error, err error)
}

// planeLink is what a topic has with the backplane.
type planeLink struct {
	out    sync.Mutex   // held while a message is numbered and published there, so that other hubs see the same order
	link   sync.Mutex   // held while the hub subscribes or unsubscribes there
	unlink func() error // guarded by link; nil if the hub has not subscribed there
	source *source      // the one from which messages are accepted, or nil; guarded by topic.mu
}

// lockPlane keeps calls that use the backplane for t from beginning, until
// unlockPlane.
func (t *topic) lockPlane() {
	if t.plane != nil {
		t.plane.out.Lock()
		t.plane.link.Lock()
	}
}

func (t *topic) unlockPlane() {
	if t.plane != nil {
		t.plane.link.Unlock()
		t.plane.out.Unlock()
	}
}

// connect subscribes t at the backplane, unless it is subscribed already.
func (t *topic) connect() error {
	b := t.hub.opts.Backplane
	if b == nil {
		return nil
	}
	t.plane.link.Lock()
	defer t.plane.link.Unlock()
	switch {
	case t.plane.unlink != nil:
		return nil
	case t.isDead():
		return ErrClosed
	}
	src := &source{t}
	t.setSource(src) // a message may come before Subscribe returns
	unlink, err := b.Subscribe(t.name, src.receive)
	if err != nil {
		t.setSource(nil)
		return fmt.Errorf("hub: backplane: %w", err)
	}
	t.plane.unlink = unlink
	return nil
}

// source is a subscription of a topic at the backplane. Messages from a source
// that is no longer planeLink.source are ignored: no present subscriber may get
// them, and the next source could bring them a second time.
type source struct{ topic *topic }

func (t *topic) setSource(src *source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plane.source = src
}

func (t *topic) isDead() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dead
}

// disconnect undoes connect.
func (t *topic) disconnect() error {
	if t.plane == nil {
		return nil
	}
	t.plane.link.Lock()
	defer t.plane.link.Unlock()
	return t.disconnectLocked()
}

func (t *topic) disconnectLocked() error {
	if t.plane == nil || t.plane.unlink == nil {
		return nil
	}
	t.setSource(nil)
	err := t.plane.unlink()
	t.plane.unlink = nil
	if err != nil {
		return fmt.Errorf("hub: backplane: %w", err)
	}
	return nil
}

// receive takes a message from the backplane.
func (src *source) receive(msg []byte) {
	t := src.topic
	h := t.hub
	e, err := parseEnvelope(msg)
	if err != nil {
		h.invalid(t, err)
		return
	}
	if e.hub == h.id {
		return
	}
	m, err := h.newMessage(e.key, e.typ, e.payload)
	if err != nil {
		h.invalid(t, err)
		return
	}
	if !h.calls.Enter() {
		return
	}
	defer h.calls.Leave()
	h.counters.received.Add(1)
	t.publish(m, src)
}

// invalid counts a message that could not be parsed. It logs only the first, the
// second, the fourth, and so on, as there may be very many.
func (h *Hub) invalid(t *topic, err error) {
	if n := h.counters.invalid.Add(1); n&(n-1) == 0 {
		h.logger().Warn("hub: invalid message from the backplane", "topic", t.name, "error", err, "so far", n)
	}
}
