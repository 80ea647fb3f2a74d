package hub

import (
	"maps"
	"sync"
)

// clients holds the connections that have subscriptions.
type clients struct {
	mu   sync.Mutex // nothing else of the hub is locked under it
	all  map[conn]*client
	most int // most clients at a time since the map was made
}

// client is a connection with its subscriptions. It registers once with the
// connection.
type client struct {
	hub  *Hub
	conn conn

	// Guarded by clients.mu.
	subs  *Subscription // the newest of a list
	stop  func() bool   // takes back the registration
	users int32         // calls of Subscribe under way
	ended bool          // no longer in clients.all
}

// client returns the client of c, which is kept until release is called. The error
// is the cause if c is closing.
func (h *Hub) client(c conn) (*client, error) {
	a := &h.clients
	a.mu.Lock()
	defer a.mu.Unlock()
	cl := a.all[c]
	there := cl != nil
	if !there {
		cl = &client{hub: h, conn: c}
	}
	stop, err := c.AfterClose(cl.end)
	switch {
	case err != nil: // although end may not have run yet
		return nil, err
	case there:
		stop()
	default:
		if a.all == nil {
			a.all = make(map[conn]*client)
		}
		cl.stop = stop
		a.all[c] = cl
		a.most = max(a.most, len(a.all))
	}
	cl.users++
	return cl, nil
}

// release undoes Hub.client.
func (cl *client) release() {
	a := &cl.hub.clients
	a.mu.Lock()
	cl.users--
	stop := cl.endIfUnusedLocked()
	a.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// add adds s to the subscriptions of cl. From then on s may end by itself. It returns
// false if the connection has closed.
func (cl *client) add(s *Subscription) bool {
	a := &cl.hub.clients
	a.mu.Lock()
	defer a.mu.Unlock()
	if cl.ended {
		return false
	}
	if s.next = cl.subs; s.next != nil {
		s.next.prev = s
	}
	cl.subs = s
	return true
}

// remove removes s from the subscriptions of cl.
func (cl *client) remove(s *Subscription) {
	if stop := cl.removeOne(s); stop != nil {
		stop()
	}
}

// removeOne is remove. It returns the function that takes back the registration, if
// nothing is left.
func (cl *client) removeOne(s *Subscription) (stop func() bool) {
	a := &cl.hub.clients
	a.mu.Lock()
	defer a.mu.Unlock()
	if cl.ended {
		return nil
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		cl.subs = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	return cl.endIfUnusedLocked()
}

// endIfUnusedLocked ends cl if nothing needs it. Then it returns the function that
// takes back the registration, to be called without the lock.
func (cl *client) endIfUnusedLocked() (stop func() bool) {
	if cl.ended || cl.subs != nil || cl.users > 0 {
		return nil
	}
	cl.endLocked()
	return cl.stop
}

// endLocked removes cl. A Subscribe that begins afterwards makes a new one.
func (cl *client) endLocked() {
	a := &cl.hub.clients
	cl.ended = true
	delete(a.all, cl.conn)
	a.all = shrink(a.all, &a.most)
}

// end ends all subscriptions of cl, because its connection has closed.
func (cl *client) end() {
	for _, s := range cl.takeAll() {
		s.Unsubscribe()
	}
}

func (cl *client) takeAll() (all []*Subscription) {
	a := &cl.hub.clients
	a.mu.Lock()
	defer a.mu.Unlock()
	if cl.ended {
		return nil
	}
	cl.endLocked()
	for s := cl.subs; s != nil; {
		all = append(all, s)
		next := s.next
		s.prev, s.next = nil, nil
		s = next
	}
	cl.subs = nil
	return all
}

// shrink returns m, or a copy of it if m was much larger, since a map never gives
// memory back. most is how large it was at most.
func shrink[K comparable, V any](m map[K]V, most *int) map[K]V {
	if *most <= 1024 || len(m) >= *most/4 {
		return m
	}
	smaller := make(map[K]V, len(m))
	maps.Copy(smaller, m)
	*most = len(m)
	return smaller
}
