package hub

// Forget drops what is kept of a topic without subscribers here: its replay, and
// its subscription at the backplane. Without Forget they are kept until
// Options.Linger is over. Forget is for topics that will not be used again, and
// for programs in which users choose the names of topics, to bound how many there
// are. It does nothing while the topic has subscribers. The error is that of the
// Backplane.
func (h *Hub) Forget(topic string) error {
	h.mu.RLock()
	t := h.topics[topic]
	h.mu.RUnlock()
	if t == nil {
		return nil
	}
	// The topic is removed after it has unsubscribed from the backplane, so a hub
	// never has two subscriptions there. Meanwhile a Subscribe waits for link and
	// connects again; a Publish waits for out and finds another topic.
	t.lockPlane()
	defer t.unlockPlane()
	if !t.empty() {
		return nil
	}
	err := t.disconnectLocked()
	h.drop(t)
	return err
}

// drop removes t, if nobody uses it.
func (h *Hub) drop(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs == 0 && !t.dead {
		h.closeLocked(t)
	}
}

// empty drops what is kept in t if nobody uses t, and reports whether it did.
// From then on t is as good as a new topic.
func (t *topic) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs > 0 || t.dead {
		return false
	}
	t.emptyLocked()
	return true
}

func (t *topic) emptyLocked() {
	if t.plane != nil {
		t.plane.source = nil // its late messages are ignored
	}
	t.replay = nil
	t.used = false
}
