package hub

import (
	"context"

	"github.com/fullduplex-go/websocket"
)

// conn has the methods of a connection that the hub uses.
type conn interface {
	SendPrepared(*websocket.PreparedMessage) error
	Buffered() int
	Drained() <-chan struct{}
	LimitUnsent(n int) error
	Context() context.Context
	AfterClose(func()) (stop func() bool, err error)
	Close(websocket.StatusCode, string) error
}

// Subscription subscribes a connection to a topic. It is made by [Hub.Subscribe].
// Its methods may be called from any number of goroutines.
type Subscription struct {
	chunk      *chunk
	client     *client
	next, prev *Subscription // in client.subs; guarded by clients.mu

	// Guarded by chunk.mu.
	from   uint64 // number of the first message after the replay
	sent   uint64
	extra  *extra // nil if nothing is in it; made on demand
	at     uint8  // index in chunk.subs
	gone   bool   // no longer in chunk.subs
	policy Policy // does not change

	// Guarded by topic.mu.
	present  bool // the member has been counted
	released bool // the place in the set has been given back
}

// extra holds the fields that few subscriptions need.
type extra struct {
	// These do not change.
	member    string
	queue     int        // as by SubscribeOptions.Queue; 0 for the policy's default
	closeWith *closeWith // for Disconnect; nil for the default

	entry   *entry   // during the replay, or nil
	backlog *backlog // messages that wait for a slow reader, or nil

	dropped, conflated, tooBig uint64
}

// extraLocked returns extra, and allocates it if it is nil.
func (s *Subscription) extraLocked() *extra {
	if s.extra == nil {
		s.extra = new(extra)
	}
	return s.extra
}

func (s *Subscription) entry() *entry {
	if s.extra == nil {
		return nil
	}
	return s.extra.entry
}

func (s *Subscription) backlog() *backlog {
	if s.extra == nil {
		return nil
	}
	return s.extra.backlog
}

// closeWith is the code and the reason that Disconnect closes a connection with.
type closeWith struct {
	code   websocket.StatusCode
	reason string
}

var defaultClose = closeWith{websocket.StatusTryAgainLater, "too slow"}

// closing returns what Disconnect closes the connection of s with.
func (s *Subscription) closing() closeWith {
	if s.extra != nil && s.extra.closeWith != nil {
		return *s.extra.closeWith
	}
	return defaultClose
}

// Stats counts the messages for a subscription by their outcome.
type Stats struct {
	Sent      uint64 // given to the connection
	Dropped   uint64 // left out, because the peer did not keep up
	Conflated uint64 // replaced by a newer message of the same key, for the same reason
	TooBig    uint64 // left out, because they are larger than the connection's SendBuffer
	Pending   int    // waiting in the hub, without those in the connection's queue
}

// Subscribe has c get the messages that are published to topic from now on,
// until Unsubscribe is called or c closes, from either side: then the
// subscription ends by itself. opts says what happens when c does not keep up; it
// may be nil and is not kept. c may have any number of subscriptions, with
// different options, even to the same topic.
//
// Messages are sent by [websocket.Conn.SendPrepared], between the other messages
// on c; each subscription keeps the order of its topic. It gets all messages
// from its first one to its last, and none of a Publish that began to send before
// Subscribe did, but for those that SubscribeOptions.Replay asks for.
//
// With a Backplane the first subscription to a topic waits until the backplane
// knows of it, which may be a round trip to a broker. When Subscribe has returned,
// messages that are published anywhere arrive.
//
// The error is [ErrClosed] after Shutdown, the cause if c is closing, or says
// what is wrong with opts; or it wraps that of the Backplane, if that could not
// be asked for the topic's messages: then there is no subscription.
func (h *Hub) Subscribe(topic string, c *websocket.Conn, opts *SubscribeOptions) (*Subscription, error) {
	if c == nil {
		return nil, errNilConn
	}
	return h.subscribe(topic, c, opts)
}

func (h *Hub) subscribe(name string, c conn, opts *SubscribeOptions) (*Subscription, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if !h.calls.Enter() {
		return nil, ErrClosed
	}
	defer h.calls.Leave()
	cl, err := h.client(c)
	if err != nil {
		return nil, err
	}
	defer cl.release()
	if o.Policy.queues() {
		h.limitUnsent(c)
	}
	t := h.acquire(name)
	if t == nil {
		return nil, ErrClosed
	}
	defer t.release()
	if err := t.connect(); err != nil {
		return nil, err
	}
	s := &Subscription{client: cl, policy: o.Policy}
	if e := o.extra(); e != (extra{}) {
		s.extra = &e
	}
	if err := s.begin(t, o.Member, o.Replay && h.opts.Replay > 0); err != nil {
		return nil, err
	}
	return s, nil
}

// extra returns the options that a Subscription keeps, but for the policy.
func (o *SubscribeOptions) extra() extra {
	e := extra{member: o.Member, queue: o.Queue}
	if c := (closeWith{o.Code, o.Reason}); c != defaultClose {
		e.closeWith = &c
	}
	return e
}

// begin adds s to the subscribers of t.
func (s *Subscription) begin(t *topic, member string, replay bool) error {
	if !t.admit(s) {
		return ErrClosed
	}
	t.hub.subscribed.Enter()
	kept, ok := s.addToChunk(replay)
	if !ok {
		s.left()
		return s.cause()
	}
	if replay {
		if err := s.replay(kept); err != nil {
			s.Unsubscribe()
			return err
		}
	}
	if !t.welcome(s, member) {
		s.Unsubscribe()
		return ErrClosed
	}
	return nil
}

// addToChunk adds s to its chunk, from which s gets messages from then on. It
// returns the messages of the replay, which are to be sent first. If the connection
// has closed, s is gone and addToChunk returns false.
func (s *Subscription) addToChunk(replay bool) (kept []*message, ok bool) {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	s.from, kept = s.chunk.topic.start(replay)
	if !s.client.add(s) { // when it closes, Unsubscribe waits for chunk.mu
		s.gone = true
		return nil, false
	}
	if replay {
		s.extraLocked().entry = new(entry)
	}
	s.chunk.addLocked(s)
	return kept, true
}

// admit gives s a place in t, and keeps t for it.
func (t *topic) admit(s *Subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return false
	}
	t.refs++
	s.chunk = t.set.reserve()
	return true
}

// welcome counts member, the one of s, which is in its chunk.
func (t *topic) welcome(s *Subscription, member string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return false
	}
	if member != "" && !s.released {
		s.present = true
		t.joinLocked(member)
	}
	return true
}

// Unsubscribe ends the subscription: once it has returned, no more messages
// are given to the connection, and those that waited in the hub are dropped.
// Messages in the connection's queue are still sent. Unsubscribe may be called
// repeatedly.
//
// The message of a Publish that is under way belongs to the subscription, and so
// does one that waits for others by Options.Collect: Unsubscribe gives it to the
// connection if that has not happened yet. So a connection that unsubscribes and
// subscribes again during a Publish gets the message once.
func (s *Subscription) Unsubscribe() {
	var n counts
	s.chunk.mu.Lock()
	ours := !s.gone
	if ours {
		s.catchUpLocked(&n)
		s.removeLocked()
	}
	s.chunk.mu.Unlock()
	if ours {
		s.chunk.topic.hub.counters.add(&n)
		s.left()
	}
}

// catchUpLocked gives s the messages that have a number and that the chunk of s has
// not had yet. The caller holds chunk.mu.
func (s *Subscription) catchUpLocked(n *counts) {
	for _, m := range s.chunk.topic.undelivered(s.chunk.seq) {
		if s.give(m, n) != nil { // it would end the subscription, which ends anyway
			return
		}
	}
}

// removeLocked removes s, which is not gone, from its chunk. The caller holds
// chunk.mu, and calls left after unlocking it.
func (s *Subscription) removeLocked() {
	s.gone = true
	s.chunk.removeLocked(s)
	if s.extra == nil {
		return
	}
	s.extra.entry = nil
	if b := s.extra.backlog; b != nil {
		close(b.stop)
		s.extra.backlog = nil
	}
}

// left gives back the place of s, after removeLocked.
func (s *Subscription) left() {
	s.client.remove(s)
	t := s.chunk.topic
	defer t.hub.subscribed.Leave()
	t.mu.Lock()
	s.released = true
	if s.present {
		t.leaveLocked(s.extra.member)
	}
	t.set.giveBack(s.chunk)
	t.mu.Unlock()
	t.release()
}

// Stats returns the counters as they stand.
func (s *Subscription) Stats() Stats {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	st := Stats{Sent: s.sent}
	if e := s.extra; e != nil {
		st.Dropped, st.Conflated, st.TooBig = e.dropped, e.conflated, e.tooBig
		if e.backlog != nil {
			st.Pending = e.backlog.len()
		}
	}
	return st
}

// giveBatch is called with the published messages. An error ends the subscription.
// The caller holds chunk.mu.
func (s *Subscription) giveBatch(b *batch, n *counts) error {
	if b.joined != nil && s.from <= b.messages[0].seq && s.entry() == nil && s.backlog() == nil && !s.behind() {
		switch err := s.client.conn.SendPrepared(b.joined); {
		case err == nil:
			s.sent += uint64(len(b.messages))
			n.delivered += uint64(len(b.messages))
			return nil
		case !isRefusal(err):
			return err
		}
		// Some of them may fit.
	}
	for _, m := range b.messages {
		if err := s.give(m, n); err != nil {
			return err
		}
	}
	return nil
}

// behind reports whether messages are to wait in the hub.
func (s *Subscription) behind() bool {
	return s.policy.queues() && s.client.conn.Buffered() > keepUpBytes
}

// give is giveBatch for one message.
func (s *Subscription) give(m *message, n *counts) error {
	if m.seq < s.from {
		return nil
	}
	if e := s.entry(); e != nil {
		e.early = append(e.early, m)
		return nil
	}
	return s.put(m, n)
}

// put sends m, or applies the policy to m. The caller holds chunk.mu.
func (s *Subscription) put(m *message, n *counts) error {
	if b := s.backlog(); b != nil {
		return b.put(s, m, n)
	}
	if s.behind() {
		return s.delay(m, n)
	}
	err := s.client.conn.SendPrepared(m.prepared)
	if err == nil {
		s.sent++
		n.delivered++
		return nil
	}
	return s.refused(m, n, err)
}
