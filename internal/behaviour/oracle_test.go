package behaviour_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// want is how a connection must have ended.
type want struct {
	code   websocket.StatusCode // of the cause
	reason string               // of the cause, if it is the peer's
	remote bool                 // the peer closed first
	frame  *frame               // the close frame that the peer must have received
	// silent says that there must be no close frame. With frame nil and
	// silent false, either is right.
	silent bool
	// rude says that a client's stream may end with a reset: the library
	// closes a socket whose input nobody has read. A server has always said
	// something behind its close frame, if only that it closes.
	rude bool
}

// closed is the end by a peer's close frame, which is answered with itself.
func closed(f frame) want {
	w := want{code: websocket.StatusCode(f.code()), reason: f.reason(), remote: true, frame: &f}
	if w.code == 0 {
		w.code = websocket.StatusNoStatus
	}
	return w
}

// check compares both sides of a connection with w.
func (w want) check(t testing.TB, p *peer, l *lib) {
	t.Helper()
	w.checkCause(t, l)
	w.checkPeer(t, p, l)
}

func (w want) checkCause(t testing.TB, l *lib) {
	t.Helper()
	ce := l.cause(t)
	if ce.Code != w.code || ce.Code != websocket.StatusAbnormalClosure && ce.Remote != w.remote || w.remote && ce.Reason != w.reason {
		t.Errorf("the cause is %v (remote %v, reason %q), want %v (remote %v, reason %q)", ce, ce.Remote, ce.Reason, w.code, w.remote, w.reason)
	}
}

// checkPeer checks the frames that the peer has received: every accepted message,
// once and in order, and the close frame.
func (w want) checkPeer(t testing.TB, p *peer, l *lib) {
	t.Helper()
	frames, end := p.all()
	if isReset(end) && !w.rude && p.client {
		t.Errorf("the peer's stream ended with %v, want EOF", end)
	}
	got, err := messages(frames)
	if err != nil {
		t.Error(err)
	}
	if accepted := l.accepted(); !slices.Equal(got, accepted) {
		t.Errorf("the peer received %s, but accepted were %s", brief(got), brief(accepted))
	}
	closes, err := closeFrames(frames)
	if err != nil {
		t.Error(err)
	}
	switch {
	case len(closes) > 1:
		t.Errorf("the peer received %d close frames: %v", len(closes), closes)
	case w.frame != nil && (len(closes) == 0 || closes[0].payload != w.frame.payload && (closes[0].code() != w.frame.code() || w.frame.reason() != "*")):
		t.Errorf("the peer received close frames %v, want %v", closes, *w.frame)
	case w.silent && len(closes) > 0:
		t.Errorf("the peer received %v, want no close frame", closes[0])
	}
}

// anyReason is a close frame whose reason is the library's business.
func anyReason(code int) *frame {
	f := closing(code, "*")
	return &f
}

// brief shows messages without their bulk.
func brief(msgs []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages:", len(msgs))
	for i, m := range msgs {
		if i == 12 {
			b.WriteString(" …")
			break
		}
		if len(m) > 12 {
			m = fmt.Sprintf("%s…[%d]", m[:12], len(m))
		}
		fmt.Fprintf(&b, " %q", m)
	}
	return b.String()
}

// numbered is n messages, and their frames.
func numbered(prefix string, n int) (msgs []string, frames []frame) {
	for i := range n {
		msgs = append(msgs, fmt.Sprintf("%s%d", prefix, i))
		frames = append(frames, text(msgs[i]))
	}
	return msgs, frames
}

// delivered compares the messages of the handler with those that the peer sent.
func delivered(t testing.TB, l *lib, want []string) {
	t.Helper()
	if got := l.messages(t); !slices.Equal(got, want) {
		t.Errorf("delivered were %s, sent were %s", brief(got), brief(want))
	}
}
