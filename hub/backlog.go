package hub

import (
	"errors"

	"github.com/fullduplex-go/websocket"
)

// slack is how many bytes may wait in a connection that counts as keeping up:
// what a handler on a Loop has collected, or what TLS is about to write. The
// kernel holds far more.
const slack = 4 << 10

// backlog is what waits for a slow reader, by DropOldest or KeepLatest. It is
// guarded by chunk.mu, and there while a goroutine drains it.
type backlog struct {
	ring []*message        // its size is a power of two, or the limit
	head int               // where the oldest is
	n    int               // how many there are
	gone uint64            // how many have been taken out, ever
	keys map[string]uint64 // for KeepLatest: where the message of a key is, counted from the first ever
	stop chan struct{}     // closed when the subscription ends
}

func (b *backlog) len() int { return b.n }

// delay makes m the first message of a backlog.
func (s *Subscription) delay(m *message, n *tally) {
	b := &backlog{stop: make(chan struct{})}
	if s.policy == KeepLatest {
		b.keys = make(map[string]uint64)
	}
	s.backlog = b
	b.put(s, m, n)
	s.topic.hub.pending.enter()
	go s.drain(b)
}

// put adds m behind what waits, or puts it in the place of what it replaces.
func (b *backlog) put(s *Subscription, m *message, n *tally) {
	if b.keys != nil {
		if at, ok := b.keys[m.key]; ok {
			b.ring[b.place(int(at-b.gone))] = m
			s.conflated++
			n.conflated++
			return
		}
	}
	if b.n == s.queue {
		b.pop()
		s.dropped++
		n.dropped++
	}
	if b.n == len(b.ring) {
		b.grow(s.queue)
	}
	b.ring[b.place(b.n)] = m
	if b.keys != nil {
		b.keys[m.key] = b.gone + uint64(b.n)
	}
	b.n++
}

// place returns where in the ring the i-th message is.
func (b *backlog) place(i int) int {
	if i += b.head; i >= len(b.ring) {
		i -= len(b.ring)
	}
	return i
}

func (b *backlog) grow(limit int) {
	ring := make([]*message, min(max(8, 2*len(b.ring)), limit))
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

// drain sends what is in b whenever the connection has sent what it was given,
// until nothing is left or the subscription ends. It runs in a goroutine of its
// own.
func (s *Subscription) drain(b *backlog) {
	defer s.topic.hub.pending.leave()
	for {
		select {
		case <-s.conn.Drained():
		case <-b.stop:
			return
		}
		var n tally
		more := true
		for more && s.sendOne(b, &n, &more) {
		}
		s.topic.hub.counters.add(&n)
		if !more {
			return
		}
	}
}

// sendOne sends the first message of b, if the connection takes it, and
// reports whether it did. It clears more when there is no more to do. The lock
// is not held for longer, so that others need not wait.
func (s *Subscription) sendOne(b *backlog, n *tally, more *bool) (sent bool) {
	c := s.chunk
	c.mu.Lock()
	if s.gone {
		c.mu.Unlock()
		*more = false
		return false
	}
	if s.conn.Buffered() > slack {
		c.mu.Unlock()
		return false
	}
	err := s.conn.SendPrepared(b.first().prepared)
	switch {
	case err == nil:
		s.sent++
		n.delivered++
	case errors.Is(err, websocket.ErrBackpressure):
		c.mu.Unlock()
		return false
	case tooBig(err):
		s.dropped++
		n.dropped++
	default: // the connection has ended
		s.removeLocked()
		c.mu.Unlock()
		s.left()
		*more = false
		return false
	}
	b.pop()
	if b.n == 0 {
		s.backlog = nil
		*more = false
	}
	c.mu.Unlock()
	return true
}
