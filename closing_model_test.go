package websocket

import (
	"fmt"
	"testing"
)

// closeModel is the closing of a connection the slow way: what has happened, and
// what follows from that by RFC 6455, without states.
type closeModel struct {
	client bool

	called    bool // Close was called first
	received  bool // the peer's close frame has come, and counted
	violated  bool
	inputOver bool
	broken    bool // a write has failed
	queued    bool // our close frame
	sent      bool
	ended     bool
	cause     closeEvent // of the end; numEvents if there is none yet
}

func (m *closeModel) reads() bool { return m.cause == numEvents }

// possible reports whether ev can happen now.
func (m *closeModel) possible(ev closeEvent) bool {
	switch ev {
	case eventCloseSent:
		return m.queued && !m.sent && !m.broken && !m.ended
	case eventFlushed:
		return !m.queued || m.sent // else the close frame is left
	}
	return true
}

func (m *closeModel) decide(ev closeEvent) {
	if m.reads() {
		m.cause = ev
	}
}

// say queues the close frame, unless that was done, or ends what cannot say
// anything any more.
func (m *closeModel) say() {
	if m.broken {
		m.ended = true
	}
	m.queued = true
}

// settle ends a connection for which nothing is left to do.
func (m *closeModel) settle() {
	switch {
	case m.received && m.sent && !m.client:
		m.ended = true // section 7.1.1: the server closes first
	case m.inputOver && (m.sent || m.broken):
		m.ended = true
	}
}

func (m *closeModel) happen(ev closeEvent) {
	if m.ended {
		return
	}
	// Whether frames of the peer still matter.
	listens := m.reads() || (m.called || m.violated) && !m.received && !m.inputOver
	switch ev {
	case eventClose:
		if m.reads() {
			m.decide(ev)
			m.called = true
			m.say()
		}
	case eventCloseWrite:
		if m.reads() && !m.broken {
			m.queued = true
		}
	case eventPeerClose:
		if listens {
			m.decide(ev)
			m.received = true
			m.say()
		}
	case eventViolation:
		switch {
		case m.reads():
			m.decide(ev)
			m.violated = true
			m.say()
		case listens && !m.violated:
			m.ended = true // a peer that does not even close properly
		}
	case eventInputEnd:
		if m.received && !m.sent {
			return // nobody reads until the answer has left
		}
		m.decide(ev)
		m.inputOver = true
	case eventWriteError:
		switch {
		case m.sent: // nothing is written any more
		case m.reads():
			m.broken = true
		default:
			m.ended = true
		}
	case eventCloseSent:
		m.sent = true
	case eventFlushed:
		m.ended = m.inputOver
	case eventAbort, eventCut:
		// TCP would take along what the peer has not read: a verdict, and the
		// close frame of a Close that has not returned.
		if (m.violated || m.called && ev == eventAbort) && !m.received && !m.inputOver {
			return
		}
		m.decide(ev)
		m.ended = true
	case eventFault:
		m.decide(ev)
		m.ended = true
	case eventTimeout:
		if m.broken || !m.reads() {
			m.decide(ev)
			m.ended = true
		}
	}
	m.settle()
}

// TestClosingModel plays every sequence of up to six events, on a client and on a
// server, against the model.
func TestClosingModel(t *testing.T) {
	played := 0
	var play func(trail []closeEvent, state closeState, queued int, cause closeEvent, m closeModel)
	play = func(trail []closeEvent, state closeState, queued int, cause closeEvent, m closeModel) {
		if len(trail) == 6 {
			return
		}
		for ev := range numEvents {
			if !m.possible(ev) {
				continue
			}
			played++
			trail, m, queued, cause := append(trail, ev), m, queued, cause
			m.happen(ev)
			step := state.after(ev, m.client)
			if step.do&actQueueClose != 0 {
				queued++
			}
			if cause == numEvents && !step.next.reads() {
				cause = ev
			}
			got := fmt.Sprint("ended ", step.next == stateEnded, ", reads ", step.next.reads(), ", cause ", cause)
			want := fmt.Sprint("ended ", m.ended, ", reads ", m.reads(), ", cause ", m.cause)
			switch {
			case got != want:
				t.Fatalf("client %v, events %v: state %d: %s; want %s", m.client, trail, step.next, got, want)
			case queued > 1:
				t.Fatalf("client %v, events %v: the close frame is queued twice", m.client, trail)
			case m.queued != (queued == 1) && !m.ended:
				t.Fatalf("client %v, events %v: the close frame is queued %d times", m.client, trail, queued)
			case (state == stateEnded) && step.do != 0, step.next == stateEnded && state != stateEnded && step.do != actEnd:
				t.Fatalf("client %v, events %v: actions %b from state %d", m.client, trail, step.do, state)
			case step.next.discards() && state.reads() && step.do&actRead == 0:
				t.Fatalf("client %v, events %v: nobody reads in state %d", m.client, trail, step.next)
			case !step.next.reads() && step.next != stateEnded && state.reads() && step.do&actBound == 0:
				t.Fatalf("client %v, events %v: nothing bounds state %d", m.client, trail, step.next)
			}
			play(trail, step.next, queued, cause, m)
		}
	}
	for _, client := range []bool{false, true} {
		play(nil, stateOpen, 0, numEvents, closeModel{client: client, cause: numEvents})
	}
	if played < 1_000_000 {
		t.Errorf("only %d events were played", played)
	}
}
