package websocket

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// narrow is a transport under a test's control: it takes what the test has given
// room for, and then waits. What it has taken is its wire.
type narrow struct {
	net.Conn // nil: what is not here must not be called

	mu      sync.Mutex
	wake    sync.Cond
	rnd     *rand.Rand
	wire    []byte
	room    int
	failAt  int           // the length of the wire at which writes fail, -1 for never
	lag     time.Duration // after which a deadline that has passed is noticed
	rd, wr  time.Time
	timers  [2]*time.Timer // of rd, and of wr
	overdue bool           // wr has passed, and that was noticed
	input   []byte
	eof     bool
	closed  bool
	atEnd   int // the room when it was closed
}

var errNarrow = errors.New("the transport has failed")

// narrowKnown is narrow that can tell whether it has room.
type narrowKnown struct{ *narrow }

func (n narrowKnown) HasRoom() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.room >= transport.MaxRoom || n.closed || n.failAt >= 0 && len(n.wire) >= n.failAt
}

func newNarrow(rnd *rand.Rand) *narrow {
	n := &narrow{rnd: rand.New(rand.NewPCG(rnd.Uint64(), 0)), failAt: -1}
	n.wake.L = &n.mu
	return n
}

// do changes n.
func (n *narrow) do(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.wake.Broadcast()
}

func (n *narrow) Write(p []byte) (sent int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case n.closed:
			return sent, net.ErrClosed
		case n.overdue:
			return sent, os.ErrDeadlineExceeded
		case n.failAt >= 0 && len(n.wire) >= n.failAt:
			return sent, errNarrow
		case len(p) == 0:
			return sent, nil
		}
		if take := min(n.room, len(p), 1+n.rnd.IntN(4096)); take > 0 {
			if n.failAt >= 0 {
				take = min(take, n.failAt-len(n.wire))
			}
			n.wire = append(n.wire, p[:take]...)
			sent, p, n.room = sent+take, p[take:], n.room-take
			continue
		}
		n.wake.Wait()
	}
}

func (n *narrow) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case n.closed:
			return 0, net.ErrClosed
		case !n.rd.IsZero() && !time.Now().Before(n.rd):
			return 0, os.ErrDeadlineExceeded
		case len(n.input) > 0:
			m := copy(p, n.input)
			n.input = n.input[m:]
			return m, nil
		case n.eof:
			return 0, io.EOF
		}
		n.wake.Wait()
	}
}

func (n *narrow) InputWaits() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.input) > 0 || n.eof || n.closed
}

func (n *narrow) SetDeadline(t time.Time) error {
	return errors.Join(n.SetReadDeadline(t), n.SetWriteDeadline(t))
}

func (n *narrow) SetReadDeadline(t time.Time) error {
	n.do(func() {
		n.rd = t
		n.wakeAtLocked(0, t, 0, func() {})
	})
	return nil
}

func (n *narrow) SetWriteDeadline(t time.Time) error {
	n.do(func() {
		n.wr, n.overdue = t, false
		if !t.IsZero() && !t.After(time.Now()) && n.lag == 0 {
			n.overdue = true
			return
		}
		n.wakeAtLocked(1, t, n.lag, func() { n.overdue = n.wr.Equal(t) })
	})
	return nil
}

func (n *narrow) wakeAtLocked(which int, t time.Time, lag time.Duration, f func()) {
	if n.timers[which] != nil {
		n.timers[which].Stop()
		n.timers[which] = nil
	}
	if !t.IsZero() {
		n.timers[which] = time.AfterFunc(max(time.Until(t), 0)+lag, func() { n.do(f) })
	}
}

func (n *narrow) Close() error {
	n.do(func() {
		if !n.closed {
			n.closed, n.atEnd = true, n.room
		}
	})
	n.SetReadDeadline(time.Time{})
	n.SetWriteDeadline(time.Time{})
	return nil
}

func (n *narrow) LocalAddr() net.Addr  { return unknownNarrow{} }
func (n *narrow) RemoteAddr() net.Addr { return unknownNarrow{} }

type unknownNarrow struct{}

func (unknownNarrow) Network() string { return "narrow" }
func (unknownNarrow) String() string  { return "narrow" }

// wholeTransport says itself whether a write that reports 0 bytes has written none.
type wholeTransport struct {
	transport.Conn
	whole bool
}

func (t *wholeTransport) Resumable() bool { return t.whole }
func (t *wholeTransport) Exact() bool     { return t.whole }

// setWhole makes c's transport a wholeTransport.
func setWhole(c *Conn, whole bool) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if t, ok := c.t.(*wholeTransport); ok {
		t.whole = whole
		return
	}
	c.t = &wholeTransport{c.t, whole}
}

// replay is a transport on which a wire arrives, and then the end.
type replay struct {
	net.Conn
	wire []byte
}

func (r *replay) Read(p []byte) (int, error) {
	n := copy(p, r.wire)
	if r.wire = r.wire[n:]; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (r *replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r *replay) Close() error                     { return nil }
func (r *replay) SetDeadline(time.Time) error      { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }
func (r *replay) LocalAddr() net.Addr              { return unknownNarrow{} }
func (r *replay) RemoteAddr() net.Addr             { return unknownNarrow{} }
