package websocket

import (
	"errors"
	"os"
	"time"
)

// The attendant reads while no call of the user's does, for those who wait
// for control frames: Ping, keepalive, the closing handshake, CloseRead. It stops
// at the first message, which it leaves to the user, and makes way for a user's
// call at once. After CloseRead no message may come, and there is no such call.
// On a closing connection it discards messages. On a connection of a
// Loop it is no goroutine: the loop calls attend while a handler keeps it from
// reading, and attend returns where it would have to wait.

// attendSlice is how long the attendant reads before it asks itself whether
// anybody still needs it.
const attendSlice = time.Second

func (c *Conn) attendInBackground() {
	if l := c.looper(); l != nil {
		l.look()
		return
	}
	go c.attend(false)
}

// attend is the attendant's work; looped is for a loop.
func (c *Conn) attend(looped bool) {
	in := &c.in
	if !in.mu.TryLock() {
		return // another attendant looks, when done, whether one is needed
	}
	if !in.gate.attend() {
		in.mu.Unlock()
		// Whoever reads looks, when done. If that was just now, the attendant
		// that it started has met our lock.
		if !in.gate.busy() && c.needsAttendant() {
			c.attendInBackground()
		}
		return
	}
	pushed := c.attendInside(looped)
	// Somebody may have come too late for the loop and too early for the
	// lock. A user's call that has taken over does the same in leaveRead.
	if !pushed && !looped && c.needsAttendant() {
		c.attendInBackground()
	}
}

// attendInside is attend behind the gate, up to its end. It reports whether the
// attendant was pushed out.
func (c *Conn) attendInside(looped bool) (pushed bool) {
	in := &c.in
	defer in.mu.Unlock() // even if a hook ends the goroutine
	defer in.gate.endAttend()
	in.unshare()
	late := !looped && c.looper() != nil // started before Attach: a loop would not learn of what it reads
	for !late && c.attendOnce() {
	}
	if in.buffered() == 0 {
		in.release()
	}
	c.t.SetReadDeadline(time.Time{})
	return in.gate.pushed()
}

// needsAttendant reports whether somebody must read if nobody does: for a
// ping while the connection is open, for its proper end when it is closing.
func (c *Conn) needsAttendant() bool {
	switch s := c.life.closeState(); {
	case s == stateWriteFailed:
		return !c.in.marks.has(inBlocked) // its end would be news
	case s.reads():
		return c.in.marks.has(inReadClosed) || c.in.wanted.Load() > 0 && !c.in.marks.has(inBlocked)
	default:
		return s.discards()
	}
}

// attendOnce does one step and reports whether there may be another one.
func (c *Conn) attendOnce() bool {
	in := &c.in
	open := c.life.closeState().reads()
	if open && in.receiver.phase == inPayload {
		if in.marks.has(inReadClosed) {
			c.startClose(StatusPolicyViolation, "no messages are expected")
			open = false
		} else {
			in.marks.set(inBlocked)
		}
	}
	if !c.needsAttendant() {
		return false
	}
	var slice time.Time
	if !in.marks.has(inReadClosed) { // which needs it to the end
		slice = time.Now().Add(attendSlice)
	}
	c.t.SetReadDeadline(slice)
	if in.gate.pushed() { // after the deadline, which theirs would have been lost to
		return false
	}
	var err error
	switch {
	case open:
		err = c.nextFrame()
	case in.marks.has(inLost), c.life.closeState() == stateLingering:
		err = c.discardInput()
	default:
		err = c.discardFrame()
	}
	switch {
	case err == errAgain && in.marks.has(inDry):
		c.failRead(errInputDry)
	case err == errAgain:
		return false // a loop comes back when there is input
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
		if err := r.discard(in.take(int(min(r.left, int64(in.buffered()))))); err != nil {
			return err
		}
	}
	_, err := r.endFrame()
	return err
}

// discardInput reads once whatever comes.
func (c *Conn) discardInput() error {
	in := &c.in
	b, err := c.waitInput(false)
	in.buf, in.pos = b, int32(b.len())
	if err == nil {
		c.heard(b.len())
	}
	return err
}
