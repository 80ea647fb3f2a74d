//go:build !ws_unix && !ws_plain

package websocket

import "sync"

// rooms are where writers wait for room, one for each connection.
type rooms struct {
	mu      sync.Mutex // nothing else is locked under it
	waiting map[*polled]chan struct{}
}

// of returns a channel that is closed when something changes for p's writers.
func (r *rooms) of(p *polled) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	ch := r.waiting[p]
	if ch == nil {
		if r.waiting == nil {
			r.waiting = make(map[*polled]chan struct{})
		}
		ch = make(chan struct{})
		r.waiting[p] = ch
	}
	return ch
}

func (r *rooms) wake(p *polled) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ch := r.waiting[p]; ch != nil {
		close(ch)
		delete(r.waiting, p)
	}
}
