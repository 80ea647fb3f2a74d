//go:build !ws_unix && !ws_plain

package websocket

// A connection is busy while a goroutine besides its runner is in one of its
// handlers. Until that returns the runner reads only its control frames.

// readControl reads control frames, if somebody waits for them, while a handler
// that has been left alone is at work. What else comes is left where it is
// until the handler returns. If look says so there is a reason to look that no
// event will tell again.
func (p *polled) readControl(look bool) {
	needed := p.conn.needsControlReader()
	if needed || look {
		p.mu.Lock()
		busy := p.state.has(polledBusy)
		if busy {
			p.state.set(polledMissed)
		}
		p.mu.Unlock()
		if !busy { // since just now
			p.look()
			return
		}
		p.conn.readControl(true)
		needed = p.conn.needsControlReader()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.state.has(polledBusy) {
		return
	}
	p.state.clear(polledDrained)
	p.watchLocked(needed, p.state.has(polledOut))
}

// setBusy marks p as left to a runner that was replaced.
func (p *polled) setBusy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.flags.Add(polledOneBusy)
}

// orphaned gives p back to its worker, after a runner that was replaced has
// finished with it.
func (p *polled) orphaned() {
	w := p.worker
	w.mu.Lock() // see handOver
	//lint:ignore SA2001 the lock is only waited for
	w.mu.Unlock()
	p.mu.Lock()
	p.lessBusyLocked()
	ended := p.fd < 0
	p.mu.Unlock()
	// The control reader may have read meanwhile what no event will tell.
	what := taskLook
	if ended {
		what = taskClose
	}
	w.post(p, what)
}

// lessBusyLocked undoes setBusy.
func (p *polled) lessBusyLocked() {
	p.state.flags.Add(^uint32(polledOneBusy - 1))
	p.watchLocked(p.listenLocked(), p.state.has(polledOut))
}

// detach marks p busy for a goroutine of its own, and reports whether that is
// needed: not where only a control reader reads, nor before p has opened, unless the
// goroutine is to open it.
func (p *polled) detach(opens bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.state.has(polledBusy):
		return false
	case opens:
		p.state.set(polledOpened)
	case !p.state.has(polledOpened) || p.controlOnlyLocked():
		return false
	}
	p.state.flags.Add(polledOneBusy)
	return true
}

// reattach gives p back to its worker. Input that is still in the socket will be
// told by an event, as p is watched again. A post is needed only for what an
// control reader has read, or is to read, and for OnClose.
func (p *polled) reattach() {
	p.mu.Lock()
	p.lessBusyLocked()
	ended := p.fd < 0
	look := p.state.has(polledMissed) || p.controlOnlyLocked()
	p.state.clear(polledMissed)
	p.mu.Unlock()
	switch {
	case ended:
		p.worker.post(p, taskClose)
	case look:
		p.worker.post(p, taskLook)
	}
}
