package hub

import (
	"sync"
	"time"
)

// attic is where topics are that nobody needs any more, in the order in which
// they came, until Options.Linger is over. One timer serves all.
type attic struct {
	mu     sync.Mutex
	queue  []resting
	timer  *time.Timer // nil while the queue is empty
	closed bool
}

type resting struct {
	topic *topic
	until time.Time
}

// rest is called when t is no longer used. It is forgotten, at once if there is
// nothing to keep.
func (h *Hub) rest(t *topic) {
	if h.opts.Replay == 0 && h.opts.Backplane == nil {
		h.forget(t)
		return
	}
	t.mu.Lock()
	there := t.resting
	t.resting, t.used = true, there || t.used
	t.mu.Unlock()
	if !there {
		h.store(t)
	}
}

// store puts t into the attic.
func (h *Hub) store(t *topic) {
	a := &h.attic
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	a.queue = append(a.queue, resting{t, time.Now().Add(h.opts.Linger)})
	if a.timer == nil {
		a.timer = time.AfterFunc(h.opts.Linger, h.sweep)
	}
}

// sweep forgets the topics that have been in the attic for long enough, unless
// they are in use again.
func (h *Hub) sweep() {
	for {
		t := h.attic.next()
		if t == nil {
			return
		}
		again, err := h.retire(t)
		if err != nil {
			h.logger().Warn("hub: cannot unsubscribe", "topic", t.name, "error", err)
		}
		if again {
			h.store(t)
		}
	}
}

// retire forgets t, which was in the attic, if it is idle. It reports whether t
// is to go there again. It goes about it as Forget does.
func (h *Hub) retire(t *topic) (again bool, err error) {
	t.out.Lock()
	defer t.out.Unlock()
	t.link.Lock()
	defer t.link.Unlock()
	idle, again := t.stir()
	if !idle {
		return again, nil
	}
	err = t.disconnectLocked()
	return !h.forget(t), err
}

// next takes out a topic whose time has come. If there is none it sets the timer
// and returns nil.
func (a *attic) next() *topic {
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
	a.queue[0] = resting{}
	a.queue = a.queue[1:]
	return first.topic
}

// close empties the attic for good.
func (a *attic) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.queue = true, nil
	if a.timer != nil {
		a.timer.Stop()
	}
}

// stir reports whether t, which was in the attic, is idle, and then empties it;
// or else, whether it is to go there again, since it was used meanwhile.
func (t *topic) stir() (idle, again bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resting = false
	switch {
	case t.refs > 0 || t.dead:
		return false, false
	case t.used:
		t.resting, t.used = true, false
		return false, true
	}
	t.emptyLocked()
	return true, false
}

// forget removes t, unless it is in use again. It returns false if that was
// only for a moment, so that t is to go to the attic once more.
func (h *Hub) forget(t *topic) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.refs > 0 || t.dead || t.resting:
		return true
	case t.used:
		t.resting, t.used = true, false
		return false
	}
	h.closeLocked(t)
	return true
}
