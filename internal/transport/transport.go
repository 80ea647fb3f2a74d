package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
	"github.com/fullduplex-go/websocket/internal/retry"
)

// Conn carries the bytes of a WebSocket connection. It holds no buffer while there
// is nothing to read, and writes a header and its payload at once. One goroutine may
// read while another one writes; any goroutine may set deadlines and terminate it.
type Conn interface {
	net.Conn

	// Wait waits for input and reads once, into b or, if that is nil or does not suit,
	// into a buffer from the pool. The buffer belongs to the caller and is not empty;
	// after an error there is none. It waits without a buffer at least if idle says
	// that the wait may be long.
	Wait(b *buffer.Buffer, idle bool) (*buffer.Buffer, error)
	// ReadNow reads once without waiting, as Wait does. It returns ErrAgain if
	// nothing has arrived.
	ReadNow(b *buffer.Buffer) (*buffer.Buffer, error)

	// Writer returns the value whose Write is called. A call through an embedded Conn
	// takes more of the goroutine's stack, which must not grow for it.
	Writer() net.Conn
	// Vectored reports whether Writev leaves in one system call.
	Vectored() bool
	Writev(head, body []byte) (int64, error)
	// WriteAll writes all of b, in one call if that is possible.
	WriteAll(b *Backlog) (int, error)
	// Offer writes as much of b as is possible without waiting, 0 bytes if the
	// transport cannot know that. With shared it may keep b, which will not change. A
	// transport that queues what the kernel does not take queues no more than limit
	// bytes: else it returns an error that says so, and has taken nothing.
	Offer(b []byte, shared bool, limit int) (int, error)
	// WriteNow writes as much of b as is possible without waiting, and returns how many
	// bytes that was. Where the transport cannot know that, it writes nothing; but with
	// last, as the transport is closed afterwards, it writes all that the peer takes
	// within EndWait.
	WriteNow(b *Backlog, last bool) (int, error)
	// Drain waits until the kernel, or what stands in its place, has taken all that was
	// written, or until the end.
	Drain() error
	// Resumable reports whether writing may go on behind the last byte of a write
	// that timed out.
	Resumable() bool
	// Exact reports whether a write that failed tells how much may have arrived.
	Exact() bool

	// CloseWrite tells the peer that nothing more will come, where the
	// transport can tell that apart from closing.
	CloseWrite()
	// Terminate closes the transport; with abort nothing is waited for.
	Terminate(abort bool)

	// Probe reports what can be seen of the connection without waiting.
	Probe(Ask) State
	// LimitUnsent limits the bytes that the system takes and cannot send yet. The error
	// wraps errors.ErrUnsupported if there is no socket that can be reached.
	LimitUnsent(n int) error
}

// ErrAgain is returned by reading methods where they would have to wait. It is temporary, so crypto/tls can be called again after it.
var ErrAgain error = again{}

type again struct{}

func (again) Error() string { return "websocket: no input yet" }

func (again) Timeout() bool { return true }

func (again) Temporary() bool { return true }

// New returns the transport on nc, which has deadlines from here on.
func New(nc net.Conn) Conn {
	if p, ok := nc.(*Pollable); ok { // not under TLS
		nc = p.Get()
	}
	nc = WithDeadlines(nc)
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

// Under returns the connection that t, which is from New, is on. It returns nil for
// another transport.
func Under(t Conn) net.Conn {
	if t, ok := t.(interface{ under() net.Conn }); ok {
		return t.under()
	}
	return nil
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

func (s *stream) Wait(b *buffer.Buffer, idle bool) (*buffer.Buffer, error) {
	p := s.first[:]
	if idle {
		buffer.Put(b)
		b = nil
	} else {
		b = b.OrLarger(buffer.ReadSize)
		p = b.B[:cap(b.B)]
	}
	n, err := s.Read(p)
	if n == 0 {
		buffer.Put(b)
		return nil, err
	}
	if idle {
		b = buffer.Get(buffer.ReadSize)
		copy(b.B[:n], p)
	}
	b.B = b.B[:n]
	return b, nil
}

// Read returns bytes or an error.
func (s *stream) Read(p []byte) (int, error) { return retry.Read(s.Conn, p) }

func (s *stream) Writer() net.Conn { return s }
func (s *stream) under() net.Conn  { return s.Conn }
func (s *stream) Vectored() bool   { return false }
func (s *stream) Resumable() bool  { return s.whole }

func (s *stream) Exact() bool {
	_, ok := s.Conn.(*tls.Conn) // a record that was cut off cannot be decrypted
	return s.whole || ok
}

// Probe looks at the connection under TLS, if there is one: an incomplete record is
// a sign of life too.
func (s *stream) Probe(ask Ask) State {
	var st State
	switch nc := beneath(s.Conn).(type) {
	case *bufpipe.Conn:
		st = probePipe(nc)
	case *pump.Conn:
		st = probePump(nc)
	case syscall.Conn:
		if rc, err := nc.SyscallConn(); err == nil {
			st = probeSocket(rc, ask)
		}
	}
	if !st.Counted {
		st.Acked = s.progress.Load()
	}
	return st
}

func (s *stream) Offer([]byte, bool, int) (int, error) { return 0, nil }

// MaxRoom is how many bytes a transport that is not blocked takes for certain.
const MaxRoom = 4 << 10

func (s *stream) WriteNow(b *Backlog, last bool) (int, error) {
	room := s.Probe(AskRoom).Room
	switch {
	case room == No:
		return 0, nil
	case last:
		s.SetWriteDeadline(time.Time{})
		defer s.guard()()
	case room == Unknown || b.Len() > MaxRoom:
		return 0, nil
	}
	return s.WriteAll(b)
}

// guard interrupts the write that begins now if it waits for the peer. The write
// goes on while there is room, however late it runs: on a busy system a deadline
// could pass before the write has begun. A transport that ignores deadlines is
// closed.
func (s *stream) guard() (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(EndWait)
		defer ticker.Stop()
		interrupted := false
		for left := EndBound(s); left > 0; left -= EndWait {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			if !interrupted && MayWait(s) {
				interrupted = true
				s.SetWriteDeadline(Past)
			}
		}
		s.Terminate(true)
	}()
	return func() { close(done) }
}

func (s *stream) WriteAll(b *Backlog) (int, error) {
	if p := b.Only(); p != nil {
		return s.Write(p)
	}
	return s.progress.writeAll(s.Conn, b)
}

func (s *stream) ReadNow(b *buffer.Buffer) (*buffer.Buffer, error) {
	deadline := time.Now().Add(EndWait)
	if s.Probe(AskInput).Readable == No {
		deadline = Past // for TLS, which may have a record left
	}
	s.SetReadDeadline(deadline)
	b, err := s.Wait(b, false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrAgain
	}
	return b, err
}

func (s *stream) Writev(head, body []byte) (int64, error) { return Writev(s, head, body) }

func (s *stream) Write(p []byte) (int, error) {
	if len(p) <= longWrite {
		return s.Conn.Write(p)
	}
	return s.progress.write(s.Conn, p)
}

// Terminate with abort waits for nothing. tls.Conn.Close writes a record, which may
// have to wait for room, so the connection under it is closed. A pump's Close waits
// for the write under way, so there it is Abort.
func (s *stream) Terminate(abort bool) {
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

// CloseWrite on a pump waits for the write under way. That may be one whose context
// has ended, and the caller of that write must not wait.
func (s *stream) CloseWrite() {
	if p, ok := s.Conn.(*pump.Conn); ok && p.Blocked() {
		go p.CloseWrite()
		return
	}
	CloseWrite(s.Conn)
}

func (s *stream) Drain() error { return nil }

// vector is the memory of a vectored write. It is pooled because
// net.Buffers.WriteTo lets it escape.
type vector struct {
	parts [2][]byte
	bufs  net.Buffers
}

var vectors = sync.Pool{New: func() any { return new(vector) }}

// Writev writes head and then body.
func Writev(nc net.Conn, head, body []byte) (int64, error) {
	v := vectors.Get().(*vector)
	v.parts = [2][]byte{head, body}
	v.bufs = v.parts[:]
	n, err := v.bufs.WriteTo(nc)
	*v = vector{}
	vectors.Put(v)
	return n, err
}

func CloseWrite(nc net.Conn) {
	if nc, ok := nc.(interface{ CloseWrite() error }); ok {
		// tls.Conn.CloseWrite writes a record.
		nc.(net.Conn).SetWriteDeadline(time.Now().Add(time.Second))
		nc.CloseWrite()
	}
}

// Past is a deadline that ends a blocked call on the transport at once.
var Past = time.Unix(1, 0)

// EndWait is how often the end of a connection checks a write under way, and how
// long such a write may take on a transport that cannot say whether it has room.
const EndWait = 20 * time.Millisecond

// endPatience is how long the end of a connection waits for a write that has room, or
// was interrupted. Nothing but a busy system keeps such a write from ending.
const endPatience = 5 * time.Second
