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
	if t == nil || !h.drop(t) {
		return nil
	}
	// A dead topic is not connected again. One of the same name that is made
	// now is another one.
	return t.disconnect()
}

// drop removes t, if nobody uses it.
func (h *Hub) drop(t *topic) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs > 0 || t.dead {
		return false
	}
	h.closeLocked(t)
	return true
}
