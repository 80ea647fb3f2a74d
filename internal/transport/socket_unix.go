//go:build unix && !ws_plain

package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// socket is the transport on a TCP or Unix socket: it parks on the runtime's
// poller and takes a buffer when the descriptor is readable.
type socket struct {
	net.Conn
	rc   syscall.RawConn
	try  func(fd uintptr) bool // the method tryRead, bound once: binding allocates
	buf  *buffer.Buffer        // to read into; then the result of tryRead
	size int32                 // of the buffer to read into; it adapts to what the peer sends at a time
	less uint8                 // how many reads in a row brought much less
	eof  bool                  // the peer has sent all
	err  int32                 // a syscall.Errno, or 0

	progress progress // of a long write
}

// newSocket returns the transport on nc, nil if its descriptor is out of reach.
func newSocket(nc net.Conn, sc syscall.Conn) Conn {
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{Conn: nc, rc: rc, size: buffer.MinRead}
	s.try = s.tryRead
	return s
}

func (s *socket) Writer() net.Conn {
	if tellsTaken(s.Conn) {
		return s.Conn
	}
	return s
}

// Write writes p in pieces if it is too long for one, so that keepalive sees its
// progress.
func (s *socket) Write(p []byte) (int, error) {
	if len(p) <= longWrite || tellsTaken(s.Conn) {
		return s.Conn.Write(p)
	}
	return s.progress.write(s.Conn, p)
}

func (s *socket) Probe(ask Ask) State {
	st := probeSocket(s.rc, ask)
	if !st.Counted {
		st.Acked = s.progress.Load()
	}
	return st
}

func (s *socket) under() net.Conn  { return s.Conn }
func (s *socket) Vectored() bool   { return true }
func (s *socket) Resumable() bool  { return true }
func (s *socket) HoldsInput() bool { return false }
func (s *socket) Terminate(bool)   { s.Close() }
func (s *socket) CloseWrite()      { CloseWrite(s.Conn) }
func (s *socket) Drain() error     { return nil }

func (s *socket) LimitUnsent(n int) error { return limitUnsent(s.Conn, n) }

func (s *socket) Writev(head, body []byte) (int64, error) {
	if len(body) <= longWrite || tellsTaken(s.Conn) {
		return Writev(s.Conn, head, body)
	}
	n, err := Writev(s.Conn, head, body[:longWrite])
	if err != nil {
		return n, err
	}
	m, err := s.Write(body[longWrite:])
	return n + int64(m), err
}

func (s *socket) WriteAll(b *Backlog) (int, error) {
	if p := b.Only(); p != nil {
		return s.Write(p)
	}
	if b.Len() > longWrite && !tellsTaken(s.Conn) {
		return s.progress.writeAll(s.Conn, b)
	}
	bufs := net.Buffers(b.All())
	n, err := bufs.WriteTo(s.Conn)
	return int(n), err
}

func (s *socket) Exact() bool { return true }

// writeNow does without the runtime's poller, and so without deadlines.
func (s *socket) WriteNow(b *Backlog, _ bool) (n int, err error) {
	cerr := s.rc.Control(func(fd uintptr) {
		for _, p := range b.All() {
			t := nowaitWrite{b: p}
			t.write(fd)
			n += t.n
			if t.err != 0 {
				err = s.opError("write", t.err)
			}
			if t.n < len(p) {
				return
			}
		}
	})
	if err == nil {
		err = cerr
	}
	return n, err
}

func (s *socket) ReadNow(b *buffer.Buffer) (*buffer.Buffer, error) {
	s.buf = b
	none := false
	err := s.rc.Control(func(fd uintptr) { none = !s.tryRead(fd) })
	if none && err == nil {
		return nil, ErrAgain
	}
	return s.taken(err)
}

func (s *socket) opError(op string, err syscall.Errno) error {
	return &net.OpError{Op: op, Net: s.LocalAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

func (s *socket) Offer(b []byte, _ bool, _ int) (int, error) {
	t, _ := nowaitWrites.Get().(*nowaitWrite)
	if t == nil {
		t = new(nowaitWrite)
		t.run = t.write
	}
	t.b, t.n, t.err = b, 0, 0
	err := s.rc.Write(t.run)
	n := t.n
	if err == nil && t.err != 0 {
		err = s.opError("write", t.err)
	}
	t.b = nil
	nowaitWrites.Put(t)
	return n, err
}

// nowaitWrite is a write that does not wait. It is pooled because a func value of it
// allocates.
type nowaitWrite struct {
	b   []byte
	n   int
	err syscall.Errno
	run func(fd uintptr) bool // write
}

var nowaitWrites sync.Pool // of *nowaitWrite

func (t *nowaitWrite) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), t.b)
		switch {
		case err == nil:
			t.n = n
		case err == syscall.EINTR:
			continue
		case err != syscall.EAGAIN:
			t.err = err.(syscall.Errno)
		}
		return true
	}
}

func (s *socket) Wait(b *buffer.Buffer, _ bool) (*buffer.Buffer, error) {
	s.buf = b
	return s.taken(s.rc.Read(s.try))
}

// taken returns the result of tryRead. err is the error of the call that has run
// tryRead.
func (s *socket) taken(err error) (*buffer.Buffer, error) {
	b := s.buf
	switch {
	case err != nil:
	case s.err != 0:
		err = s.opError("read", syscall.Errno(s.err))
	case s.eof:
		err = io.EOF
	}
	s.buf, s.err = nil, 0
	if err != nil {
		buffer.Put(b)
		return nil, err
	}
	return b, nil
}

// tryRead reads without blocking. It returns false, to be called again when
// the descriptor is readable, if there is nothing to read.
func (s *socket) tryRead(fd uintptr) bool {
	s.buf = s.buf.OrLarger(int(s.size))
	b := s.buf
	for {
		n, err := syscall.Read(int(fd), b.B[:cap(b.B)])
		switch {
		case n > 0:
			b.B = b.B[:n]
			s.adapt(n, cap(b.B))
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			buffer.Put(b)
			s.buf = nil
			return false
		case err == nil:
			s.eof = true
		default:
			s.err = int32(err.(syscall.Errno))
		}
		return true
	}
}

// adapt chooses the next buffer's size after a read of n bytes into room for
// size. A large message is often followed by a few bytes, its rest.
func (s *socket) adapt(n, size int) {
	if n >= int(s.size)/8 {
		s.less = 0
	} else if s.less++; s.less == 8 {
		s.size, s.less = max(s.size/2, buffer.MinRead), 0
	}
	if n == size {
		s.size = int32(min(2*size, buffer.MaxRead))
	}
}
