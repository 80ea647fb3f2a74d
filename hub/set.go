package hub

import "sync"

// chunkSize is how many subscribers share a lock, and so for how many sends
// somebody may have to wait who wants to join them or to leave.
const chunkSize = 128

// set is the subscribers of a topic, in chunks. All of it is guarded by
// topic.mu, but for what chunk.mu guards.
type set struct {
	// chunks is only ever appended to, or replaced: a publish goes through what
	// it has got while others change the set.
	chunks []*chunk
	free   []*chunk // those with room, the most recently used last
	size   int      // how many subscribers there are, or are on their way in
	empty  int      // how many chunks have none
}

type chunk struct {
	taken int // places taken, or promised; guarded by topic.mu

	mu   sync.Mutex
	subs []*Subscription // guarded by mu, as are they, in any order
	seq  uint64          // of the last message that was given to them; guarded by mu
}

// reserve returns a chunk in which there is a place for one more.
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

// giveBack makes a place free, after the subscriber has left it.
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

// compact removes the empty chunks. Since that takes at least as many as are
// left, its cost per subscriber that has left is constant.
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

// deliver gives m to those in c.
func (c *chunk) deliver(m *message, n *counts) {
	var ended []*Subscription
	c.mu.Lock()
	c.seq = m.seq
	for i := len(c.subs) - 1; i >= 0; i-- { // backwards, since the last takes the place of one that is removed
		s := c.subs[i]
		if err := s.give(m, n); err != nil {
			s.removeLocked()
			ended = append(ended, s)
		}
	}
	c.mu.Unlock()
	for _, s := range ended {
		s.left()
	}
}

// addLocked adds s, which has a place.
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
