package hub

import "context"

// replay holds the newest messages of a topic, of those with the same key only
// the newest. It is guarded by topic.mu.
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
	m.older, m.newer = nil, nil // m may still wait for a slow reader: let go of its neighbours
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

// entry holds the messages that are published while a subscription gets the
// replay. They are few, since the replay does not wait for the reader.
type entry struct{ early []*message }

// replay sends the messages that the topic had kept when s joined its chunk, and
// then those that were published in the meantime. Every message is in one of the
// two lists.
func (s *Subscription) replay(kept []*message) error {
	var n counts
	defer func() { s.chunk.topic.hub.counters.add(&n) }()
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
	early := s.extra.entry.early
	s.extra.entry = nil
	for _, m := range early {
		if err := s.give(m, &n); err != nil {
			return err
		}
	}
	return nil
}

// replayOne sends one message. It locks chunk.mu for that message only, so that
// others need not wait.
func (s *Subscription) replayOne(m *message, n *counts) error {
	s.chunk.mu.Lock()
	defer s.chunk.mu.Unlock()
	if s.gone {
		return s.cause()
	}
	return s.put(m, n)
}

// cause returns the reason why s is gone before Subscribe has returned.
func (s *Subscription) cause() error {
	if err := context.Cause(s.client.conn.Context()); err != nil {
		return err
	}
	return ErrClosed
}
