package websocket

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// advance moves the connection to its next state, after ev, and takes the actions.
// cause is the error that it ends with, if ev decides that. The caller holds no
// lock but in.mu; it may own the write lock only if nothing is written any more.
func (c *Conn) advance(ev closeEvent, cause *CloseError) {
	do, told, cause := c.step(ev, cause)
	told.tell(cause)
	c.act(do)
}

// step changes the state and the queue atomically: a call that sees the new state
// finds its close frame queued, and the waiting writers gone. It returns the
// actions that are left, which need no lock, and those that are to be told.
func (c *Conn) step(ev closeEvent, cause *CloseError) (closeAction, watchers, *CloseError) {
	o := &c.out
	o.lock()
	defer o.unlock()
	if ev == eventWriteError {
		o.breakLocked()
	}
	do, drop, told, cause := c.life.step(c, ev, cause)
	if do&actFlush != 0 {
		o.tell = true
	}
	if drop {
		c.dropWritersLocked()
	}
	if do&actQueueClose != 0 {
		c.queueCloseLocked(cause.Code, cause.Reason)
	}
	return do, told, cause
}

// step is the part of Conn.step that life.mu guards. drop tells that no message may
// begin any more.
func (l *life) step(c *Conn, ev closeEvent, cause *CloseError) (do closeAction, drop bool, told watchers, _ *CloseError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.closeState()
	step := state.after(ev, c.client())
	switch ev {
	case eventPeerClose:
		l.received = true
	case eventCloseSent:
		l.sent = true
	}
	l.state.Store(uint32(step.next))
	decided := !step.next.reads() && l.cause.Load() == nil
	if decided {
		cause = l.decideLocked(ev, cause)
		l.cause.Store(cause)
		told = l.takeWatchersLocked()
	}
	failed := step.next == stateWriteFailed && state != stateWriteFailed
	if failed {
		l.extraLocked().writeErr = cause
	}
	if decided || failed {
		l.dropPingsLocked() // no pong can come any more
	}
	switch {
	case step.do&actBound != 0 && step.next == stateLingering:
		l.boundLocked(c, min(c.opts.CloseTimeout, maxLinger))
	case step.do&actBound != 0:
		l.boundLocked(c, c.opts.CloseTimeout)
	case step.do&actHurry != 0:
		l.hurryLocked(c)
	}
	return step.do, decided || failed || step.next == stateHalfClosing, told, cause
}

// act takes those actions of a step that need no lock.
func (c *Conn) act(do closeAction) {
	if do&actShutWrite != 0 && c.in.flags.has(framingLost) {
		c.currentTransport().CloseWrite()
	}
	if do&(actQueueClose|actFlush) != 0 {
		c.flushNow()
	}
	if do&actRead != 0 {
		c.startControlReader()
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
		if cause.Err != errInputOver {
			return &CloseError{Code: StatusAbnormalClosure, Err: fmt.Errorf("%w, after a write failed: %w", cause.Err, prefix.Trim(failed.Err))}
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

// failRead ends the reading half because of err: a violation of the protocol, which
// the peer is told, or an error of the transport. It returns the error for the
// caller.
func (c *Conn) failRead(err error) error {
	var pe *ProtocolError
	if errors.As(err, &pe) {
		if !c.in.receiver.skip() {
			c.in.flags.set(framingLost)
		}
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

// abort ends the connection at once, for CloseNow. A closing handshake that has
// begun may still be completed, within maxLinger.
func (c *Conn) abort(err error) {
	c.advance(eventAbort, &CloseError{Code: StatusAbnormalClosure, Err: err})
}

// cut ends the connection at once, because its server or loop is closed.
func (c *Conn) cut(err error) {
	c.advance(eventCut, &CloseError{Code: StatusAbnormalClosure, Err: err})
}

// fault ends the connection at once, because of an error of ours.
func (c *Conn) fault(err error) {
	c.advance(eventFault, &CloseError{Code: StatusAbnormalClosure, Err: err})
}

// dead ends the connection to a peer that is gone. Input that has arrived is still
// read, but nothing is waited for.
func (c *Conn) dead(err error) {
	c.breakWrite(err)
	c.currentTransport().SetWriteDeadline(transport.Past)
	if l := c.loopTransport(); l != nil {
		l.dropQueue()
	}
	c.giveUpInput()
}

// giveUpInput makes the reader take the input that has arrived, and wait for no
// more. If a message blocks the input and the user has never read, the connection
// ends.
func (c *Conn) giveUpInput() {
	in := &c.in
	in.flags.set(readNoWait)
	c.currentTransport().SetReadDeadline(transport.Past) // code that sets another deadline checks the flag afterwards
	if in.flags.has(messageBlocks) && !in.flags.has(userHasRead) {
		c.advance(eventTimeout, nil)
		return
	}
	c.startControlReader()
}

// expectReader checks, every CloseTimeout, whether the user reads on a connection
// whose writing half has failed. If nothing was read for two of them, Context is
// done: otherwise a handler that waits for Context instead of reading would wait
// for ever, since there is no cause before the input is read. The input can still
// be read afterwards.
func (c *Conn) expectReader() {
	l := &c.life
	l.mu.Lock()
	r := l.extraLocked()
	progress := c.readProgress()
	if r.bound.read != progress {
		r.bound.read, r.bound.looks = progress, 0
	}
	if r.bound.looks++; r.bound.looks < 3 {
		l.rearmLocked(c, c.opts.CloseTimeout)
		l.mu.Unlock()
		return
	}
	r.bound.ctxOver = true
	told, cause := l.takeWatchersLocked(), r.writeErr
	l.mu.Unlock()
	told.tell(cause)
}

// readProgress grows whenever the user reads.
func (c *Conn) readProgress() int64 { return int64(c.in.bytes.Load() + c.in.readLock.count()) }

// errInputOver ends the input of a connection whose writing half has failed, when
// all that has arrived was read.
var errInputOver = errors.New("websocket: no more input")

// end closes the transport and releases all that the connection holds. It is called
// once.
func (c *Conn) end() {
	c.flushAtEnd()
	l := &c.life
	l.mu.Lock()
	t, timer := c.t, l.timer
	polite := l.sent
	l.mu.Unlock()

	t.Terminate(!polite || transport.Blocked(t))
	if timer != nil {
		timer.Stop()
	}
	c.forgetContexts()
	l.mu.Lock()
	l.traceCloseLocked(c)
	l.over = true
	var gone chan struct{}
	if l.extra != nil {
		gone = l.extra.gone
	}
	l.mu.Unlock()
	if gone != nil {
		close(gone)
	}
}

// maxLinger is how long a client waits, after the closing handshake, for the server
// to close the TCP connection. It is also how long the peer's close frame is still
// awaited after CloseNow, if another goroutine's Close has sent ours.
const maxLinger = time.Second

// minProgress is how much the peer must take, within Options.CloseTimeout, for the
// connection to go on closing.
const minProgress = 4 << 10

// bound bounds the time of the rest of the closing.
type bound struct {
	until    int64 // by monotonic
	progress int64 // progressLocked at half time, or when until was last extended
	last     bool  // until is not extended any more, whatever the progress
	looks    uint8 // checks of expectReader since readProgress became read
	read     int64
	ctxOver  bool // nothing was read for too long: Context is done
}

// boundLocked bounds the rest of the closing by d. The caller holds mu. The peer's
// progress is first measured after half of d, since most connections have ended by
// then.
func (l *life) boundLocked(c *Conn, d time.Duration) {
	l.extraLocked().bound = bound{until: monotonic() + int64(d)}
	l.rearmLocked(c, d/2)
}

// hurryLocked shortens the time that boundLocked has given to at most maxLinger.
// The caller holds mu.
func (l *life) hurryLocked(c *Conn) {
	b := &l.extraLocked().bound
	b.until, b.last = min(b.until, monotonic()+int64(maxLinger)), true
	l.rearmLocked(c, time.Duration(b.until-monotonic()))
}

// overdueLocked reports whether the time for closing is over. If it is not, the
// timer is set again.
func (c *Conn) overdueLocked() bool {
	l := &c.life
	b := &l.extraLocked().bound
	now, progress, enough := monotonic(), c.progressLocked(), int64(minProgress)
	if l.closeState() == stateWriteFailed {
		enough = 1
	}
	switch {
	case now < b.until:
	case b.last, progress-b.progress < enough:
		return true
	default:
		b.until = now + int64(c.opts.CloseTimeout)
	}
	b.progress = progress
	l.rearmLocked(c, time.Duration(b.until-now))
	return false
}

// progressLocked returns how many bytes the peer has taken, or, if the writing half
// has failed, how many have arrived.
func (c *Conn) progressLocked() int64 {
	if c.life.closeState() == stateWriteFailed {
		return int64(c.in.bytes.Load())
	}
	s := activity{State: c.t.Probe(transport.AskPeer)}
	return s.taken(c)
}

// rearmLocked sets the connection's one timer, which serves keepalive while
// the connection is open and bounds its closing. The caller holds mu.
func (l *life) rearmLocked(c *Conn, d time.Duration) {
	switch {
	case l.over:
	case l.timer == nil:
		l.timer = time.AfterFunc(d, c.weakCallback((*Conn).onTimer))
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
		c.currentTransport().Terminate(true) // even if end has called it already
	default:
		c.life.mu.Lock()
		overdue := c.overdueLocked()
		c.life.mu.Unlock()
		switch {
		case !overdue:
		case s == stateWriteFailed:
			c.giveUpInput()
			c.expectReader()
		default:
			c.advance(eventTimeout, nil)
		}
	}
}
