package hub

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/drain"
)

// ErrClosed is returned by the methods of a [Hub] after its Shutdown. It
// matches [net.ErrClosed].
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string        { return "hub: shut down" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// Hub holds topics and their subscribers. Its methods may be called from any
// number of goroutines.
//
// A topic is any string, and need not be made: it exists while it has
// subscribers. A topic that does not exist takes no memory.
type Hub struct {
	opts     Options
	id       hubID
	counters counters
	helping  atomic.Int32 // goroutines that help with deliveries
	clients  clients

	calls      drain.Group // calls that Shutdown waits for; closed by it
	pending    drain.Group // subscriptions for which messages wait
	subscribed drain.Group // subscriptions that have not quite ended
	telling    drain.Group // goroutines that call OnJoin and OnLeave

	// Lock order: planeLink.out and link, then mu, then topic.mu. See topic for
	// the others.
	mu     sync.RWMutex
	topics map[string]*topic // nil after Shutdown
	most   int               // most topics at a time since the map was made
	idle   idleTopics        // topics without users
}

// New returns a hub with the given options, which are copied and may be nil.
// It has no goroutines while nothing happens, so a hub that is no longer used
// need not be shut down, unless it has a Backplane.
func New(opts *Options) *Hub {
	h := &Hub{topics: make(map[string]*topic)}
	if opts != nil {
		h.opts = *opts
	}
	h.opts = h.opts.withDefaults()
	rand.Read(h.id[:])
	return h
}

// Publish sends a message with the content p to all subscribers of topic, here
// and, with a Backplane, in other processes. It does not keep p.
//
// It never waits for a reader, and encodes the message once. When it returns,
// every connection here has been given the message, or the policy of its
// subscription has been applied; but see Options.Collect. So it takes longer the
// more subscribers there are. Messages that are published to the same topic
// meanwhile wait, and then leave together, in one write for each connection. From
// some hundred subscribers on the work is spread over the cores.
//
// All subscribers of this hub get the messages of a topic in the same order, and the
// messages of each hub come in the same order everywhere.
//
// A message that cannot be sent, such as a text that is not UTF-8, is refused
// with the error of [websocket.NewPreparedMessage], and one that is larger than
// Options.MaxMessage with an error that wraps [websocket.ErrMessageTooBig]. Any
// other error is [ErrClosed], or wraps that of the Backplane: then the message has
// been delivered here, but may not arrive elsewhere. A connection whose
// [websocket.Options].SendBuffer is smaller than the message does not get it: its
// subscription counts the message in Stats.TooBig, and [Disconnect] closes it.
func (h *Hub) Publish(topic string, typ websocket.MessageType, p []byte) error {
	return h.PublishKey(topic, "", typ, p)
}

// PublishKey is [Hub.Publish] for a message that carries the current value of
// key: it replaces earlier messages with the same key wherever they are still
// kept, by [KeepLatest] and Options.Replay. With the key "" it is Publish.
func (h *Hub) PublishKey(topic, key string, typ websocket.MessageType, p []byte) error {
	m, err := h.newMessage(key, typ, p)
	if err != nil {
		return err
	}
	if !h.calls.Enter() {
		return ErrClosed
	}
	defer h.calls.Leave()
	h.counters.published.Add(1)
	if h.opts.Backplane != nil {
		return h.publishOut(topic, m, appendEnvelope(nil, &envelope{h.id, typ, key, p}))
	}
	for t := h.find(topic); t != nil && !t.publish(m, nil); { // forgotten meanwhile
		t = h.find(topic)
	}
	return nil
}

// publishOut publishes m here and, as envelope, at the backplane. It does not
// deliver m before the backplane has it, so that messages of other publishers can
// join it.
func (h *Hub) publishOut(topic string, m *message, envelope []byte) error {
	t := h.findOut(topic)
	err := h.numberOut(t, topic, m, envelope)
	if m.seq > 0 {
		t.send(m)
	}
	if err != nil {
		return fmt.Errorf("hub: backplane: %w", err)
	}
	return nil
}

// numberOut numbers m in t, whose out the caller has locked and numberOut unlocks,
// and publishes it at the backplane. t may be nil.
func (h *Hub) numberOut(t *topic, name string, m *message, envelope []byte) error {
	if t != nil {
		defer t.plane.out.Unlock()
		t.number(m, nil)
	}
	return h.opts.Backplane.Publish(name, envelope)
}

// findOut is find for a hub with a Backplane: it locks the topic's out, and until
// out is unlocked only Shutdown removes the topic. So calls that publish to a
// topic run one at a time, even when topics are forgotten meanwhile.
func (h *Hub) findOut(name string) *topic {
	for {
		t := h.find(name)
		if t == nil {
			return nil
		}
		t.plane.out.Lock()
		if !t.isDead() {
			return t
		}
		t.plane.out.Unlock()
	}
}

// find returns the topic of that name. It returns nil if there is none, unless a
// new one has to be made for its replay.
func (h *Hub) find(name string) *topic {
	h.mu.RLock()
	t := h.topics[name]
	h.mu.RUnlock()
	if t == nil && h.opts.Replay > 0 && h.opts.Linger > 0 {
		if t = h.acquire(name); t != nil {
			t.release()
		}
	}
	return t
}

// acquire returns the topic of that name, which it makes if there is none. The
// topic is kept until it is released. After Shutdown acquire returns nil.
func (h *Hub) acquire(name string) *topic {
	for {
		h.mu.RLock()
		t := h.topics[name]
		h.mu.RUnlock()
		if t == nil {
			if t = h.open(name); t == nil {
				return nil
			}
		}
		if t.retain() {
			return t
		}
	}
}

// open returns the topic of that name, and makes it if there is none.
func (h *Hub) open(name string) *topic {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics == nil {
		return nil
	}
	t := h.topics[name]
	if t == nil {
		t = newTopic(h, name)
		h.topics[name] = t
		h.most = max(h.most, len(h.topics))
	}
	return t
}

// closeLocked undoes open.
func (h *Hub) closeLocked(t *topic) {
	t.dead = true
	delete(h.topics, t.name)
	h.topics = shrink(h.topics, &h.most)
}

// Members returns the members that have subscribed to topic here (see
// SubscribeOptions.Member), sorted. The caller owns the slice.
func (h *Hub) Members(topic string) []string {
	h.mu.RLock()
	t := h.topics[topic]
	h.mu.RUnlock()
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.presence == nil {
		return []string{}
	}
	return slices.Sorted(maps.Keys(t.presence.members))
}

// Subscribers returns how many subscriptions to topic there are here.
func (h *Hub) Subscribers(topic string) int {
	h.mu.RLock()
	t := h.topics[topic]
	h.mu.RUnlock()
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.set.size)
}

// Totals has the counters of a hub since it was made, and its present topics and
// subscriptions.
type Totals struct {
	Topics        int // topics that exist, including those that linger
	Subscriptions int

	Published    uint64 // messages that were published here
	Received     uint64 // messages that came from the backplane
	Invalid      uint64 // messages of the backplane that could not be parsed, or are over Options.MaxMessage
	Delivered    uint64 // messages given to connections: one to ten connections is ten
	Dropped      uint64 // not given to a connection, because its peer did not keep up
	Conflated    uint64 // replaced by a newer one of the same key, for the same reason
	TooBig       uint64 // not given to a connection, because they are larger than its SendBuffer
	Disconnected uint64 // connections that Disconnect has closed
}

type counters struct {
	published, received, invalid                atomic.Uint64
	delivered, dropped, conflated, disconnected atomic.Uint64
	tooBig                                      atomic.Uint64
}

// counts counts the outcomes of one message, or of several, until it is added to
// counters.
type counts struct{ delivered, dropped, conflated, disconnected, tooBig uint64 }

func (c *counters) add(t *counts) {
	addTo(&c.delivered, t.delivered)
	addTo(&c.dropped, t.dropped)
	addTo(&c.conflated, t.conflated)
	addTo(&c.disconnected, t.disconnected)
	addTo(&c.tooBig, t.tooBig)
}

// take is add, and sets t to zero.
func (c *counters) take(t *counts) {
	c.add(t)
	*t = counts{}
}

func addTo(total *atomic.Uint64, n uint64) {
	if n > 0 {
		total.Add(n)
	}
}

// Stats returns the counters as they stand.
func (h *Hub) Stats() Totals {
	h.mu.RLock()
	topics := len(h.topics)
	h.mu.RUnlock()
	c := &h.counters
	return Totals{
		Topics:        topics,
		Subscriptions: h.subscribed.Count(),
		Published:     c.published.Load(),
		Received:      c.received.Load(),
		Invalid:       c.invalid.Load(),
		Delivered:     c.delivered.Load(),
		Dropped:       c.dropped.Load(),
		Conflated:     c.conflated.Load(),
		TooBig:        c.tooBig.Load(),
		Disconnected:  c.disconnected.Load(),
	}
}

func (h *Hub) logger() *slog.Logger {
	if h.opts.Logger != nil {
		return h.opts.Logger
	}
	return slog.Default()
}

var errNilConn = errors.New("hub: nil Conn")
