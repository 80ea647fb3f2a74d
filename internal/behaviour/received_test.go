package behaviour_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// gone is the end of the tests in this file: the peer's close frame counts,
// whatever happened to our writes before it was read.
var gone = closing(4001, "reason")

// departures are the ways in which a peer leaves behind its close frame.
var departures = []struct {
	name  string
	leave func(p *peer)
}{
	{"closes", (*peer).close},
	{"resets", (*peer).reset},
}

// TestPeerLeavesSlowReader has peers send 50 messages and a close frame and
// leave, while the handler takes a millisecond for each and a goroutine writes.
func TestPeerLeavesSlowReader(t *testing.T) {
	writers := []struct {
		name string
		call func(c *websocket.Conn) error
	}{
		{"Write", func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.Text, []byte("tick"))
		}},
		{"Send", func(c *websocket.Conn) error { return c.Send(websocket.Text, []byte("tick")) }},
		{"Ping", func(c *websocket.Conn) error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			if _, err := c.Ping(ctx); websocket.CloseCode(err) != 0 {
				return err
			}
			return nil
		}},
	}
	for _, w := range writers {
		t.Run(w.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				s := r.start(t, calm(), program{
					open: func(l *lib) {
						go func() {
							for w.call(l.c()) == nil {
								time.Sleep(200 * time.Microsecond)
							}
						}()
					},
					message: func(*lib, string) bool { time.Sleep(time.Millisecond); return true },
				})
				sent, frames := numbered("m", 50)
				type conn struct {
					p *peer
					l *lib
				}
				var conns []conn
				for range times(3) {
					p, l := s.connect()
					conns = append(conns, conn{p, l})
				}
				for i, c := range conns {
					c.p.send(append(frames, gone)...)
					departures[i%2].leave(c.p)
				}
				for _, c := range conns {
					delivered(t, c.l, sent)
					closed(gone).checkCause(t, c.l)
				}
			})
		})
	}
}

// TestWriteFailsBeforeRead has handlers write until that fails, and only then
// read what had arrived before.
func TestWriteFailsBeforeRead(t *testing.T) {
	for _, d := range departures {
		t.Run(d.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				left := make(chan struct{})
				s := r.start(t, calm(), program{open: func(l *lib) {
					wait(t, "the peer leaves", left)
					for deadline := time.Now().Add(patience); l.write("tick") == nil; time.Sleep(100 * time.Microsecond) {
						if time.Now().After(deadline) {
							t.Error("writing to a peer that has left does not fail")
							return
						}
					}
				}})
				for range times(2) {
					left = make(chan struct{})
					p, l := s.connect()
					sent, frames := numbered("m", 5)
					p.send(append(frames, gone)...)
					d.leave(p)
					close(left)
					delivered(t, l, sent)
					closed(gone).checkCause(t, l)
					if t.Failed() {
						return
					}
				}
			})
		})
	}
}

// TestPongsFail has peers send pings among their messages and leave, so that
// pongs fail under a handler that only reads.
func TestPongsFail(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), program{message: func(*lib, string) bool { time.Sleep(500 * time.Microsecond); return true }})
		for _, d := range departures {
			for range times(1) {
				var frames []frame
				var sent []string
				for i := range 60 {
					sent = append(sent, fmt.Sprint("m", i))
					frames = append(frames, text(sent[i]), ping("p"))
				}
				p, l := s.connect()
				p.send(append(frames, gone)...)
				d.leave(p)
				delivered(t, l, sent)
				closed(gone).checkCause(t, l)
			}
		}
	})
}

// TestPeerLeavesManyMessages has peers send thousands of messages and leave: more
// than one read takes, to a handler that answers until that fails.
func TestPeerLeavesManyMessages(t *testing.T) {
	everywhere(t, func(t *testing.T, r rig) {
		s := r.start(t, calm(), program{message: func(l *lib, msg string) bool {
			if strings.HasSuffix(msg, "00") {
				time.Sleep(time.Millisecond)
			}
			l.write("answer")
			return true
		}})
		for _, d := range departures {
			p, l := s.connect()
			sent, frames := numbered("message ", 2000)
			p.send(append(frames, gone)...)
			d.leave(p)
			delivered(t, l, sent)
			closed(gone).checkCause(t, l)
		}
	})
}

// TestWriteCutOff has a large write end with its context in the middle of a
// frame, since the peer does not read. The peer's frames are read all the same,
// and then its close frame is the cause, or else the write's error. A loop takes
// the message whole, and reads again when the peer has taken it.
func TestWriteCutOff(t *testing.T) {
	big := strings.Repeat("b", 2<<20)
	for _, end := range []string{"close frame", "silence", "FIN"} {
		t.Run(end, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				opts := calm()
				opts.CloseTimeout = 200 * time.Millisecond
				if r.queues() {
					opts.CloseTimeout = patience
				}
				ready, taken := make(chan struct{}), make(chan struct{})
				s := r.startSmall(t, opts, program{open: func(l *lib) {
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					<-ready
					go func() {
						defer cancel()
						l.peer.take(64 << 10)
						close(taken)
					}()
					defer func() { <-taken }()
					for i := range 2 {
						err := l.note(big, l.c().Write(ctx, websocket.Binary, []byte(big)))
						if err != nil {
							if (i > 0) != r.queues() {
								t.Errorf("write %d returned %v", i, err)
							}
							return
						}
					}
					t.Error("a peer that does not read took everything")
				}})
				p, l := s.connect()
				sent, frames := numbered("m", 5)
				p.send(frames...)
				w := want{code: websocket.StatusAbnormalClosure, rude: true}
				switch {
				case end == "close frame":
					p.send(gone)
					w = closed(gone)
					w.rude = true
				case end == "FIN", r.queues(): // where nothing was cut off
					p.closeWrite()
				}
				close(ready)
				if r.queues() {
					wait(t, "the peer takes a part", taken)
					p.listen()
					w.checkPeer(t, p, l)
				}
				delivered(t, l, sent)
				w.checkCause(t, l)
			})
		})
	}
}
