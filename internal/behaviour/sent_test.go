package behaviour_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// leavings are the ways in which a handler can leave its connection.
var leavings = []struct {
	name  string
	leave func(l *lib) bool
}{
	{"return", func(*lib) bool { return false }},
	{"CloseNow", func(l *lib) bool { l.c().CloseNow(); return false }},
	{"panic", func(*lib) bool { panic(errPanic) }},
	{"abort", func(*lib) bool { panic(http.ErrAbortHandler) }},
	{"Goexit", func(*lib) bool { runtime.Goexit(); return true }},
}

// TestNilMeansSent has handlers leave right behind a Write or a Send that has
// returned nil: the message arrives, whether or not more messages came in the
// same segment and made it wait for theirs.
func TestNilMeansSent(t *testing.T) {
	for _, lv := range leavings {
		t.Run(lv.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
					call := l.write
					if strings.HasPrefix(msg, "send") {
						call = l.send
					}
					for range 3 {
						if err := call("answer to " + msg); err != nil {
							t.Errorf("writing: %v", err)
						}
					}
					return lv.leave(l)
				}})
				for _, how := range []string{"write", "send"} {
					for more := range 5 {
						for range times(1) {
							p, l := s.connect()
							p.record()
							_, frames := numbered(how, 1+more)
							p.send(frames...)
							want{rude: true}.checkPeer(t, p, l)
							if len(l.accepted()) != 3 {
								t.Errorf("%d messages were accepted", len(l.accepted()))
							}
							if t.Failed() {
								t.Fatalf("%s, with %d more messages", how, more)
							}
						}
					}
				}
			})
		})
	}
}

// TestHalfClose has peers send messages and half-close, behind the start of a
// frame, a violation or a close frame: every message is answered. The handler
// is slower than the end in half of the cases.
func TestHalfClose(t *testing.T) {
	tails := []struct {
		name  string
		bytes func(p *peer) []byte
		want  want
	}{
		{"nothing", func(p *peer) []byte { return nil }, want{code: 1006}},
		{"half a header", func(p *peer) []byte { return p.bytes(text("half"))[:1] }, want{code: 1006}},
		{"half a frame", func(p *peer) []byte { b := p.bytes(text("half")); return b[:len(b)-1] }, want{code: 1006}},
		{"half a message", func(p *peer) []byte { return p.bytes(frame{first: opText, payload: "half"}) }, want{code: 1006}},
		{"a violation", func(p *peer) []byte { return p.bytes(frame{first: fin | 3}) }, want{code: 1002, frame: anyReason(1002)}},
		{"a close frame", func(p *peer) []byte { return p.bytes(closing(4001, "bye")) }, closed(closing(4001, "bye"))},
	}
	everywhere(t, func(t *testing.T, r rig) {
		var gate atomic.Pointer[chan struct{}]
		s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
			<-*gate.Load()
			return echo.message(l, msg)
		}})
		for _, tail := range tails {
			for i := range 2 * times(3) {
				open := make(chan struct{})
				gate.Store(&open)
				p, l := s.connect()
				p.listen()
				sent, frames := numbered("m", 1+i/2)
				if i%2 == 0 {
					close(open)
				}
				p.write(append(p.bytes(frames...), tail.bytes(p)...))
				p.closeWrite()
				if i%2 != 0 {
					close(open)
				}
				delivered(t, l, sent)
				tail.want.check(t, p, l)
				if len(l.accepted()) != len(sent) {
					t.Errorf("%d of %d answers were accepted", len(l.accepted()), len(sent))
				}
				if t.Failed() {
					t.Fatalf("%s, connection %d", tail.name, i)
				}
			}
		}
	})
}

// TestHalfCloseAnywhere cuts a short conversation at every byte.
func TestHalfCloseAnywhere(t *testing.T) {
	parts := []frame{
		text("one"), ping("p1"), {first: opText, payload: "tw"}, ping("p2"), {first: fin | opContinuation, payload: "o"},
		text(strings.Repeat("3", 130)), closing(4002, "over"),
	}
	msgs := []string{"one", "", "", "", "two", strings.Repeat("3", 130), ""}
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), echo)
		masked := r.engine != onDial
		var all []byte
		var ends []int // of the frames
		for _, f := range parts {
			all = f.encode(all, masked)
			ends = append(ends, len(all))
		}
		for cut := range len(all) + 1 {
			p, l := s.connect()
			p.listen()
			p.write(all[:cut])
			p.closeWrite()
			w, sent, pongs := want{code: 1006}, []string(nil), 0
			for i, end := range ends {
				if end > cut {
					break
				}
				switch {
				case msgs[i] != "":
					sent = append(sent, msgs[i])
				case parts[i].op() == opPing:
					pongs++
				case parts[i].op() == opClose:
					w = closed(parts[i])
				}
			}
			delivered(t, l, sent)
			w.check(t, p, l)
			for _, f := range p.received() {
				if f.op() == opPong {
					pongs--
				}
			}
			if pongs != 0 {
				t.Errorf("%d pongs are missing", pongs)
			}
			if t.Failed() {
				t.Fatalf("cut at byte %d of %d", cut, len(all))
			}
		}
	})
}

// TestResetAnywhere resets connections at every byte of a short conversation:
// complete messages are delivered, and the close frame counts if it is there.
func TestResetAnywhere(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), program{})
		masked := r.engine != onDial
		b := text("one").encode(nil, masked)
		first := len(b)
		b = binaryf("two").encode(b, masked)
		second := len(b)
		b = closing(4003, "gone").encode(b, masked)
		for cut := range len(b) + 1 {
			p, l := s.connect()
			p.write(b[:cut])
			p.reset()
			var sent []string
			if cut >= first {
				sent = append(sent, "one")
			}
			if cut >= second {
				sent = append(sent, "two")
			}
			delivered(t, l, sent)
			w := want{code: websocket.StatusAbnormalClosure}
			if cut == len(b) {
				w = closed(closing(4003, "gone"))
			}
			w.checkCause(t, l)
			if t.Failed() {
				t.Fatalf("cut at byte %d of %d", cut, len(b))
			}
		}
	})
}
