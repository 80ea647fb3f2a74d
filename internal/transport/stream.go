package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/pump"
	"github.com/fullduplex-go/websocket/internal/retry"
)

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
		_, record := s.holds()
		idle = !record // else there is nothing to wait for
	}
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

func (s *stream) holds() (n int, record bool) {
	if nc, ok := s.Conn.(*tls.Conn); ok {
		return tlsHolds(nc)
	}
	return 0, false
}

func (s *stream) HoldsInput() bool {
	n, _ := s.holds()
	return n > 0
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

func (s *stream) Probe(ask Ask) State {
	st := probe(s.Conn, ask)
	if !st.Counted {
		st.Acked = s.progress.Load()
	}
	return st
}

// MaxRoom is how many bytes a transport that is not blocked takes for certain.
const MaxRoom = 4 << 10

// Offer writes b if it is short and there is certainly room. On Windows all sockets
// are streams, and asking for room allocates.
func (s *stream) Offer(b []byte, _ bool, _ int) (int, error) {
	if runtime.GOOS == "windows" || !s.takes(len(b)) {
		return 0, nil
	}
	return s.Write(b)
}

// takes reports whether it is certain that a write of n bytes would not wait.
func (s *stream) takes(n int) bool {
	if n > MaxRoom || s.Probe(AskRoom).Room != Yes {
		return false
	}
	sc, ok := beneath(s.Conn).(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	return err == nil && roomy(rc, n)
}

func (s *stream) WriteNow(b *Backlog, last bool) (int, error) {
	room := s.Probe(AskRoom).Room
	switch {
	case room == No:
		return 0, nil
	case last:
		s.SetWriteDeadline(time.Time{})
		defer s.guard()()
	case !s.takes(b.Len()):
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

func (s *stream) Terminate(abort bool) {
	if abort {
		Abort(s.Conn)
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

// LimitUnsent limits the connection under TLS, if there is one.
func (s *stream) LimitUnsent(n int) error { return limitUnsent(beneath(s.Conn), n) }

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
