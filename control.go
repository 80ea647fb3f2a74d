package websocket

// Control frames never wait for the writing side: they are queued, encoded,
// and bounded.

// maxPongs bounds the pongs that wait for a peer that sends pings and does
// not read. Beyond it the newest takes the place of the one before it, as
// section 5.5.3 allows.
const maxPongs = 16

// queuePong answers a ping. It never waits, so that reading goes on.
func (c *Conn) queuePong(p []byte) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if o.closed {
		return
	}
	q := o.queueLocked()
	if q.npongs < maxPongs {
		q.npongs++
		q.lastPong = len(q.pongs)
	}
	q.pongs = c.appendControl(q.pongs[:q.lastPong], OpPong, p)
	c.kickLocked()
}

// queuePing sends a ping. It takes the place of one that is still waiting,
// since its pong will answer both.
func (c *Conn) queuePing(p []byte) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if !o.closed {
		o.queueLocked().ping = c.appendControl(nil, OpPing, p)
		c.kickLocked()
	}
}

// queueClose sends the close frame, behind everything else.
func (c *Conn) queueClose(code StatusCode, reason string) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if !o.closed {
		o.closed = true
		o.queueLocked().close = c.appendControl(nil, OpClose, appendClosePayload(nil, code, reason))
		c.kickLocked()
	}
}

func (c *Conn) appendControl(dst []byte, op Opcode, p []byte) []byte {
	var h Header
	c.out.sender.header(&h, op, true, 0, len(p))
	c.traceOut(&h)
	return h.appendFrame(dst, p)
}

// size is how many bytes of control frames wait.
func (q *outQueue) size() int { return len(q.pongs) + len(q.ping) + len(q.close) }

func (q *outQueue) hasControl() bool { return q.size() > 0 }
