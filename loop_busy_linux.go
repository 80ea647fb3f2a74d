//go:build !ws_unix && !ws_plain

package websocket

// A connection is busy while a goroutine besides its runner is in one of its
// handlers. Until that returns the runner reads only its control frames.

// readControl reads control frames, if somebody waits for them, while a handler
// that has been left alone is at work. Other frames are left where they are until
// the handler returns. If look says so there is a reason to look that no
// event will tell again.
func (p *pollConn) readControl(look bool) {
	needed := p.conn.needsControlReader()
	if needed || look {
		p.mu.Lock()
		busy := p.state.has(pollBusy)
		if busy {
			p.state.set(pollMissed)
		}
		p.mu.Unlock()
		if !busy { // since just now
			p.checkInput()
			return
		}
		p.conn.readControl(true)
		needed = p.conn.needsControlReader()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.state.has(pollBusy) {
		return
	}
	p.state.clear(pollDrained)
	p.watchLocked(needed, p.state.has(pollOut))
}

// setBusy marks p as left to a runner that was replaced.
func (p *pollConn) setBusy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.flags.Add(pollOneBusy)
}

// finishDetached gives p back to its worker, after a runner that was replaced has
// finished with it.
func (p *pollConn) finishDetached() {
	w := p.worker
	w.mu.Lock() // see handOver
	//lint:ignore SA2001 the lock is only waited for
	w.mu.Unlock()
	p.mu.Lock()
	p.lessBusyLocked()
	ended := p.fd < 0
	p.mu.Unlock()
	// The control reader may have read meanwhile what no event will tell.
	what := taskInput
	if ended {
		what = taskClose
	}
	w.post(p, what)
}

// lessBusyLocked undoes setBusy.
func (p *pollConn) lessBusyLocked() {
	p.state.flags.Add(^uint32(pollOneBusy - 1))
	p.watchLocked(p.listenLocked(), p.state.has(pollOut))
}

// detach marks p busy for a goroutine of its own, and reports whether that is
// needed: not where only a control reader reads, nor before p has opened, unless the
// goroutine is to open it.
func (p *pollConn) detach(opens bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.state.has(pollBusy):
		return false
	case opens:
		p.state.set(pollOpened)
	case !p.state.has(pollOpened) || p.controlOnlyLocked():
		return false
	}
	p.state.flags.Add(pollOneBusy)
	return true
}

// reattach gives p back to its worker. Input that is still in the socket will be
// told by an event, as p is watched again. A post is needed only for what an
// control reader has read, or is to read, and for OnClose.
func (p *pollConn) reattach() {
	p.mu.Lock()
	p.lessBusyLocked()
	ended := p.fd < 0
	look := p.state.has(pollMissed) || p.controlOnlyLocked()
	p.state.clear(pollMissed)
	p.mu.Unlock()
	switch {
	case ended:
		p.worker.post(p, taskClose)
	case look:
		p.worker.post(p, taskInput)
	}
}
