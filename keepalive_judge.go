package websocket

import (
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// activity is what is known of a peer at one moment. A field that cannot be seen is
// zero.
type activity struct {
	transport.State
	at        int64 // when, by monotonic
	lastInput int64 // when a read last brought bytes, or there was another sign
	blocked   bool  // a message that nobody reads is in front of the next input
	busy      bool  // something waits to be taken by the transport
}

// wait is the state of keepalive since it has sent a ping. It is a value, and judge
// is the only rule on it.
type wait struct {
	last         activity      // at the last check; the first one was before the ping
	waited       time.Duration // the part of the pong timeout that is over
	looks        int           // how many checks there were since the ping
	unread       bool          // there was a sign that was not read yet
	lastActivity int64         // when the sign was given, after peerAlive
}

type peerState uint8

const (
	peerSilent  peerState = iota // no sign yet
	peerAlive                    // a sign
	peerUnread                   // a sign: unread input, which is to be read, since it may be the pong, or the end
	peerUnknown                  // the time is over, but it cannot be seen whether input has arrived
	peerDead                     // the time is over
	peerGone                     // the peer has closed, behind a message that nobody reads
)

// looksPerTimeout is how often keepalive checks within the pong timeout. That is
// the precision of the timeout where the pong waits behind other bytes.
const looksPerTimeout = 8

// judge checks the peer again. The time for the pong runs from when the ping has
// left, and only while keepalive runs: of a pause of the whole process no more than
// two periods count. Nor does the time run while the system has room for the ping,
// but the goroutine that writes the ping has not run yet.
func (w *wait) judge(now activity, timeout time.Duration) peerState {
	last := w.last
	w.last = now
	w.looks++
	switch {
	case now.lastInput > last.lastInput:
		w.lastActivity = now.lastInput
		return peerAlive
	case now.shows(last):
		w.lastActivity = now.at
		if now.Input == last.Input || now.blocked || !now.Unread {
			return peerAlive
		}
		w.unread = true
		return peerUnread
	case w.unread && now.blocked:
		return peerAlive
	case w.unread:
		return peerSilent // the reader has not read it yet
	}
	passed := min(time.Duration(now.at-last.at), 2*timeout/looksPerTimeout)
	switch {
	case last.busy && !now.busy:
		w.waited = 0 // the ping has left between these two checks
	case now.busy && now.System && now.Unacked == 0:
	default:
		w.waited += max(passed, 0)
	}
	switch {
	case w.looks > 1 && now.Ended && now.blocked:
		return peerGone // the input before the end was read by an earlier check
	case w.waited < timeout:
		return peerSilent
	case now.blocked && !now.Visible:
		return peerUnknown
	}
	return peerDead
}

// shows reports whether the peer has given a sign of life since last.
//
// Bytes that the peer sends are a sign, whether or not they are read here. Bytes
// that the peer takes are a sign only if they had to wait, since the system of a
// process that hangs acknowledges whatever it has room for: so there must have been
// more of them than could leave between two checks. A window that opens is a sign:
// the process reads bytes that its system has acknowledged earlier. When our
// receive buffer is full the pong cannot arrive; then an acknowledgement is enough.
func (now *activity) shows(last activity) bool {
	taken := now.Acked - last.Acked
	opened := now.Window - last.Window
	switch {
	case now.lastInput > last.lastInput, now.Input != last.Input:
		return true
	case taken > 0 && taken < last.Unacked+last.Queued, taken > 0 && last.busy && now.busy, taken > 0 && now.Full:
		return true
	case opened > 0:
		return taken <= 0 || taken <= smallTaken && opened >= largeOpened
	}
	return false
}

const (
	// The window may open a little when bytes are taken, even if the process does not
	// read: by its unit of announcement, and by some segments.
	smallTaken  = 1 << 10
	largeOpened = 32 << 10
)

// next returns the time until the next check.
func (w *wait) next(timeout time.Duration) time.Duration {
	if timeout < 0 {
		return 1<<63 - 1
	}
	return max(min(timeout/looksPerTimeout, timeout-w.waited), 1)
}
