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
	Close(websocket.StatusCode, string) error
}

// Subscription subscribes a connection to a topic. It is made by [Hub.Subscribe].
// Its methods may be called from any number of goroutines.
type Subscription struct {
	topic     *topic
	conn      conn
	chunk     *chunk
	policy    Policy
	queue     int
	member    string
	closeWith closeWith

	// Guarded by chunk.mu.
	at                       int    // index in chunk.subs
	gone                     bool   // no longer in chunk.subs
	from                     uint64 // number of the first message after the replay
	stop                     func() bool
	entry                    *entry   // during the replay, or nil
	backlog                  *backlog // messages that wait for a slow reader, or nil
	sent, dropped, conflated uint64

	// Guarded by topic.mu.
	present  bool // the member has been counted
	released bool // the place in the set has been given back
}

// closeWith is the code and the reason that Disconnect closes a connection with.
type closeWith struct {
	code   websocket.StatusCode
	reason string
}

// Stats counts the messages for a subscription by their outcome.
type Stats struct {
	Sent      uint64 // given to the connection
	Dropped   uint64 // left out, because the peer did not keep up
	Conflated uint64 // replaced by a newer message of the same key, for the same reason
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
	ctx := c.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
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
	s := &Subscription{topic: t, conn: c, policy: o.Policy, queue: o.Queue, member: o.Member}
	s.closeWith = closeWith{o.Code, o.Reason}
	if err := s.begin(o.Replay && h.opts.Replay > 0); err != nil {
		return nil, err
	}
	return s, nil
}

// begin adds s to the subscribers of its topic.
func (s *Subscription) begin(replay bool) error {
	t := s.topic
	if !t.admit(s) {
		return ErrClosed
	}
	t.hub.subscribed.Enter()
	kept := s.addToChunk(replay)
	if replay {
		if err := s.replay(kept); err != nil {
			s.Unsubscribe()
			return err
		}
	}
	if !t.welcome(s) {
		s.Unsubscribe()
		return ErrClosed
	}
	return nil
}

// addToChunk adds s to its chunk, from which s gets messages from then on. It
// returns the messages of the replay, which are to be sent first.
func (s *Subscription) addToChunk(replay bool) (kept []*message) {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	s.from, kept = s.topic.start(replay)
	s.chunk.addLocked(s)
	if replay {
		s.entry = new(entry)
	}
	s.stop = context.AfterFunc(s.conn.Context(), s.Unsubscribe)
	return kept
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

// welcome counts the member of s, which is in its chunk.
func (t *topic) welcome(s *Subscription) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dead {
		return false
	}
	if s.member != "" && !s.released {
		s.present = true
		t.joinLocked(s.member)
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
		s.topic.hub.counters.add(&n)
		s.left()
	}
}

// catchUpLocked gives s the messages that have a number and that the chunk of s has
// not had yet. The caller holds chunk.mu.
func (s *Subscription) catchUpLocked(n *counts) {
	for _, m := range s.topic.undelivered(s.chunk.seq) {
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
	s.entry = nil
	if s.backlog != nil {
		close(s.backlog.stop)
		s.backlog = nil
	}
}

// left gives back the place of s, after removeLocked.
func (s *Subscription) left() {
	s.stop()
	t := s.topic
	defer t.hub.subscribed.Leave()
	t.mu.Lock()
	s.released = true
	if s.present {
		t.leaveLocked(s.member)
	}
	t.set.giveBack(s.chunk)
	t.mu.Unlock()
	t.release()
}

// Stats returns the counters as they stand.
func (s *Subscription) Stats() Stats {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	st := Stats{Sent: s.sent, Dropped: s.dropped, Conflated: s.conflated}
	if s.backlog != nil {
		st.Pending = s.backlog.len()
	}
	return st
}

// giveBatch is called with the published messages. An error ends the subscription.
// The caller holds chunk.mu.
func (s *Subscription) giveBatch(b *batch, n *counts) error {
	if b.joined != nil && s.from <= b.messages[0].seq && s.entry == nil && s.backlog == nil && !s.behind() {
		switch err := s.conn.SendPrepared(b.joined); {
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
	return s.policy.queues() && s.conn.Buffered() > keepUpBytes
}

// give is giveBatch for one message.
func (s *Subscription) give(m *message, n *counts) error {
	switch {
	case m.seq < s.from:
		return nil
	case s.entry != nil:
		s.entry.early = append(s.entry.early, m)
		return nil
	}
	return s.put(m, n)
}

// put sends m, or applies the policy to m. The caller holds chunk.mu.
func (s *Subscription) put(m *message, n *counts) error {
	if s.backlog != nil {
		return s.backlog.put(s, m, n)
	}
	if s.behind() {
		return s.delay(m, n)
	}
	err := s.conn.SendPrepared(m.prepared)
	if err == nil {
		s.sent++
		n.delivered++
		return nil
	}
	return s.refused(m, n, err)
}
