package transport

import "time"

// Ask says what a Probe is to find out. Each costs a system call on a socket.
type Ask uint8

const (
	AskInput Ask = 1 << iota // Readable
	AskRoom                  // Room and Writing
	AskPeer                  // all other fields
)

// Answer is an answer that may be missing.
type Answer uint8

const (
	Unknown Answer = iota
	No
	Yes
)

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// State is what can be seen of a connection and its peer, without reading from it
// and without waiting. A field that cannot be seen is zero. One that was not asked
// for has no meaning.
type State struct {
	Readable Answer // a Read would not wait: there is input, the end of it, or an error
	Room     Answer // a Write of up to MaxRoom bytes would not wait
	Writing  Answer // a Write of the transport below is under way

	// Bytes that the peer has sent:
	Input   int64 // bytes that have arrived so far, or those that nobody has read yet
	Unread  bool  // some of them were not read yet
	Visible bool  // whether input can be seen
	Full    bool  // there may be no room for more
	Ended   bool  // the peer has sent all, or the connection has failed

	// Bytes that the peer takes:
	Acked   int64 // bytes that it, or its system, has taken; only growth counts
	Counted bool  // Acked is the system's own count
	Unacked int64 // bytes that our system has taken and the peer has not
	Queued  int64 // bytes that the transport has taken and our system has not
	Window  int64 // what the peer's system has room for
	System  bool  // Unacked can be seen
}

// Blocked reports whether it is certain that a write to t would have to wait.
func Blocked(t Conn) bool { return t.Probe(AskRoom).Room == No }

// MayWait reports whether a write to t may be waiting for the peer.
func MayWait(t Conn) bool {
	st := t.Probe(AskRoom)
	return st.Room != Yes && st.Writing != No
}

// EndBound is how long the end of a connection waits on t for a write under way. A
// transport that cannot say anything about it may also ignore deadlines, so it gets
// less time.
func EndBound(t Conn) time.Duration {
	if st := t.Probe(AskRoom); st.Room == Unknown && st.Writing == Unknown {
		return 10 * EndWait
	}
	return endPatience
}
