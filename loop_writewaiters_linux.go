//go:build !ws_unix && !ws_plain

package websocket

import "sync"

// writeWaiters holds a channel for each connection on which writers wait for room
// in the queue.
type writeWaiters struct {
	mu      sync.Mutex // nothing else is locked under it
	waiting map[*pollConn]chan struct{}
}

// of returns a channel that is closed when p's waiting writers are to check again.
func (w *writeWaiters) of(p *pollConn) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.waiting[p]
	if ch == nil {
		if w.waiting == nil {
			w.waiting = make(map[*pollConn]chan struct{})
		}
		ch = make(chan struct{})
		w.waiting[p] = ch
	}
	return ch
}

func (w *writeWaiters) wake(p *pollConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.waiting[p]; ch != nil {
		close(ch)
		delete(w.waiting, p)
	}
}
