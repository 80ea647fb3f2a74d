package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
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

// sentModel is what a connection may have on its wire: the messages that calls on it
// were given, each with what became of it. A message tells its sender, and its
// number there.
type sentModel struct {
	mu   sync.Mutex
	sent map[[2]uint32]*sentMessage
}

type sentMessage struct {
	p       []byte
	err     error
	stream  bool
	beneath bool // Send was told nil while there was a stream: it may be lost with that
}

func (m *sentModel) add(from, n uint32, s *sentMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent[[2]uint32{from, n}] = s
}

// modelMessage is the content of message n of a sender: as compressible as messages
// are.
func modelMessage(from, n uint32, size int) []byte {
	p := binary.BigEndian.AppendUint32(nil, from)
	p = binary.BigEndian.AppendUint32(p, n)
	for x := from*2654435761 + n; len(p) < size; x = x*1664525 + 1013904223 {
		p = fmt.Appendf(p, "%x and so on, ", x>>16)
	}
	return p[:max(size, 8)]
}

// wireFacts is what a look at a wire's frames has told.
type wireFacts struct {
	closes int
	cut    bool // the last frame is not whole
	torn   bool // the last message is not
	pings  int
}

// checkFrames judges the frames of a wire.
func checkFrames(wire []byte, client bool) (w wireFacts, err error) {
	for len(wire) > 0 {
		h, n, err := ParseHeader(wire)
		if err != nil {
			return w, err
		}
		if n == 0 || int64(len(wire)-n) < h.Length {
			w.cut = true
			if w.closes > 0 {
				return w, errors.New("a part of a frame behind the close frame")
			}
			break
		}
		switch {
		case w.closes > 0:
			return w, fmt.Errorf("%v behind the close frame", h.Opcode)
		case h.Masked != client:
			return w, errors.New("the mask is wrong")
		case h.Opcode == OpClose:
			w.closes++
		case h.Opcode == OpPing:
			w.pings++
		case !h.Opcode.IsControl():
			w.torn = !h.Fin
		}
		wire = wire[n+int(h.Length):]
	}
	return w, nil
}

// check compares a wire with the model. complete tells that all that was accepted
// has to be on it; it has, too, if there is a close frame, which comes behind it.
func (m *sentModel) check(wire []byte, cfg connConfig, exact, complete bool) error {
	facts, err := checkFrames(bytes.Clone(wire), cfg.client)
	if err != nil {
		return err
	}
	peer := connConfig{client: !cfg.client, opts: Options{PingInterval: -1, ReadLimit: 1 << 30}.withDefaults()}
	peer.agreement = cfg.agreement
	z, y := &cfg.extensions.Deflate, &peer.extensions.Deflate
	y.SendBits, y.RecvBits, y.SendTakeover, y.RecvTakeover = z.RecvBits, z.SendBits, z.RecvTakeover, z.SendTakeover
	c := newConn(&replay{wire: bytes.Clone(wire)}, peer)
	defer c.CloseNow()
	last := make(map[uint32]uint32)
	arrived := make(map[[2]uint32]bool)
	for {
		_, p, err := c.Read(bg)
		var pe *ProtocolError
		switch {
		case errors.As(err, &pe):
			return fmt.Errorf("the peer cannot read it: %w", err)
		case errors.Is(err, io.ErrUnexpectedEOF), CloseCode(err) != 0:
			return m.checkSent(arrived, facts, exact, complete)
		case err != nil:
			return err
		}
		if len(p) < 8 {
			return fmt.Errorf("a message of %d bytes", len(p))
		}
		key := [2]uint32{binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])}
		s := m.sent[key]
		switch {
		case s == nil || !bytes.Equal(s.p, p):
			return fmt.Errorf("message %d was never sent so, of %d bytes", key, len(p))
		case arrived[key]:
			return fmt.Errorf("message %d arrived twice", key)
		case last[key[0]] > key[1]:
			return fmt.Errorf("message %d arrived behind number %d", key, last[key[0]])
		}
		last[key[0]], arrived[key] = key[1], true
	}
}

// checkSent compares what has arrived with what the calls have returned.
func (m *sentModel) checkSent(arrived map[[2]uint32]bool, facts wireFacts, exact, complete bool) error {
	for key, s := range m.sent {
		switch {
		case s.err == nil && !arrived[key] && (complete || facts.closes > 0) && !facts.cut && !(s.beneath && facts.torn):
			return fmt.Errorf("message %d of %d bytes was accepted and is not there (stream %v, behind one %v; %+v)", key, len(s.p), s.stream, s.beneath, facts)
		case s.err != nil && arrived[key] && exact && !errors.Is(s.err, ErrMaybeSent):
			return fmt.Errorf("message %d was refused and is there: %v", key, s.err)
		}
	}
	return nil
}

// counts returns how many messages were accepted, and how many may count as written.
func (m *sentModel) counts() (accepted, possible uint64) {
	for _, s := range m.sent {
		possible++
		if s.err == nil {
			accepted++
		}
	}
	return accepted, possible
}

// end ends the connection in some way, or in two at once, and returns its name.
func (r *modelRun) end(rnd *rand.Rand) (way string) {
	theirs := func(code StatusCode) { r.arrive(closeFrame(!r.cfg.client, code, "")) }
	ways := []struct {
		name string
		do   func()
	}{
		{"Close", func() { r.wg.Go(func() { r.c.Close(StatusNormalClosure, "") }) }},
		{"CloseNow", func() { r.c.CloseNow() }},
		{"peer close", func() { theirs(StatusGoingAway) }},
		{"violation", func() { r.arrive([]byte{0xff, 0xff, 0, 0, 0, 0}) }},
		{"EOF", func() { r.nc.do(func() { r.nc.eof = true }) }},
		{"closeWriteHalf", func() { r.c.closeWriteHalf() }},
		{"failure", func() { r.nc.do(func() { r.nc.failAt = len(r.nc.wire) + rnd.IntN(500) }) }},
		{"dead", func() { r.c.dead(ErrDead) }},
		{"CloseNow by context", func() {
			r.wg.Go(func() {
				<-r.c.Context().Done()
				r.c.CloseNow()
			})
			runtime.Gosched()
			theirs(StatusNormalClosure)
		}},
	}
	for range 1 + rnd.IntN(2) {
		w := ways[rnd.IntN(len(ways))]
		way += w.name + " "
		w.do()
		if rnd.IntN(2) == 0 {
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		}
	}
	r.wg.Go(func() { // a half that is open is closed by the peer, and then by us
		time.Sleep(time.Second)
		theirs(StatusNormalClosure)
		time.Sleep(time.Second)
		r.c.CloseNow()
	})
	return way
}
