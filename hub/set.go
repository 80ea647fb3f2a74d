package hub

import "sync"

// chunkSize is how many subscribers share a lock. So a subscriber that joins or
// leaves waits for at most that many sends.
const chunkSize = 128

// set holds the subscribers of a topic, in chunks. It is guarded by topic.mu,
// except for the fields that chunk.mu guards.
type set struct {
	// chunks is appended to, or replaced, and never changed in place: a publish
	// ranges over its copy of the slice while others change the set.
	chunks []*chunk
	free   []*chunk // those with room, the most recently used last
	size   int      // how many subscribers have a place
	empty  int      // how many chunks have no subscriber
}

type chunk struct {
	taken int // places in use or reserved; guarded by topic.mu

	mu   sync.Mutex
	subs []*Subscription // in any order; guarded by mu
	seq  uint64          // of the last message that was given to subs, or is being given; guarded by mu
}

// reserve reserves a place for one more subscriber, and returns its chunk.
func (s *set) reserve() *chunk {
	s.size++
	last := len(s.free) - 1
	if last < 0 {
		c := &chunk{taken: 1}
		s.chunks = append(s.chunks, c)
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
	if c.taken--; c.taken == chunkSize-1 {
		s.free = append(s.free, c)
	}
	if c.taken > 0 {
		return
	}
	s.empty++
	if s.empty > len(s.chunks)/2 && (s.empty > 8 || s.size == 0) {
		s.compact()
	}
}

// compact removes the empty chunks. They are at least as many as the others, so
// its cost per subscriber that has left is constant.
func (s *set) compact() {
	var chunks, free []*chunk
	for _, c := range s.chunks {
		if c.taken > 0 {
			chunks = append(chunks, c)
		}
	}
	for _, c := range s.free {
		if c.taken > 0 {
			free = append(free, c)
		}
	}
	s.chunks, s.free, s.empty = chunks, free, 0
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

// addLocked adds s, which has a reserved place.
func (c *chunk) addLocked(s *Subscription) {
	s.at = len(c.subs)
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
