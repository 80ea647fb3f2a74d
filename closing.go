package websocket

// The closing of a connection (RFC 6455, section 7): its states, the events that
// move it from one state to the next, and the actions to take then. All of it is
// here; the two halves only report events.
//
// The halves end separately. A write that fails ends the writing half, and reading
// goes on over everything that has arrived. The cause is the error that the
// connection ended with; every later call returns it. It is decided once, when no
// input can change it any more.

// closeState is the state of a connection, from open to ended.
type closeState uint8

const (
	// In these states messages are read.

	stateOpen        closeState = iota
	stateWriteFailed            // a write has failed; what has arrived is still read
	stateHalfClosing            // our close frame is queued, and reading goes on
	stateHalfClosed             // our close frame was sent, and reading goes on

	// From here on there is a cause, and no message is delivered.

	stateClosing   // our close frame is queued; the peer's is awaited
	stateCloseSent // our close frame was sent; the peer's is awaited
	stateAnswering // the peer's close frame has come; our answer is queued
	stateFailing   // the peer broke the protocol; our close frame, which says so, is queued
	stateFailed    // that frame was sent; input is discarded until the peer's close frame, or the end
	stateFlushing  // the input is over; what is queued still leaves
	stateLingering // both close frames were exchanged; a client waits for the server to close the transport
	stateEnded     // the transport is closed, or about to be

	numStates
)

// reads reports whether messages are read.
func (s closeState) reads() bool { return s <= stateHalfClosed }

// discards reports whether the control reader must read and discard messages.
func (s closeState) discards() bool {
	switch s {
	case stateClosing, stateCloseSent, stateFailing, stateFailed, stateLingering:
		return true
	}
	return false
}

// closeEvent is an event of a connection that may change its state.
type closeEvent uint8

const (
	eventClose      closeEvent = iota // Close was called
	eventCloseWrite                   // the writing half was closed on purpose
	eventPeerClose                    // the peer's close frame was read
	eventViolation                    // the peer broke the protocol
	eventInputEnd                     // the input is over: by its end, an error, or because none came in time
	eventWriteError                   // a write failed
	eventCloseSent                    // our close frame has left
	eventFlushed                      // nothing is queued any more
	eventAbort                        // CloseNow was called
	eventCut                          // the server or the loop ends all connections at once
	eventFault                        // the connection cannot go on, for a reason of ours
	eventTimeout                      // the time for closing is over

	numEvents
)

// closeAction is a set of actions to take on entry to a state.
type closeAction uint8

const (
	actQueueClose closeAction = 1 << iota // queue our close frame
	actBound                              // bound what follows by Options.CloseTimeout
	actRead                               // have the control reader read
	actFlush                              // write what is queued, and report when the queue is empty
	actShutWrite                          // tell the peer that nothing more will come, if its frames cannot be told apart any more
	actHurry                              // give what follows at most maxLinger from now
	actEnd                                // close the transport
)

// closeStep is the result of an event: the next state, and the actions.
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
		eventCut:        ended,
		eventFault:      ended,
	},
	stateWriteFailed: { // no close frame can be sent any more
		eventClose:     ended,
		eventPeerClose: ended,
		eventViolation: ended,
		eventInputEnd:  ended,
		eventAbort:     ended,
		eventCut:       ended,
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
		eventCut:        ended,
		eventFault:      ended,
	},
	stateHalfClosed: {
		eventClose:     {stateCloseSent, actBound | actRead},
		eventPeerClose: {stateLingering, actBound | actRead},
		eventViolation: {stateFailed, actBound | actRead | actShutWrite},
		eventInputEnd:  ended,
		eventAbort:     ended,
		eventCut:       ended,
		eventFault:     ended,
	},
	stateClosing: {
		eventPeerClose:  {stateAnswering, 0}, // what is queued is the answer
		eventViolation:  ended,
		eventInputEnd:   {stateFlushing, actFlush},
		eventWriteError: ended,
		eventCloseSent:  {stateCloseSent, 0},
		eventAbort:      {stateClosing, actHurry}, // the other goroutine's Close still gets its answer
		eventCut:        ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateCloseSent: {
		eventPeerClose: {stateLingering, actBound | actRead},
		eventViolation: ended,
		eventInputEnd:  ended,
		eventAbort:     {stateCloseSent, actHurry}, // a reset would discard our close frame
		eventCut:       ended,
		eventFault:     ended,
		eventTimeout:   ended,
	},
	stateAnswering: {
		eventWriteError: ended,
		eventCloseSent:  {stateLingering, actBound | actRead},
		eventAbort:      ended,
		eventCut:        ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateFailing: {
		eventPeerClose:  {stateAnswering, 0},
		eventInputEnd:   {stateFlushing, actFlush},
		eventWriteError: ended,
		eventCloseSent:  {stateFailed, actShutWrite},
		// No eventAbort and no eventCut: TCP answers input that nobody reads with a
		// reset, which would discard the close frame. So the transport stays open after
		// CloseNow, until the peer has closed or the time for that is over.
		eventFault:   ended,
		eventTimeout: ended,
	},
	stateFailed: { // no eventAbort and no eventCut here either
		eventPeerClose: {stateLingering, actBound | actRead},
		eventInputEnd:  ended,
		eventFault:     ended,
		eventTimeout:   ended,
	},
	stateFlushing: {
		eventWriteError: ended,
		eventCloseSent:  ended,
		eventFlushed:    ended,
		eventAbort:      ended,
		eventCut:        ended,
		eventFault:      ended,
		eventTimeout:    ended,
	},
	stateLingering: {
		eventInputEnd: ended,
		eventAbort:    ended,
		eventCut:      ended,
		eventFault:    ended,
		eventTimeout:  ended,
	},
}

var ended = &closeStep{stateEnded, actEnd}

// after returns the step that ev leads to in state s. "The server MUST close the
// connection immediately, the client SHOULD wait for the server" (section 7.1.1),
// so that TIME-WAIT stays with the server.
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
