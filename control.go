package websocket

import "encoding/binary"

// Control frames never wait for the write lock: they are queued, encoded, and
// bounded.

// maxPongs bounds the pongs that wait for a peer that sends pings and does not
// read. When there are as many, a new one replaces the newest of them, as section
// 5.5.3 allows.
const maxPongs = 16

// controlFrames are control frames that wait, encoded.
type controlFrames struct {
	pongs    []byte
	lastPong int // where the newest one starts
	npongs   int
	ping     []byte // only the newest counts
	pingID   uint64 // its payload
	close    []byte
}

// size is the number of their bytes.
func (f *controlFrames) size() int { return len(f.pongs) + len(f.ping) + len(f.close) }

// addControl makes the control frames pending, but for the close frame.
func (q *sendQueue) addControl() {
	if f := &q.control; len(f.pongs)+len(f.ping) > 0 && !q.closing {
		pending := backlogIn(&q.pending)
		pending.Copy(f.pongs)
		pending.Copy(f.ping)
		*f = controlFrames{close: f.close}
	}
}

// addClose makes the close frame pending, and nothing after it.
func (q *sendQueue) addClose() {
	if f := &q.control; len(f.close) > 0 {
		backlogIn(&q.pending).Copy(f.close)
		q.closing = true
		*f = controlFrames{}
	}
}

// queuePong answers a ping. It never waits, so that reading goes on.
func (c *Conn) queuePong(p []byte) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if o.closed {
		return
	}
	f := &o.queueLocked().control
	if f.npongs < maxPongs {
		f.npongs++
		f.lastPong = len(f.pongs)
	}
	f.pongs = c.appendControl(f.pongs[:f.lastPong], OpPong, p)
	c.scheduleFlushLocked()
}

// queuePing sends a ping, and reports whether it leaves. Only the newest ping
// waits, since its pong will answer all.
func (c *Conn) queuePing(id uint64) bool {
	o := &c.out
	o.lock()
	defer o.unlock()
	if o.closed {
		return false
	}
	if f := &o.queueLocked().control; f.ping == nil || f.pingID < id {
		f.ping = c.appendControl(nil, OpPing, binary.BigEndian.AppendUint64(nil, id))
		f.pingID = id
	}
	c.scheduleFlushLocked()
	return true
}

// queueCloseLocked queues the close frame, behind everything else. The caller sees
// to it that it leaves.
func (c *Conn) queueCloseLocked(code StatusCode, reason string) {
	if o := &c.out; !o.closed {
		o.closed = true
		o.queueLocked().control.close = c.appendControl(nil, OpClose, appendClosePayload(nil, code, reason))
	}
}

func (c *Conn) appendControl(dst []byte, op Opcode, p []byte) []byte {
	var h Header
	c.out.sender.header(&h, op, true, 0, len(p))
	c.traceOut(&h)
	return h.appendFrame(dst, p)
}
