package websocket

import (
	"errors"
	"os"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// The control reader reads control frames while no call of the user's reads. Ping,
// keepalive, the closing handshake and CloseRead need it. It stops at the first
// message, which stays where it is for the user, and returns at once when a user's
// call wants to read. After CloseRead no message may come, and there is no such call.
// On a closing connection it discards messages. It is a goroutine, but not on a
// connection of a Loop: there the loop calls readControl while a handler keeps it
// from reading, and readControl returns where it would have to wait.

// controlReadSlice is how long the control reader reads before it checks whether
// it is still needed.
const controlReadSlice = time.Second

func (c *Conn) startControlReader() {
	if l := c.loopTransport(); l != nil {
		l.checkInput()
		return
	}
	go c.readControl(false)
}

// readControl reads as the control reader; onLoop says that a loop calls it.
func (c *Conn) readControl(onLoop bool) {
	in := &c.in
	if !in.mu.TryLock() {
		return // another control reader checks, when done, whether one is needed
	}
	if !in.readLock.tryLockControl() {
		in.mu.Unlock()
		// The holder of the lock checks when it is done. If that was just now, the
		// control reader that it started has found in.mu locked by this one.
		if !in.readLock.busy() && c.needsControlReader() {
			c.startControlReader()
		}
		return
	}
	interrupted := c.readControlLocked(onLoop)
	// A need may have come too late for the steps above and too early for in.mu.
	// A user's call that has interrupted checks the same in releaseRead.
	if !interrupted && !onLoop && c.needsControlReader() {
		c.startControlReader()
	}
}

// readControlLocked reads with the read lock held, and releases it. It reports
// whether a user's call has interrupted it.
func (c *Conn) readControlLocked(onLoop bool) (interrupted bool) {
	in := &c.in
	defer in.mu.Unlock()
	defer in.readLock.unlockControl()
	in.unshare()
	late := !onLoop && c.loopTransport() != nil // started before Attach: the loop would not learn of input that it reads
	for !late && c.readControlStep() {
	}
	if in.buffered() == 0 {
		in.release()
	}
	c.t.SetReadDeadline(time.Time{})
	return in.readLock.interrupted()
}

// needsControlReader reports whether the control reader must read while no user's
// call does: for a pong while the connection is open, for the peer's close frame
// when it is closing.
func (c *Conn) needsControlReader() bool {
	switch s := c.life.closeState(); {
	case s == stateWriteFailed:
		return !c.in.flags.has(messageBlocks) // to see the end of the input
	case s.reads():
		return c.in.flags.has(readClosed) || c.in.wanted.Load() > 0 && !c.in.flags.has(messageBlocks)
	default:
		return s.discards()
	}
}

// readControlStep reads one frame and reports whether there may be another one.
func (c *Conn) readControlStep() bool {
	in := &c.in
	open := c.life.closeState().reads()
	if open && in.receiver.phase == inPayload {
		if in.flags.has(readClosed) {
			c.startClose(StatusPolicyViolation, "no messages are expected")
			open = false
		} else {
			in.flags.set(messageBlocks)
		}
	}
	if !c.needsControlReader() {
		return false
	}
	var slice time.Time
	if !in.flags.has(readClosed) { // CloseRead needs it to the end
		slice = time.Now().Add(controlReadSlice)
	}
	c.t.SetReadDeadline(slice)
	if in.readLock.interrupted() { // checked after the deadline is set, which may have replaced the interrupting call's
		return false
	}
	var err error
	switch {
	case open:
		err = c.nextFrame()
	case in.flags.has(framingLost), c.life.closeState() == stateLingering:
		err = c.discardInput()
	default:
		err = c.discardFrame()
	}
	switch {
	case err == transport.ErrAgain && in.flags.has(readNoWait):
		c.failRead(errInputOver)
	case err == transport.ErrAgain:
		return false // a loop calls readControl again when there is input
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
	case err != c.readError():
		c.failRead(err)
	}
	return true
}

// discardFrame reads a data frame, and the control frames before it.
func (c *Conn) discardFrame() error {
	in, r := &c.in, &c.in.receiver
	if r.phase != inPayload {
		if err := c.nextFrame(); err != nil {
			return err
		}
	}
	for r.left > 0 || r.more {
		if r.left > 0 && in.buffered() == 0 {
			if err := c.fill(); err != nil {
				return err
			}
		}
		if err := r.discard(in.consume(int(min(r.left, int64(in.buffered()))))); err != nil {
			return err
		}
	}
	_, err := r.endFrame()
	return err
}

// discardInput reads once and discards the input, whatever it is.
func (c *Conn) discardInput() error {
	in := &c.in
	b, err := c.waitInput(false)
	in.buf, in.pos = b, int32(b.Len())
	if err == nil {
		c.noteInput(b.Len())
	}
	return err
}
