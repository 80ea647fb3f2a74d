package behaviour_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// peerCloses are close frames that a peer may send, of every class.
var peerCloses = []frame{
	closing(1000, "Clean Close"),
	closing(1000, ""),
	closing(1001, "going"),
	closing(3000, "framework"),
	closing(4999, strings.Repeat("ü", 61)),
	closing(0, ""),
}

// TestPeerCloses has peers close connections of the commonest handler: each gets
// its close frame back, with code and reason, and then a clean end.
func TestPeerCloses(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), echo)
		for _, f := range peerCloses {
			for i := range times(6) {
				p, l := s.connect()
				p.record()
				sent, frames := numbered("m", i%3)
				if i%2 == 0 {
					p.send(append(frames, f)...)
				} else {
					p.sent = true
					p.dribble(p.bytes(append(frames, f)...))
				}
				closed(f).check(t, p, l)
				delivered(t, l, sent)
				if t.Failed() {
					t.Fatalf("connection %d that closes with %v", i, f)
				}
			}
		}
	})
}

// violations are frames that a peer must not send, with the close code of the answer.
// Frames are as a client sends them if masked is set.
var violations = []struct {
	name   string
	code   int
	frames func(masked bool) []byte
}{
	{"text that is not UTF-8", 1007, whole(text("caf\xe9"))},
	{"text that ends within a character", 1007, whole(text("caf\xc3"))},
	{"close reason that is not UTF-8", 1007, whole(closing(1000, "caf\xe9"))},
	{"message over ReadLimit", 1009, whole(binaryf(strings.Repeat("b", 65<<10)))},
	{"fragments over ReadLimit", 1009, whole(
		frame{first: opBinary, payload: strings.Repeat("b", 40<<10)},
		frame{first: fin | opContinuation, payload: strings.Repeat("b", 40<<10)})},
	{"reserved opcode", 1002, whole(frame{first: fin | 3})},
	{"reserved bit", 1002, whole(frame{first: fin | 0x20 | opText})},
	{"fragmented ping", 1002, whole(frame{first: opPing})},
	{"long ping", 1002, whole(ping(strings.Repeat("p", 126)))},
	{"continuation of nothing", 1002, whole(frame{first: fin | opContinuation})},
	{"message within a message", 1002, whole(frame{first: opText}, text("x"))},
	{"close frame of one byte", 1002, whole(frame{first: fin | opClose, payload: "x"})},
	{"close frame with 1005", 1002, whole(closing(1005, ""))},
	{"close frame with 1006", 1002, whole(closing(1006, ""))},
	{"close frame with 999", 1002, whole(closing(999, ""))},
	{"wrong masking", 1002, func(masked bool) []byte { return text("x").encode(nil, !masked) }},
}

func whole(frames ...frame) func(bool) []byte {
	return func(masked bool) (b []byte) {
		for _, f := range frames {
			b = f.encode(b, masked)
		}
		return b
	}
}

// TestVerdicts has peers break the protocol against the commonest handler: each
// is told by a close frame, behind the answers to what came before.
func TestVerdicts(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), echo)
		for _, v := range violations {
			for i := range times(2) {
				p, l := s.connect()
				p.record()
				sent, frames := numbered("m", 3*i)
				p.write(p.bytes(frames...))
				p.tryWrite(v.frames(p.client)) // may be cut off by the verdict
				w := want{code: websocket.StatusCode(v.code), frame: anyReason(v.code), rude: true}
				w.check(t, p, l)
				delivered(t, l, sent)
				if t.Failed() {
					t.Fatalf("connection %d: %s", i, v.name)
				}
			}
		}
	})
}

// ourCloses are arguments of Close, and the resulting frames.
var ourCloses = []struct {
	code   websocket.StatusCode
	reason string
	wire   frame
	ok     bool
}{
	{1000, "Clean Close", closing(1000, "Clean Close"), true},
	{1001, "", closing(1001, ""), true},
	{1013, "later", closing(1013, "later"), true},
	{3000, "framework", closing(3000, "framework"), true},
	{4999, strings.Repeat("x", 123), closing(4999, strings.Repeat("x", 123)), true},

	{4000, strings.Repeat("x", 124), closing(4000, strings.Repeat("x", 123)), false},
	{4000, strings.Repeat("x", 181), closing(4000, strings.Repeat("x", 123)), false},
	{4000, strings.Repeat("ü", 91), closing(4000, strings.Repeat("ü", 61)), false},
	{4000, "x" + strings.Repeat("ü", 90), closing(4000, "x"+strings.Repeat("ü", 61)), false},
	{4000, strings.Repeat("x", 121) + "😀😀", closing(4000, strings.Repeat("x", 121)), false},
	{1005, "", closing(0, ""), false},
	{0, "", closing(1011, "*"), false},
	{999, "", closing(1011, "*"), false},
	{1004, "", closing(1011, "*"), false},
	{1006, "", closing(1011, "*"), false},
	{1015, "", closing(1011, "*"), false},
	{2999, "", closing(1011, "*"), false},
	{5000, "", closing(1011, "*"), false},
	{65535, "", closing(1011, "*"), false},
}

// TestCloseAlwaysEnds calls Close with all kinds of arguments. Those that cannot
// be sent give an error, and end the connection all the same.
func TestCloseAlwaysEnds(t *testing.T) {
	for _, where := range []string{"in handler", "beside it"} {
		t.Run(where, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				results := make(chan error, 1)
				args := ourCloses[0]
				s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
					if where == "in handler" {
						results <- l.c().Close(args.code, args.reason)
					} else {
						go func() { results <- l.c().Close(args.code, args.reason) }()
					}
					return true
				}})
				for _, args = range ourCloses {
					p, l := s.connect()
					p.record()
					p.send(text("close"))
					err := wait(t, "Close", results)
					if (err == nil) != args.ok {
						t.Errorf("Close returned %v", err)
					}
					w := want{code: websocket.StatusCode(args.wire.code()), frame: &args.wire}
					if w.code == 0 {
						w.code = websocket.StatusNoStatus
					}
					w.check(t, p, l)
					if t.Failed() {
						t.Fatalf("Close(%d, %q)", args.code, args.reason)
					}
				}
			})
		})
	}
}

// TestCloseNowDuringClose calls CloseNow, as the commonest handler does when Read
// fails, while another goroutine's Close awaits the peer's answer. An answer that
// comes a little later completes the closing handshake; a peer that never answers
// is given up long before CloseTimeout.
func TestCloseNowDuringClose(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		results := make(chan error, 1)
		s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
			go func() { results <- l.c().Close(4001, msg) }()
			return true
		}})
		for _, answers := range []bool{true, false} {
			if !answers && r.transport != "tcp" {
				continue // it takes a second
			}
			p, l := s.connect()
			p.send(text("enough"))
			f, err := p.next()
			if want := closing(4001, "enough"); err != nil || f.first != want.first || f.payload != want.payload {
				t.Fatalf("the peer received %v, %v", f, err)
			}
			l.c().CloseNow()
			l.c().CloseNow()
			if answers {
				select {
				case err := <-results:
					t.Fatalf("Close returned %v before the peer had answered", err)
				case <-time.After(5 * time.Millisecond):
				}
				p.record()
				p.echo(f)
			} else {
				p.listen()
			}
			if err := wait(t, "Close", results); (err == nil) != answers {
				t.Errorf("Close returned %v; the peer answers: %v", err, answers)
			}
			if _, end := p.all(); isReset(end) && answers {
				t.Errorf("the peer's stream ended with %v", end)
			}
			want{code: 4001}.checkCause(t, l)
		}
	})
}

// TestCloseWithInvalidReason is apart, since the reason's text is not specified:
// it must be UTF-8, or the peer would have to fail the connection.
func TestCloseWithInvalidReason(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		results := make(chan error, 1)
		s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
			results <- l.c().Close(4000, msg[:3]+"\xe9"+msg[3:])
			return true
		}})
		p, l := s.connect()
		p.record()
		p.send(text("cafe"))
		if err := wait(t, "Close", results); err == nil {
			t.Error("Close returned no error")
		}
		frames, end := p.all()
		closes, err := closeFrames(frames)
		if err != nil || end == nil || isReset(end) {
			t.Errorf("the peer's stream: %v, %v", end, err)
		}
		if len(closes) != 1 || closes[0].code() != 4000 && closes[0].code() != 1011 || strings.ToValidUTF8(closes[0].reason(), "") != closes[0].reason() {
			t.Fatalf("the peer received close frames %v", closes)
		}
		want{code: websocket.StatusCode(closes[0].code())}.checkCause(t, l)
	})
}

// TestCloseAgainstReader has the server close against clients of the library
// that read up to the end and then call CloseNow: Close returns nil.
func TestCloseAgainstReader(t *testing.T) {
	overPairs(t, calm(), func(t *testing.T, pair func(server program) (*websocket.Conn, *lib)) {
		results := make(chan error, 1)
		server := program{message: func(l *lib, msg string) bool {
			results <- l.c().Close(4001, msg)
			return true
		}}
		for i := range times(10) {
			client, l := pair(server)
			msg := fmt.Sprint("reason ", i)
			if err := client.Write(t.Context(), websocket.Text, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			_, _, err := client.Read(t.Context())
			client.CloseNow()
			if err2 := wait(t, "Close", results); err2 != nil {
				t.Fatalf("connection %d: Close returned %v", i, err2)
			}
			if websocket.CloseCode(err) != 4001 {
				t.Fatalf("connection %d: the client read %v", i, err)
			}
			want{code: 4001}.checkCause(t, l)
		}
	})
}
