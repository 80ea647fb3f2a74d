package hub

import (
	"cmp"
	"errors"

	"github.com/fullduplex-go/websocket"
)

// keepUpBytes is how many bytes may wait in a connection that counts as keeping up:
// those that a handler on a Loop has collected, or that TLS is about to write.
const keepUpBytes = 4 << 10

// maxUnsent is about how many bytes the system may hold back for a slow reader,
// since the hub can no longer replace them. On Linux, bytes on their way to the
// peer do not count.
const maxUnsent = 16 << 10

// limitUnsent bounds the bytes that the system takes before it can send them,
// where the platform supports such a bound.
func (h *Hub) limitUnsent(c conn) {
	err := c.LimitUnsent(maxUnsent)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) && c.Context().Err() == nil {
		h.logger().Warn("hub: a slow reader may fall behind", "error", err)
	}
}

// backlog holds the messages that wait for a slow reader, if the policy keeps some. It exists while a goroutine drains it, and is guarded by chunk.mu.
type backlog struct {
	ring  []*message        // its size is a power of two, or the limit
	limit int               // how many messages there may be
	head  int               // index of the oldest
	n     int               // how many messages wait
	gone  uint64            // how many have been removed so far
	keys  map[string]uint64 // if the policy is keyed: number of a key's message, from the first ever
	stop  chan struct{}     // closed when the subscription ends
}

func (b *backlog) len() int { return b.n }

// delay makes m the first message of a backlog.
func (s *Subscription) delay(m *message, n *counts) error {
	r := s.policy.rules()
	e := s.extraLocked()
	b := &backlog{limit: cmp.Or(e.queue, r.queue), stop: make(chan struct{})}
	if r.keyed {
		b.keys = make(map[string]uint64)
	}
	e.backlog = b
	s.chunk.topic.hub.pending.Enter()
	go s.drain(b)
	return b.put(s, m, n)
}

// put adds m at the end, or in the place of the message that it replaces.
func (b *backlog) put(s *Subscription, m *message, n *counts) error {
	if at, ok := b.keys[m.key]; ok {
		b.ring[b.place(int(at-b.gone))] = m
		s.extra.conflated++
		n.conflated++
		return nil
	}
	if b.n == b.limit {
		return s.policy.rules().full(s, m, n, websocket.ErrBackpressure)
	}
	b.push(m)
	return nil
}

// push adds m at the end.
func (b *backlog) push(m *message) {
	if b.n == len(b.ring) {
		b.grow()
	}
	b.ring[b.place(b.n)] = m
	if b.keys != nil {
		b.keys[m.key] = b.gone + uint64(b.n)
	}
	b.n++
}

// place returns the index in the ring of the i-th message.
func (b *backlog) place(i int) int {
	if i += b.head; i >= len(b.ring) {
		i -= len(b.ring)
	}
	return i
}

func (b *backlog) grow() {
	ring := make([]*message, min(max(8, 2*len(b.ring)), b.limit))
	k := copy(ring, b.ring[b.head:])
	copy(ring[k:], b.ring[:b.head])
	b.ring, b.head = ring, 0
}

func (b *backlog) first() *message { return b.ring[b.head] }

// pop removes the oldest message.
func (b *backlog) pop() {
	if b.keys != nil {
		delete(b.keys, b.first().key)
	}
	b.ring[b.head] = nil
	b.head = b.place(1)
	b.gone++
	b.n--
}

// drain sends the messages of b whenever the connection's own queue is drained,
// until b is empty or the subscription ends. It runs in a goroutine of its own.
func (s *Subscription) drain(b *backlog) {
	defer s.chunk.topic.hub.pending.Leave()
	for {
		select {
		case <-s.client.conn.Drained():
		case <-b.stop:
			return
		}
		// The first message is sent without a look at the queue: a closing
		// connection counts as drained, whatever is buffered, and returns an error.
		var n counts
		next := s.sendOne(b, false, &n)
		for next == again {
			next = s.sendOne(b, true, &n)
		}
		s.chunk.topic.hub.counters.add(&n)
		if next == done {
			return
		}
	}
}

// step is the next step of drain.
type step uint8

const (
	again step = iota // send one more
	await             // the connection takes no more
	done              // nothing is left, or the subscription has ended
)

// sendOne sends the first message of b. With look, it sends only to a connection
// that keeps up. It locks chunk.mu for one message, so that others need not wait.
func (s *Subscription) sendOne(b *backlog, look bool, n *counts) step {
	next, ended := s.sendFirst(b, look, n)
	if ended {
		s.left()
	}
	return next
}

func (s *Subscription) sendFirst(b *backlog, look bool, n *counts) (next step, ended bool) {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	switch {
	case s.gone:
		return done, false
	case look && s.client.conn.Buffered() > keepUpBytes:
		return await, false
	}
	err := s.client.conn.SendPrepared(b.first().prepared)
	switch {
	case err == nil:
		s.sent++
		n.delivered++
	case errors.Is(err, websocket.ErrBackpressure):
		return await, false
	case tooBig(err):
		s.leaveOut(n)
	default: // the connection has ended
		s.removeLocked()
		return done, true
	}
	if b.pop(); b.n > 0 {
		return again, false
	}
	s.extra.backlog = nil
	return done, false
}
