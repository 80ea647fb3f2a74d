package websocket

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// The closing of a connection (RFC 6455, section 7): its states, the events
// that move it from one to the next, and what is to be done then. All of it is
// here; the two halves only report what has happened to them.
//
// The halves end separately. A write that fails ends the writing half, and
// reading goes on over everything that has arrived. The cause is what the
// connection ended with, and every call returns it from then on. It is decided
// once, when nothing that the peer has said can change it any more.

// closeState is where a connection stands on its way to the end.
type closeState uint8

const (
	// In these states messages are read.

	stateOpen        closeState = iota
	stateWriteFailed            // a write has failed; what has arrived is still read
	stateHalfClosing            // our close frame is queued, and reading goes on
	stateHalfClosed             // our close frame has left, and reading goes on

	// From here on there is a cause, and no message is delivered.

	stateClosing   // our close frame is queued; the peer's is awaited
	stateCloseSent // our close frame has left; the peer's is awaited
	stateAnswering // the peer's close frame has come; our answer is queued
	stateFailing   // the peer broke the protocol; our close frame, which says so, is queued
	stateFailed    // that has left; input is discarded until the peer has closed the transport
	stateFlushing  // the input is over; what is queued still leaves
	stateLingering // both close frames were exchanged; a client waits for the server to close the transport
	stateEnded     // the transport is closed, or about to be

	numStates
)

// reads reports whether messages are read.
func (s closeState) reads() bool { return s <= stateHalfClosed }

// discards reports whether somebody must read although no message matters.
func (s closeState) discards() bool {
	switch s {
	case stateClosing, stateCloseSent, stateFailing, stateFailed, stateLingering:
		return true
	}
	return false
}

// raw reports whether nothing in the input matters but its end.
func (s closeState) raw() bool {
	return s == stateFailing || s == stateFailed || s == stateLingering
}

// closeEvent is what has happened to a connection.
type closeEvent uint8

const (
	eventClose      closeEvent = iota // Close was called
	eventCloseWrite                   // the writing half was closed on purpose
	eventPeerClose                    // the peer's close frame was read
	eventViolation                    // the peer broke the protocol
	eventInputEnd                     // the input is over: its end, an error, or nothing came in time
	eventWriteError                   // a write failed
	eventCloseSent                    // our close frame has left
	eventFlushed                      // nothing is queued any more
	eventAbort                        // CloseNow was called
	eventFault                        // the connection cannot go on, for a reason of ours
	eventTimeout                      // the time for closing is over

	numEvents
)

// closeAction is a set of things to do at the entry to a state.
type closeAction uint8

const (
	actQueueClose closeAction = 1 << iota // queue our close frame
	actBound                              // bound what follows by Options.CloseTimeout
	actRead                               // have the control reader read
	actFlush                              // write what is queued, and tell when nothing is any more
	actShutWrite                          // tell the peer that nothing more will come
	actHurry                              // the user has left: bound what follows by maxLinger
	actEnd                                // close the transport
)

// closeStep is what an event leads to.
type closeStep struct {
	next closeState
	do   closeAction
}

// closeTable has a row for each state. An event that is not in a row changes
// nothing there.
var closeTable = [numStates][numEvents]*closeStep{
	stateOpen: {
		eventClose:      {stateClosing, actQueueClose | actBound | actRead},
		eventCloseWrite: {stateHalfClosing, actQueueClose},
		eventPeerClose:  {stateAnswering, actQueueClose | actBound}, // section 5.5.1
		eventViolation:  {stateFailing, actQueueClose | actBound | actRead},
		eventInputEnd:   {stateFlushing, actBound | actFlush},
		eventWriteError: {stateWriteFailed, actBound | actRead},
		eventAbort:      ended,
		eventFault:      ended,
	},
	stateWriteFailed: { // no close frame can be sent any more
		eventClose:     ended,
		eventPeerClose: ended,
		eventViolation: ended,
		eventInputEnd:  ended,
		eventAbort:     ended,
		eventFault:     ended,
		eventTimeout:   ended,
	},
	stateHalfClosing: {
		eventClose:      {stateClosing, actBound | actRead},
		eventPeerClose:  {stateAnswering, actBound},
		eventViolation:  {stateFailing, actBound | actRead},
		eventInputEnd:   {stateFlushing, actBound | actFlush},
		eventWriteError: {stateWriteFailed, actBound | actRead},
		eventCloseSent:  {stateHalfClosed, 0},
		eventAbort:      ended,
		eventFault:      ended,
	},
	stateHalfClosed: {
		eventClose:     {stateCloseSent, actBound | actRead},
		eventPeerClose: {stateLingering, actBound | actRead},
		eventViolation: {stateFailed, actBound | actRead | actShutWrite},
		eventInputEnd:  ended,
		eventAbort:     ended,
		eventFault:     ended,
	},
	stateClosing: {
		eventPeerClose:  {stateAnswering, 0}, // what is queued is the answer
		eventViolation:  ended,
		eventInputEnd:   {stateFlushing, actFlush},
		eventWriteError: ended,
		eventCloseSent:  {stateCloseSent, 0},
		eventAbort:      ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateCloseSent: {
		eventPeerClose: {stateLingering, actBound | actRead},
		eventViolation: ended,
		eventInputEnd:  ended,
		eventAbort:     ended,
		eventFault:     ended,
		eventTimeout:   ended,
	},
	stateAnswering: {
		eventWriteError: ended,
		eventCloseSent:  {stateLingering, actBound | actRead},
		eventAbort:      ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateFailing: {
		eventInputEnd:   {stateFlushing, actFlush},
		eventWriteError: ended,
		eventCloseSent:  {stateFailed, actShutWrite},
		// TCP answers input that nobody reads with a reset, which would take the
		// close frame along. So the transport stays a little longer than the user.
		eventAbort:   {stateFailing, actHurry},
		eventFault:   ended,
		eventTimeout: ended,
	},
	stateFailed: {
		eventInputEnd: ended,
		eventAbort:    {stateFailed, actHurry},
		eventFault:    ended,
		eventTimeout:  ended,
	},
	stateFlushing: {
		eventWriteError: ended,
		eventCloseSent:  ended,
		eventFlushed:    ended,
		eventAbort:      ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateLingering: {
		eventInputEnd: ended,
		eventAbort:    ended,
		eventFault:    ended,
		eventTimeout:  ended,
	},
}

var ended = &closeStep{stateEnded, actEnd}

// after returns what ev leads to in state s. "The server MUST close the
// connection immediately, the client SHOULD wait for the server" (section
// 7.1.1), so that TIME-WAIT stays with the server.
func (s closeState) after(ev closeEvent, client bool) closeStep {
	step := closeTable[s][ev]
	switch {
	case step == nil:
		return closeStep{next: s}
	case step.next == stateLingering && !client:
		return *ended
	}
	return *step
}

// advance moves the connection on after ev. cause is what it ended with, if ev
// decides that. The caller holds no lock; it may have the write lock only if nothing
// is written any more.
func (c *Conn) advance(ev closeEvent, cause *CloseError) {
	l := &c.life
	l.mu.Lock()
	state := l.closeState()
	step := state.after(ev, c.client())
	switch ev {
	case eventPeerClose:
		l.received = true
	case eventCloseSent:
		l.sent = true
	}
	l.state.Store(uint32(step.next))
	var ctx *lifeContext
	decided := !step.next.reads() && l.cause.Load() == nil
	if decided {
		cause = l.decideLocked(ev, cause)
		l.cause.Store(cause)
		if l.extra != nil {
			ctx = l.extra.ctx
		}
	}
	failed := step.next == stateWriteFailed && state != stateWriteFailed
	if failed {
		l.extraLocked().writeErr = cause
	}
	if decided || failed {
		l.dropPingsLocked() // nothing answers them any more
	}
	switch {
	case step.do&actHurry != 0:
		l.boundLocked(c, min(c.opts.CloseTimeout, maxLinger))
	case step.do&actBound != 0 && step.next == stateLingering:
		l.boundLocked(c, min(c.opts.CloseTimeout, maxLinger))
	case step.do&actBound != 0:
		l.boundLocked(c, c.opts.CloseTimeout)
	}
	l.mu.Unlock()

	if ctx != nil {
		ctx.cancel(cause)
	}
	if decided || failed || step.next == stateHalfClosing {
		c.dropWriters()
	}
	c.act(step.do, cause)
}

// act does what a step asks for.
func (c *Conn) act(do closeAction, cause *CloseError) {
	if do&actQueueClose != 0 {
		c.queueClose(cause.Code, cause.Reason)
	}
	if do&actShutWrite != 0 {
		c.carrier().closeWrite()
	}
	if do&(actQueueClose|actFlush) != 0 {
		c.flushNow()
	}
	if do&actRead != 0 {
		c.attendInBackground()
	}
	if do&actEnd != 0 {
		c.end()
	}
}

// decideLocked returns the cause of the end. An earlier error of the writing
// half is a part of it, unless we or the peer have closed properly.
func (l *life) decideLocked(ev closeEvent, cause *CloseError) *CloseError {
	if l.extra == nil || l.extra.writeErr == nil {
		return cause
	}
	failed := l.extra.writeErr
	switch ev {
	case eventClose:
		return &CloseError{Code: cause.Code, Reason: cause.Reason, Err: failed.Err}
	case eventPeerClose, eventViolation:
		return cause
	case eventInputEnd:
		if cause.Err != errInputDry {
			return &CloseError{Code: StatusAbnormalClosure, Err: fmt.Errorf("%w, after a write failed: %w", cause.Err, failed.Err)}
		}
	}
	return failed
}

// startClose begins the closing handshake and returns at once.
func (c *Conn) startClose(code StatusCode, reason string) {
	c.advance(eventClose, &CloseError{Code: code, Reason: reason})
}

// closeWriteHalf sends a close frame, behind everything else, and goes on
// delivering messages until the peer's close frame.
func (c *Conn) closeWriteHalf() error {
	c.advance(eventCloseWrite, &CloseError{Code: StatusNormalClosure})
	if c.life.closeState() == stateWriteFailed {
		return c.writeError()
	}
	return nil
}

// gotClose handles the peer's close frame: it is answered with the same code
// and reason, unless it is the answer.
func (c *Conn) gotClose(code StatusCode, reason string) {
	c.advance(eventPeerClose, &CloseError{Code: code, Reason: reason, Remote: true})
}

// failRead ends the reading half with what it ran into: a breach of the
// protocol, which the peer is told, or an error of the transport. It returns
// the error for the caller.
func (c *Conn) failRead(err error) error {
	var pe *ProtocolError
	if errors.As(err, &pe) {
		reason := pe.Text + pe.where()
		if len(reason) > maxCloseReason {
			reason = cutReason(pe.Text)
		}
		c.advance(eventViolation, &CloseError{Code: pe.Code, Reason: reason, Err: pe})
		return c.readError()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // no close frame
	}
	c.advance(eventInputEnd, &CloseError{Code: StatusAbnormalClosure, Err: err})
	return c.readError()
}

// abort ends the connection at once, because the user says so.
func (c *Conn) abort(err error) {
	c.advance(eventAbort, &CloseError{Code: StatusAbnormalClosure, Err: err})
}

// fault ends the connection at once, because of an error of ours.
func (c *Conn) fault(err error) {
	c.advance(eventFault, &CloseError{Code: StatusAbnormalClosure, Err: err})
}

// dead is for a peer that is gone: what has arrived is still read, but nothing is
// waited for.
func (c *Conn) dead(err error) {
	c.breakWrite(err)
	c.carrier().SetWriteDeadline(past)
	c.giveUpInput()
}

// giveUpInput has the reader take what has arrived, and wait for nothing more. If
// nobody ever reads, and a message is in the way, the connection ends.
func (c *Conn) giveUpInput() {
	in := &c.in
	in.marks.set(inDry)
	c.carrier().SetReadDeadline(past) // those who set another one look at the mark afterwards
	if in.marks.has(inBlocked) && !in.marks.has(inUsed) {
		c.advance(eventTimeout, nil)
		return
	}
	c.attendInBackground()
}

// errInputDry stands for input that was waited for long enough after the writing
// half had failed.
var errInputDry = errors.New("websocket: no more input")

// end closes the transport and lets go of all that the connection holds. It is
// called once.
func (c *Conn) end() {
	c.flushAtEnd()
	l := &c.life
	l.mu.Lock()
	t, timer := c.t, l.timer
	polite := l.sent
	l.mu.Unlock()

	t.end(!polite || t.blocked())
	if timer != nil {
		timer.Stop()
	}
	c.forgetContexts()
	l.mu.Lock()
	l.over = true
	var gone chan struct{}
	if l.extra != nil {
		gone = l.extra.gone
	}
	l.mu.Unlock()
	if gone != nil {
		close(gone)
	}
	c.traceClose()
}

// maxLinger is how long a client waits, when all is said, for the server to
// close the TCP connection.
const maxLinger = time.Second

// minProgress is how much the peer must take, within Options.CloseTimeout, for the
// connection to go on closing.
const minProgress = 4 << 10

// boundLocked has onTimer called after d. The caller holds mu.
func (l *life) boundLocked(c *Conn, d time.Duration) {
	l.extraLocked().progress = c.progress()
	l.rearmLocked(c, d)
}

// progress counts bytes that the peer has taken; while the writing half has failed,
// those that have arrived.
func (c *Conn) progress() uint64 {
	if c.life.closeState() == stateWriteFailed {
		return c.in.bytes.Load()
	}
	return c.out.bytes.Load() - uint64(c.queued())
}

// rearmLocked sets the connection's one timer, which serves keepalive while
// the connection is open and bounds its closing. The caller holds mu.
func (l *life) rearmLocked(c *Conn, d time.Duration) {
	switch {
	case l.over:
	case l.timer == nil:
		l.timer = time.AfterFunc(d, c.onTimer)
	default:
		l.timer.Reset(d)
	}
}

func (c *Conn) onTimer() {
	switch s := c.life.closeState(); s {
	case stateOpen:
		c.keepaliveTick()
	case stateHalfClosing, stateHalfClosed: // no ping may follow a close frame
	case stateEnded:
		c.carrier().end(true) // even if end is at it already
	default:
		if c.progressed() {
			return
		}
		if s == stateWriteFailed {
			c.giveUpInput()
		} else {
			c.advance(eventTimeout, nil)
		}
	}
}

// progressed reports whether there was progress since the timer was set, and if so
// sets it again.
func (c *Conn) progressed() bool {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	enough := uint64(minProgress)
	if l.closeState() == stateWriteFailed {
		enough = 1
	}
	if c.progress()-l.extraLocked().progress < enough {
		return false
	}
	l.boundLocked(c, c.opts.CloseTimeout)
	return true
}
