//go:build !ws_unix && !ws_plain

package websocket

// A connection is busy while a goroutine other than the runner is in one of its
// handlers. Until that handler returns, the runner reads only control frames.

// readControl reads control frames, if they are needed, while p is busy. Other
// frames stay unread until the handler returns. look says that p is to be checked
// for a reason that no event will report again.
func (p *pollConn) readControl(look bool) {
	needed := p.conn.needsControlReader()
	if needed || look {
		p.mu.Lock()
		busy := p.state.has(pollBusy)
		if busy {
			p.state.set(pollMissed)
		}
		p.mu.Unlock()
		if !busy { // not any more
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

// setBusy marks p as busy with a runner that was replaced.
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
	// The control reader may have buffered input meanwhile that no event will report.
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

// detach marks p busy for a goroutine of its own, and reports whether p gets one:
// not if p is busy already, only a control reader reads, or OnOpen was not called
// yet, unless the goroutine is to call it.
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

// reattach gives p back to its worker. An event reports input that is still in the
// socket, as p is watched again. A post is needed only for input that a control
// reader has read, or is to read, for what a pause has left, and for OnClose.
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
