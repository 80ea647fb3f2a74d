package behaviour_test

import (
	"strings"
	"testing"
	"time"
)

// TestCloseTimeoutAndProgress closes connections whose queue takes several times
// CloseTimeout to leave, to a peer that takes it steadily: all of it arrives,
// and the closing handshake is completed.
func TestCloseTimeoutAndProgress(t *testing.T) {
	checkLeaks(t)
	const size, pieces, timeout = 128 << 10, 12, time.Second
	opts := calm()
	opts.CloseTimeout = timeout
	opts.SendBuffer = 2 * size * pieces
	begin := time.Now()
	type conn struct {
		rig    rig
		p      *peer
		l      *lib
		closed <-chan error
	}
	var conns []conn
	for _, r := range []rig{{onServe, "tcp"}, {onServe, "tls"}, {onServe, "unix"}, {onEvents, "tcp"}, {onHandler, "tcp"}, {onHandler, "tls"}, {onDial, "unix"}} {
		queued := make(chan struct{})
		s := r.startSmall(t, opts, program{hold: true, open: func(l *lib) {
			for range pieces {
				if err := l.send(strings.Repeat("s", size)); err != nil {
					t.Errorf("%v: Send: %v", r, err)
				}
			}
			close(queued)
		}})
		p, l := s.connect()
		wait(t, "the messages are queued", queued)
		taken := 0
		p.pace = func() {
			// 32 KiB at most in each read, and 1.2 MB/s.
			taken += 32 << 10
			time.Sleep(time.Until(begin.Add(time.Duration(taken) * time.Second / 1_200_000)))
		}
		p.record()
		closed := do(func() error {
			defer l.letGo()
			return l.c().Close(1000, "")
		})
		conns = append(conns, conn{r, p, l, closed})
	}
	for _, c := range conns {
		if err := wait(t, "Close", c.closed); err != nil {
			t.Errorf("%v: Close returned %v", c.rig, err)
		}
		said(1000, "").check(t, c.p, c.l)
		if t.Failed() {
			t.Fatalf("%v", c.rig)
		}
	}
	if d := time.Since(begin); d < timeout {
		t.Errorf("everything took %v: nothing is shown", d)
	}
}

// TestCloseOfSilentPeer closes connections whose peers do not answer, do not
// read, or say messages for ever: Close returns an error within CloseTimeout,
// and the connection has ended with our code.
func TestCloseOfSilentPeer(t *testing.T) {
	silences := []struct {
		name string
		do   func(p *peer)
	}{
		{"does not answer", func(p *peer) { p.listen() }},
		{"does not read", func(p *peer) {}},
		{"talks on", func(p *peer) {
			p.listen()
			go func() {
				for p.trySend(text("more")) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
		}},
	}
	for _, silence := range silences {
		t.Run(silence.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, r rig) {
				opts := calm()
				opts.CloseTimeout = 20 * time.Millisecond
				s := r.start(t, opts, program{hold: true})
				p, l := s.connect()
				silence.do(p)
				if err := wait(t, "Close", do(func() error { return l.c().Close(4004, "silence") })); err == nil {
					t.Error("Close returned nil")
				}
				l.letGo()
				want{code: 4004}.checkCause(t, l)
			})
		})
	}
}
