package hub

import "context"

// replay is the newest messages of a topic, without those that a newer one with
// the same key has made superfluous. It is guarded by topic.mu.
type replay struct {
	oldest, newest *message
	size           int
	keys           map[string]*message // those with a key
}

// add makes m the newest, and drops the oldest if there are more than limit.
func (r *replay) add(m *message, limit int) {
	if m.key != "" {
		if r.keys == nil {
			r.keys = make(map[string]*message)
		}
		if old := r.keys[m.key]; old != nil {
			r.remove(old)
		}
		r.keys[m.key] = m
	}
	if m.older = r.newest; m.older != nil {
		m.older.newer = m
	} else {
		r.oldest = m
	}
	r.newest = m
	if r.size++; r.size > limit {
		r.remove(r.oldest)
	}
}

func (r *replay) remove(m *message) {
	if m.older != nil {
		m.older.newer = m.newer
	} else {
		r.oldest = m.newer
	}
	if m.newer != nil {
		m.newer.older = m.older
	} else {
		r.newest = m.older
	}
	m.older, m.newer = nil, nil // it may wait for a slow reader, the others need not
	if m.key != "" {
		delete(r.keys, m.key)
	}
	r.size--
}

// messages returns the messages, the oldest first.
func (r *replay) messages() []*message {
	all := make([]*message, 0, r.size)
	for m := r.oldest; m != nil; m = m.newer {
		all = append(all, m)
	}
	return all
}

// entry is what a subscription has while it gets the replay: the messages that
// were published meanwhile. They are few, since nothing waits for the reader.
type entry struct{ early []*message }

// replay sends the messages that the topic had kept when s joined its chunk, and
// then those that came in the meantime: every message is among the one or the
// other.
func (s *Subscription) replay(kept []*message) error {
	var n counts
	defer func() { s.topic.hub.counters.add(&n) }()
	for _, m := range kept {
		if err := s.replayOne(m, &n); err != nil {
			return err
		}
	}
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	if s.gone {
		return s.cause()
	}
	early := s.entry.early
	s.entry = nil
	for _, m := range early {
		if err := s.give(m, &n); err != nil {
			return err
		}
	}
	return nil
}

// replayOne sends one message. The lock is not held for longer, so that others
// need not wait.
func (s *Subscription) replayOne(m *message, n *counts) error {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	if s.gone {
		return s.cause()
	}
	return s.put(m, n)
}

// cause tells why s, which nobody else knows yet, is gone.
func (s *Subscription) cause() error {
	if err := context.Cause(s.conn.Context()); err != nil {
		return err
	}
	return ErrClosed
}
