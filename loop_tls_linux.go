//go:build !ws_unix && !ws_plain

package websocket

import (
	"crypto/tls"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// pollTLS is TLS over a pollConn. It relies on crypto/tls to go on after a
// temporary error of the connection under it.
//
// Small frames that are written while a batch of input is handled collect in plain,
// and leave in one record.
type pollTLS struct {
	*tls.Conn
	pollConn *pollConn

	mu    sync.Mutex     // held while TLS writes; pollConn.mu is locked under it
	plain *buffer.Buffer // frames that are not encrypted yet; nil unless writes are corked
}

// maxRecord is how many bytes a record of TLS takes (RFC 8446, section 5.1).
const maxRecord = 16 << 10

// registerTLS is register for TLS. The engine can watch it over a connection of
// Loop.Listener or of Dial. The latter may be TLS to a proxy in its turn.
func (e *engine) registerTLS(c *Conn, h *loopHandler, over *tls.Conn) (loopTransport, error) {
	under := pollableUnder(over)
	if under == nil {
		if !c.client() && overSocket(over) {
			h.loop.warnTLS.Do(func() {
				h.loop.logger.Warn("websocket: each TLS connection on this Loop takes a goroutine: put Loop.Listener under TLS, as in tls.NewListener(loop.Listener(ln), config)")
			})
		}
		return nil, nil
	}
	sc, ok := under.Get().(syscall.Conn)
	if !ok {
		return nil, nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	p, err := e.newPollConn(c, h, rc)
	if err != nil {
		return nil, err
	}
	under.Set(unlimitedWriter{p})
	return &pollTLS{Conn: over, pollConn: p}, nil
}

// pollableUnder returns the pollable under nc, or nil if there is none.
func pollableUnder(nc *tls.Conn) *transport.Pollable {
	for {
		switch under := nc.NetConn().(type) {
		case *tls.Conn:
			nc = under
		case *transport.Pollable:
			return under
		default:
			return nil
		}
	}
}

// overSocket reports whether nc, which the engine cannot watch, is over a socket, so
// that Loop.Listener would make a difference.
func overSocket(nc *tls.Conn) bool {
	for {
		switch under := nc.NetConn().(type) {
		case *tls.Conn:
			nc = under
		case *net.TCPConn, *net.UnixConn:
			return true
		default:
			return false
		}
	}
}

// unlimitedWriter is the connection under TLS. It queues without limit, because TLS
// cannot go on after a part of a record.
type unlimitedWriter struct{ *pollConn }

func (w unlimitedWriter) Write(b []byte) (int, error) {
	n, err := w.accept(nil, b)
	return int(n), err
}

func pollConnOf(l loopTransport) *pollConn {
	if t, ok := l.(*pollTLS); ok {
		return t.pollConn
	}
	return l.(*pollConn)
}

func (t *pollTLS) Wait(b *buffer.Buffer, _ bool) (*buffer.Buffer, error) {
	b = b.OrLarger(buffer.ReadSize)
	n, err := t.Read(b.B[:cap(b.B)])
	if n == 0 {
		buffer.Put(b)
		if err == nil {
			err = transport.ErrAgain
		}
		return nil, err
	}
	b.B = b.B[:n]
	return b, nil
}

// Write encrypts b, or adds it to plain while writes are corked.
func (t *pollTLS) Write(b []byte) (int, error) {
	if t.pollConn.state.has(pollPaused | pollCut) {
		if err := t.pollConn.waitForRoom(); err != nil {
			return 0, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.writeLocked(b)
}

func (t *pollTLS) writeLocked(b []byte) (int, error) {
	if t.pollConn.state.has(pollCorked) && len(b) <= maxRecord {
		return len(b), t.addLocked(b)
	}
	if err := t.encryptLocked(); err != nil {
		return 0, err
	}
	return t.Conn.Write(b)
}

// addLocked appends b, of at most maxRecord bytes, to plain.
func (t *pollTLS) addLocked(b []byte) error {
	dst, err := t.roomLocked(len(b))
	if err == nil {
		dst.B = append(dst.B, b...)
	}
	return err
}

// roomLocked returns plain with room for n more bytes. If they are too many for one
// record, plain is encrypted first.
func (t *pollTLS) roomLocked(n int) (*buffer.Buffer, error) {
	if t.plain != nil && len(t.plain.B)+n > maxRecord {
		if err := t.encryptLocked(); err != nil {
			return nil, err
		}
	}
	switch {
	case t.plain == nil:
		t.plain = buffer.Get(max(n, 4<<10))
	case cap(t.plain.B)-len(t.plain.B) < n:
		larger := buffer.Get(maxRecord)
		larger.B = append(larger.B, t.plain.B...)
		buffer.Put(t.plain)
		t.plain = larger
	}
	return t.plain, nil
}

// encryptLocked gives plain to the pollConn, as one record if it fits.
func (t *pollTLS) encryptLocked() error {
	if t.plain == nil {
		return nil
	}
	b := t.plain
	t.plain = nil
	_, err := t.Conn.Write(b.B)
	buffer.Put(b)
	return err
}

// writeCorked adds a frame to plain.
func (t *pollTLS) writeCorked(h Header, p []byte) int {
	size := maxHeaderSize + len(p)
	if !t.pollConn.state.has(pollCorked) || size > maxRecord {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pollConn.state.flags.Load()&(pollCorked|pollOut|pollCut) != pollCorked {
		return 0
	}
	b, err := t.roomLocked(size)
	if err != nil {
		return 0 // Write reports it
	}
	had := len(b.B)
	b.B = h.appendFrame(b.B, p)
	return len(b.B) - had
}

// Offer checks the limit and writes by TLS. TLS cannot share b, and the overhead of
// its records does not count.
func (t *pollTLS) Offer(b []byte, _ bool, limit int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.plain != nil && len(t.plain.B)+len(b) > limit {
		if err := t.encryptLocked(); err != nil {
			return 0, err
		}
	}
	p := t.pollConn
	p.mu.Lock()
	n := len(b)
	if t.plain != nil {
		n += len(t.plain.B)
	}
	err := p.roomLocked(n, limit)
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return t.writeLocked(b)
}

func (t *pollTLS) Writer() net.Conn { return t }
func (t *pollTLS) Vectored() bool   { return false }
func (t *pollTLS) Resumable() bool  { return true }
func (t *pollTLS) HoldsInput() bool { return false } // a loop collects answers by itself
func (t *pollTLS) Exact() bool      { return true }

func (t *pollTLS) ReadNow(b *buffer.Buffer) (*buffer.Buffer, error) { return t.Wait(b, false) }

func (t *pollTLS) WriteAll(b *transport.Backlog) (int, error) {
	if t.pollConn.state.has(pollPaused | pollCut) {
		if err := t.pollConn.waitForRoom(); err != nil {
			return 0, err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.collectLocked(b)
	if err == nil && !t.pollConn.state.has(pollCorked) {
		err = t.encryptLocked()
	}
	return n, err
}

// WriteNow encrypts all of b, in as few records as possible, and leaves the bytes
// that the socket does not take in the queue.
func (t *pollTLS) WriteNow(b *transport.Backlog, _ bool) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.collectLocked(b)
	if err == nil {
		err = t.uncorkLocked()
	}
	return n, err
}

// collectLocked adds b to plain, but for parts that are too large.
func (t *pollTLS) collectLocked(b *transport.Backlog) (n int, err error) {
	for _, part := range b.All() {
		if len(part) <= maxRecord {
			err = t.addLocked(part)
		} else if err = t.encryptLocked(); err == nil {
			_, err = t.Conn.Write(part)
		}
		if err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (t *pollTLS) uncorkLocked() error {
	if err := t.encryptLocked(); err != nil {
		return err
	}
	return t.pollConn.uncorkNow()
}

func (t *pollTLS) Writev(head, body []byte) (int64, error) { return transport.Writev(t, head, body) }

func (t *pollTLS) Terminate(abort bool) {
	t.mu.Lock()
	t.uncorkLocked() // an error is that of the queue, which ends here
	t.mu.Unlock()
	if !abort {
		t.Conn.Close() // with a close_notify alert
	}
	t.pollConn.Terminate(abort)
}

func (t *pollTLS) CloseWrite() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.encryptLocked() == nil {
		t.Conn.CloseWrite()
	}
}

func (t *pollTLS) Drain() error {
	t.mu.Lock()
	err := t.encryptLocked()
	t.mu.Unlock()
	if err != nil {
		return err
	}
	return t.pollConn.Drain()
}

func (t *pollTLS) queued() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.pollConn.queued()
	if t.plain != nil {
		n += len(t.plain.B)
	}
	return n
}

func (t *pollTLS) checkInput()   { t.pollConn.checkInput() }
func (t *pollTLS) dropQueue()    { t.pollConn.dropQueue() }
func (t *pollTLS) now() int64    { return t.pollConn.now() }
func (t *pollTLS) awaitDrained() { t.pollConn.awaitDrained() }

func (t *pollTLS) SetReadDeadline(time.Time) error    { return nil }
func (t *pollTLS) SetWriteDeadline(d time.Time) error { return t.pollConn.SetWriteDeadline(d) }

func (t *pollTLS) Probe(ask transport.Ask) transport.State { return t.pollConn.Probe(ask) }
func (t *pollTLS) LimitUnsent(n int) error                 { return t.pollConn.LimitUnsent(n) }
