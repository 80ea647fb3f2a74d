package hub

import "sync"

// chunkSize is how many subscribers share a lock. So a subscriber that joins or
// leaves waits for at most that many sends.
const chunkSize = 128

// set holds the subscribers of a topic, in chunks. It is guarded by topic.mu,
// except for the fields that chunk.mu guards.
type set struct {
	first chunk // a part of the topic, since most topics need no other
	more  *chunks
	size  int32 // how many subscribers have a place
}

// chunks are the chunks behind the first. There are some as long as one of them has a
// subscriber.
type chunks struct {
	all   []*chunk
	free  []*chunk // those with room, the most recently used last
	empty int      // how many of all have no subscriber
}

type chunk struct {
	topic *topic
	taken uint8 // places in use or reserved; guarded by topic.mu

	mu   sync.Mutex
	subs []*Subscription // in any order; guarded by mu
	seq  uint64          // of the last message that was given to subs, or is being given; guarded by mu
}

// appendTo appends the chunks that may have subscribers.
func (s *set) appendTo(all []*chunk) []*chunk {
	if s.first.taken > 0 {
		all = append(all, &s.first)
	}
	if s.more != nil {
		all = append(all, s.more.all...)
	}
	return all
}

// reserve reserves a place for one more subscriber, and returns its chunk.
func (s *set) reserve() *chunk {
	s.size++
	if s.first.taken < chunkSize {
		s.first.taken++
		return &s.first
	}
	if s.more == nil {
		s.more = new(chunks)
	}
	return s.more.reserve(s.first.topic)
}

func (s *chunks) reserve(t *topic) *chunk {
	last := len(s.free) - 1
	if last < 0 {
		c := &chunk{topic: t, taken: 1}
		s.all = append(s.all, c)
		s.free = append(s.free, c)
		return c
	}
	c := s.free[last]
	if c.taken == 0 {
		s.empty--
	}
	if c.taken++; c.taken == chunkSize {
		s.free[last] = nil
		s.free = s.free[:last]
	}
	return c
}

// giveBack frees a place in c, whose subscriber has left.
func (s *set) giveBack(c *chunk) {
	s.size--
	if c.taken--; c == &s.first {
		return
	}
	if s.more.giveBack(c); len(s.more.all) == s.more.empty {
		s.more = nil
	}
}

func (s *chunks) giveBack(c *chunk) {
	if c.taken == chunkSize-1 {
		s.free = append(s.free, c)
	}
	if c.taken > 0 {
		return
	}
	s.empty++
	if s.empty > 8 && s.empty > len(s.all)/2 {
		s.compact()
	}
}

// compact removes the empty chunks. They are at least as many as the others, so
// its cost per subscriber that has left is constant.
func (s *chunks) compact() {
	var all, free []*chunk
	for _, c := range s.all {
		if c.taken > 0 {
			all = append(all, c)
		}
	}
	for _, c := range s.free {
		if c.taken > 0 {
			free = append(free, c)
		}
	}
	s.all, s.free, s.empty = all, free, 0
}

// deliver gives b to the subscribers in c.
func (c *chunk) deliver(b *batch, n *counts) {
	for _, s := range c.give(b, n) {
		s.left()
	}
}

// give is deliver, and returns the subscriptions that have ended by it.
func (c *chunk) give(b *batch, n *counts) (ended []*Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = b.messages[len(b.messages)-1].seq
	for i := len(c.subs) - 1; i >= 0; i-- { // backwards: a removed one is replaced by the last
		s := c.subs[i]
		if err := s.giveBatch(b, n); err != nil {
			s.removeLocked()
			ended = append(ended, s)
		}
	}
	return ended
}

// addLocked adds s, which has a reserved place. It grows subs by an eighth only,
// since there may be very many topics.
func (c *chunk) addLocked(s *Subscription) {
	n := len(c.subs)
	if n == cap(c.subs) {
		subs := make([]*Subscription, n, min(n+1+n/8, chunkSize))
		copy(subs, c.subs)
		c.subs = subs
	}
	s.at = uint8(n)
	c.subs = append(c.subs, s)
}

func (c *chunk) removeLocked(s *Subscription) {
	last := len(c.subs) - 1
	c.subs[s.at] = c.subs[last]
	c.subs[s.at].at = s.at
	c.subs[last] = nil
	c.subs = c.subs[:last]
	if last == 0 {
		c.subs = nil
	}
}
