package hub

import (
	"sync"
	"time"
)

// idleTopics holds the topics without users, in the order in which they became idle,
// until Options.Linger is over. One timer serves all.
type idleTopics struct {
	mu     sync.Mutex
	queue  []idleTopic
	timer  *time.Timer // nil while the queue is empty
	closed bool
}

type idleTopic struct {
	topic *topic
	until time.Time
}

// retire is called when t is no longer used. It adds t to the idle topics, or
// forgets it if there is nothing to keep.
func (h *Hub) retire(t *topic) {
	if h.opts.Replay == 0 && h.opts.Backplane == nil {
		h.forget(t)
		return
	}
	t.mu.Lock()
	there := t.idle
	t.idle, t.used = true, there || t.used
	t.mu.Unlock()
	if !there {
		h.addIdle(t)
	}
}

// addIdle adds t to the idle topics.
func (h *Hub) addIdle(t *topic) {
	a := &h.idle
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.queue = append(a.queue, idleTopic{t, time.Now().Add(h.opts.Linger)})
	if a.timer == nil {
		a.timer = time.AfterFunc(h.opts.Linger, h.sweep)
	}
}

// sweep forgets the topics that have been idle for long enough, unless they are in
// use again.
func (h *Hub) sweep() {
	for {
		t := h.idle.next()
		if t == nil {
			return
		}
		again, err := h.forgetIdle(t)
		if err != nil {
			h.logger().Warn("hub: cannot unsubscribe", "topic", t.name, "error", err)
		}
		if again {
			h.addIdle(t)
		}
	}
}

// forgetIdle forgets t, which was among the idle topics, if t is still idle. It
// reports whether t is to be added again. It takes the locks that Forget takes.
func (h *Hub) forgetIdle(t *topic) (again bool, err error) {
	t.lockPlane()
	defer t.unlockPlane()
	idle, again := t.recheck()
	if !idle {
		return again, nil
	}
	err = t.disconnectLocked()
	return !h.forget(t), err
}

// next removes and returns a topic that has been idle for long enough. If there
// is none, it sets the timer and returns nil.
func (a *idleTopics) next() *topic {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil
	case len(a.queue) == 0:
		a.queue, a.timer = nil, nil
		return nil
	}
	first := a.queue[0]
	if wait := time.Until(first.until); wait > 0 {
		a.timer.Reset(wait)
		return nil
	}
	a.queue[0] = idleTopic{}
	a.queue = a.queue[1:]
	return first.topic
}

// close removes all idle topics, for good.
func (a *idleTopics) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.queue = true, nil
	if a.timer != nil {
		a.timer.Stop()
	}
}

// recheck empties t, which was among the idle topics, and reports idle if t has
// not been used meanwhile. It reports again if t was used but is idle now, so
// that t is to be added once more.
func (t *topic) recheck() (idle, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = false
	switch {
	case t.refs > 0 || t.dead:
		return false, false
	case t.used:
		t.idle, t.used = true, false
		return false, true
	}
	t.emptyLocked()
	return true, false
}

// forget removes t, unless t is in use again. It returns false if t was used only
// for a moment, so that t is to be added to the idle topics again.
func (h *Hub) forget(t *topic) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.refs > 0 || t.dead || t.idle:
		return true
	case t.used:
		t.idle, t.used = true, false
		return false
	}
	h.closeLocked(t)
	return true
}
