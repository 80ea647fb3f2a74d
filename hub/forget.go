package hub

// Forget drops what is kept of a topic that nobody has subscribed to here: its
// replay, and the subscription at the backplane, which would else be there until
// Options.Linger is over. It is for topics that are known to be over, and for
// programs in which others choose the names of topics, to bound how many there
// are. While somebody has subscribed nothing happens. The error is that of the
// Backplane.
func (h *Hub) Forget(topic string) error {
	h.mu.RLock()
	t := h.topics[topic]
	h.mu.RUnlock()
	if t == nil {
		return nil
	}
	// The topic is removed after it has left the backplane, so a hub is never
	// there twice. Whoever subscribes meanwhile waits for link, and connects
	// again; whoever publishes waits for out, and finds another topic.
	t.out.Lock()
	defer t.out.Unlock()
	t.link.Lock()
	defer t.link.Unlock()
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

// empty drops what is kept in t if nobody uses it, and reports whether that is
// so. From then on t is as good as a new topic.
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
	t.source = nil // what still comes from there is too late
	t.replay = replay{}
	t.used = false
}
