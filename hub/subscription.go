package hub

import (
	"context"
	"errors"
	"fmt"

	"github.com/fullduplex-go/websocket"
)

// conn is what the hub needs of a connection.
type conn interface {
	SendPrepared(*websocket.PreparedMessage) error
	Buffered() int
	Drained() <-chan struct{}
	LimitUnsent(n int) error
	Context() context.Context
	Close(websocket.StatusCode, string) error
}

// Subscription is a connection's part in a topic, made by [Hub.Subscribe]. Its
// methods may be called from any number of goroutines.
type Subscription struct {
	topic     *topic
	conn      conn
	chunk     *chunk
	policy    Policy
	queue     int
	member    string
	closeWith *closeWith // for Disconnect

	// Guarded by chunk.mu.
	at                       int    // where it is in chunk.subs
	gone                     bool   // it is no longer there
	from                     uint64 // number of the first message that it gets, behind the replay
	stop                     func() bool
	entry                    *entry   // while it gets the replay, or nil
	backlog                  *backlog // what waits for a slow reader, or nil
	sent, dropped, conflated uint64

	// Guarded by topic.mu.
	present  bool // its member has been counted
	released bool // its place has been given back
}

// closeWith is the code and the reason that Disconnect closes a connection with.
type closeWith struct {
	code   websocket.StatusCode
	reason string
}

// Stats counts what became of the messages for a subscription.
type Stats struct {
	Sent      uint64 // given to the connection
	Dropped   uint64 // left out, because the peer did not keep up
	Conflated uint64 // replaced by a newer message of the same key, for the same reason
	Pending   int    // waiting in the hub, not counting what waits in the connection
}

// Subscribe has c get the messages that are published to topic from now on,
// until Unsubscribe is called or c closes, from either side: then the
// subscription ends by itself. With opts, which may be nil and are not kept,
// it says what happens when c does not keep up. c may have any number of
// subscriptions, with different options, even to the same topic.
//
// Messages are sent by [websocket.Conn.SendPrepared], mixed with what else is
// sent on c; each subscription keeps the order of its topic. It gets all messages
// from its first one to its last, and none of a Publish that began to send before
// Subscribe did, but for those that SubscribeOptions.Replay asks for.
//
// With a Backplane the first subscription to a topic waits until the backplane
// knows of it, which may be a round trip to a broker. When Subscribe has returned,
// what is published anywhere arrives.
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
	if o.Policy == Disconnect {
		s.closeWith = &closeWith{o.Code, o.Reason}
	}
	if err := s.begin(o.Replay && h.opts.Replay > 0); err != nil {
		return nil, err
	}
	return s, nil
}

// begin puts s among the subscribers of its topic.
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

// addToChunk adds s to its chunk: from here on messages come. It returns what is to be
// sent before them.
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

// welcome makes the member of s, which is where messages come, known.
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
// are given to the connection, and what waited in the hub is forgotten. What
// waits in the connection leaves. It may be called repeatedly.
//
// A message that a Publish is just sending to all belongs to the subscription:
// Unsubscribe gives it to the connection if that did not have its turn yet. So
// a connection that unsubscribes and subscribes again during a Publish gets the
// message once.
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

// catchUpLocked gives s the current message of its topic, unless it has come to
// the chunk of s already. The caller holds chunk.mu.
func (s *Subscription) catchUpLocked(n *counts) {
	if m := s.topic.currentMessage(); m != nil && m.seq > s.chunk.seq {
		s.give(m, n) // an error is a reason to end the subscription, which is being done
	}
}

// removeLocked takes s, which is not gone, out of its chunk. The caller holds
// chunk.mu, and calls left when it no longer does.
func (s *Subscription) removeLocked() {
	s.gone = true
	s.chunk.removeLocked(s)
	s.entry = nil
	if s.backlog != nil {
		close(s.backlog.stop)
		s.backlog = nil
	}
}

// left follows removeLocked.
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

// give is called with each message that is published. An error says why the
// subscription is to end. The caller holds chunk.mu.
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

// put sends m, or does with it what the policy says. The caller holds chunk.mu.
func (s *Subscription) put(m *message, n *counts) error {
	if s.backlog != nil {
		s.backlog.put(s, m, n)
		return nil
	}
	if s.policy.queues() && s.conn.Buffered() > keepUpBytes {
		s.delay(m, n)
		return nil
	}
	err := s.conn.SendPrepared(m.prepared)
	if err == nil {
		s.sent++
		n.delivered++
		return nil
	}
	return s.refused(m, n, err)
}

// refused does what is to be done with m, which the connection has not taken.
func (s *Subscription) refused(m *message, n *counts, err error) error {
	full := errors.Is(err, websocket.ErrBackpressure)
	switch {
	case !full && !tooBig(err):
		return err // the connection has ended
	case s.policy == Disconnect:
		n.disconnected++
		go s.conn.Close(s.closeWith.code, s.closeWith.reason)
		return fmt.Errorf("hub: disconnected: %w", err)
	case full && s.policy.queues():
		s.delay(m, n)
	default:
		s.dropped++
		n.dropped++
	}
	return nil
}

// tooBig reports whether err is about a message that does not fit into the
// connection's queue, even when that is empty. A peer's message that was too
// big has ended the connection.
func tooBig(err error) bool {
	var closed *websocket.CloseError
	return errors.Is(err, websocket.ErrMessageTooBig) && !errors.As(err, &closed)
}
