package websocket

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
	"github.com/fullduplex-go/websocket/internal/retry"
)

// transport carries the bytes of a Conn. It holds no buffer while there is nothing
// to read, and writes a header and its payload at once. One goroutine may read
// while another one writes; any goroutine may set deadlines and terminate it.
type transport interface {
	net.Conn

	// wait waits for input and reads once, into b or, if that is nil or does not suit,
	// into a buffer from the pool. The buffer belongs to the caller and is not empty;
	// after an error there is none. It waits without a buffer at least if idle says
	// that the wait may be long.
	wait(b *buffer, idle bool) (*buffer, error)
	// writer returns the value whose Write is called. A call through an embedded Conn
	// takes more of the goroutine's stack, which must not grow for it.
	writer() net.Conn
	// vectored reports whether writev leaves in one system call.
	vectored() bool
	writev(head, body []byte) (int64, error)
	// writeAll writes all of b, in one call if that is possible.
	writeAll(b *backlog) (int, error)
	// offer writes as much of b as is possible without waiting, 0 bytes if the
	// transport cannot know that. With shared it may keep b, which will not change. A
	// transport that queues what the kernel does not take queues no more than limit
	// bytes: else it returns ErrBackpressure, and has taken nothing.
	offer(b []byte, shared bool, limit int) (int, error)
	// writeNow writes as much of b as is possible without waiting, and returns how many
	// bytes that was. Where the transport cannot know that, it writes nothing; but with
	// last, as the transport is closed afterwards, it writes all that the peer takes
	// within endWait.
	writeNow(b *backlog, last bool) (int, error)
	// readNow reads once without waiting, as wait does. It returns errAgain if
	// nothing has arrived.
	readNow(b *buffer) (*buffer, error)
	// blocked reports whether it is certain that a write would have to wait.
	blocked() bool
	// resumable reports whether writing may go on behind the last byte of a write
	// that timed out.
	resumable() bool
	// exact reports whether a write that failed tells how much may have arrived.
	exact() bool
	// terminate closes the transport; with abort nothing is waited for.
	terminate(abort bool)
	// drain waits until the kernel, or what stands in its place, has taken all that was
	// written, or until the end.
	drain() error
	// closeWrite tells the peer that nothing more will come, where the
	// transport can tell that apart from closing.
	closeWrite()
}

// errAgain is returned by a transport's reading methods, on a Loop, where they
// would have to wait. It is temporary, so crypto/tls can be called again after it.
var errAgain error = again{}

type again struct{}

func (again) Error() string { return "websocket: no input yet" }

func (again) Timeout() bool { return true }

func (again) Temporary() bool { return true }

// loopTransport is the transport of a connection that an engine watches.
type loopTransport interface {
	transport
	// checkInput makes the loop check for input.
	checkInput()
	// now is the time by monotonic, or a little earlier.
	now() int64
	// writeCorked adds a frame of h and p, which it masks if h says so, to the frames
	// that it holds until a batch of input is done. It returns the frame's size, or 0
	// if it does not hold frames now.
	writeCorked(h Header, p []byte) int
	// queued returns how many bytes wait for the socket.
	queued() int
	// dropQueue drops the queued bytes: the peer takes nothing any more.
	dropQueue()
	// awaitDrained makes it call tellDrained when no bytes are queued any more.
	awaitDrained()
}

// newTransport returns the transport on nc, which has deadlines from here on.
func newTransport(nc net.Conn) transport {
	if p, ok := nc.(*pollable); ok { // not under TLS
		nc = p.get()
	}
	nc = withDeadlines(nc)
	switch nc := nc.(type) {
	// Only the types themselves: a type that wraps them may do more on Read than its
	// descriptor shows.
	case *net.TCPConn:
		if t := newSocket(nc, nc); t != nil {
			return t
		}
	case *net.UnixConn:
		if t := newSocket(nc, nc); t != nil {
			return t
		}
	case *bufpipe.Conn, *pump.Conn:
		return &stream{Conn: nc, whole: true}
	}
	return &stream{Conn: nc}
}

// stream is the transport on any net.Conn, such as TLS. While idle it waits with a
// buffer of a few bytes, its own. If more has arrived with them, as in a TLS
// record, the receiver reads on at once, because the frame is incomplete.
type stream struct {
	net.Conn
	first [16]byte
	whole bool // a write that reports 0 bytes has written none; TLS does not promise that

	progress progress // of a long write
}

func (s *stream) wait(b *buffer, idle bool) (*buffer, error) {
	p := s.first[:]
	if idle {
		putBuffer(b)
		b = nil
	} else {
		b = b.orLarger(readBufferSize)
		p = b.b[:cap(b.b)]
	}
	n, err := s.Read(p)
	if n == 0 {
		putBuffer(b)
		return nil, err
	}
	if idle {
		b = getBuffer(readBufferSize)
		copy(b.b[:n], p)
	}
	b.b = b.b[:n]
	return b, nil
}

// Read returns bytes or an error.
func (s *stream) Read(p []byte) (int, error) { return retry.Read(s.Conn, p) }

func (s *stream) writer() net.Conn { return s }
func (s *stream) vectored() bool   { return false }
func (s *stream) resumable() bool  { return s.whole }

func (s *stream) exact() bool {
	_, ok := s.Conn.(*tls.Conn) // a record that was cut off cannot be decrypted
	return s.whole || ok
}

func (s *stream) offer([]byte, bool, int) (int, error) { return 0, nil }

// maxRoom is how many bytes a transport that is not blocked takes for certain.
const maxRoom = 4 << 10

func (s *stream) writeNow(b *backlog, last bool) (int, error) {
	room, known := roomIn(s.Conn)
	switch {
	case known && !room:
		return 0, nil
	case last:
		s.SetWriteDeadline(time.Time{})
		defer s.guard()()
	case !known || b.len() > maxRoom:
		return 0, nil
	}
	return s.writeAll(b)
}

// guard interrupts the write that begins now if it waits for the peer. The write
// goes on while there is room, however late it runs: on a busy system a deadline
// could pass before the write has begun. A transport that ignores deadlines is
// closed.
func (s *stream) guard() (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(endWait)
		defer ticker.Stop()
		interrupted := false
		for left := endBound(s); left > 0; left -= endWait {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			if !interrupted && mayWait(s) {
				interrupted = true
				s.SetWriteDeadline(past)
			}
		}
		s.terminate(true)
	}()
	return func() { close(done) }
}

func (s *stream) writeAll(b *backlog) (int, error) {
	if p := b.only(); p != nil {
		return s.Write(p)
	}
	return s.progress.writeAll(s.Conn, b)
}

func (s *stream) readNow(b *buffer) (*buffer, error) {
	deadline := time.Now().Add(endWait)
	if waits, known := inputIn(s.Conn); known && !waits {
		deadline = past // for TLS, which may have a record left
	}
	s.SetReadDeadline(deadline)
	b, err := s.wait(b, false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errAgain
	}
	return b, err
}

func (s *stream) blocked() bool {
	room, known := roomIn(s.Conn)
	return known && !room
}

func (s *stream) writev(head, body []byte) (int64, error) { return writev(s, head, body) }

func (s *stream) Write(p []byte) (int, error) {
	if len(p) <= longWrite {
		return s.Conn.Write(p)
	}
	return s.progress.write(s.Conn, p)
}

// terminate with abort waits for nothing. tls.Conn.Close writes a record, which may
// have to wait for room, so the connection under it is closed. A pump's Close waits
// for the write under way, so there it is Abort.
func (s *stream) terminate(abort bool) {
	if p, ok := s.Conn.(*pump.Conn); ok && abort {
		p.Abort()
		return
	}
	if under, ok := s.Conn.(interface{ NetConn() net.Conn }); ok && abort {
		under.NetConn().Close()
		return
	}
	s.Close()
}

// closeWrite on a pump waits for the write under way. That may be one whose context
// has ended, and the caller of that write must not wait.
func (s *stream) closeWrite() {
	if p, ok := s.Conn.(*pump.Conn); ok && p.Blocked() {
		go p.CloseWrite()
		return
	}
	closeWrite(s.Conn)
}

func (s *stream) drain() error { return nil }

// vector is the memory of a vectored write. It is pooled because
// net.Buffers.WriteTo lets it escape.
type vector struct {
	parts [2][]byte
	bufs  net.Buffers
}

var vectors = sync.Pool{New: func() any { return new(vector) }}

// writev writes head and then body.
func writev(nc net.Conn, head, body []byte) (int64, error) {
	v := vectors.Get().(*vector)
	v.parts = [2][]byte{head, body}
	v.bufs = v.parts[:]
	n, err := v.bufs.WriteTo(nc)
	*v = vector{}
	vectors.Put(v)
	return n, err
}

func closeWrite(nc net.Conn) {
	if nc, ok := nc.(interface{ CloseWrite() error }); ok {
		// tls.Conn.CloseWrite writes a record.
		nc.(net.Conn).SetWriteDeadline(time.Now().Add(time.Second))
		nc.CloseWrite()
	}
}

// past is a deadline that ends a blocked call on the transport at once.
var past = time.Unix(1, 0)

// endWait is how often the end of a connection checks a write under way, and how
// long such a write may take on a transport that cannot say whether it has room.
const endWait = 20 * time.Millisecond

// endPatience is how long the end of a connection waits for a write that has room, or
// was interrupted. Nothing but a busy system keeps such a write from ending.
const endPatience = 5 * time.Second

// endBound is how long the end waits on t for a write under way. A transport that
// cannot say whether it has room may also ignore deadlines, so it gets less time.
func endBound(t transport) time.Duration {
	if s, ok := t.(*stream); ok {
		if _, known := roomIn(s.Conn); !known && !pumped(s.Conn) {
			return 10 * endWait
		}
	}
	return endPatience
}

// mayWait reports whether a write to t may be waiting for the peer.
func mayWait(t transport) bool {
	s, ok := t.(*stream)
	if !ok {
		return t.blocked()
	}
	if p, ok := beneath(s.Conn).(*pump.Conn); ok {
		return p.Writing()
	}
	room, _ := roomIn(s.Conn)
	return !room
}

// pumped reports whether a pump, which keeps to deadlines, is under nc.
func pumped(nc net.Conn) bool {
	_, ok := beneath(nc).(*pump.Conn)
	return ok
}
