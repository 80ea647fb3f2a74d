//go:build !ws_unix && !ws_plain

package websocket

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// pollTLS is TLS over a pollConn. It relies on crypto/tls to go on after a
// temporary error of the connection under it.
type pollTLS struct {
	*tls.Conn
	pollConn *pollConn
}

// registerTLS is register for TLS. The engine can watch it over a connection of
// Loop.Listener or of Dial. The latter may be TLS to a proxy in its turn.
func (e *engine) registerTLS(c *Conn, h *loopHandler, over *tls.Conn) (loopTransport, error) {
	under := pollableUnder(over)
	if under == nil {
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
	return &pollTLS{over, p}, nil
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

func (t *pollTLS) Write(b []byte) (int, error) {
	if t.pollConn.state.has(pollPaused | pollCut) {
		if err := t.pollConn.waitForRoom(); err != nil {
			return 0, err
		}
	}
	return t.Conn.Write(b)
}

// Offer checks the limit and writes by TLS. TLS cannot share b, and the overhead of
// its records does not count.
func (t *pollTLS) Offer(b []byte, _ bool, limit int) (int, error) {
	p := t.pollConn
	p.mu.Lock()
	err := p.roomLocked(len(b), limit)
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return t.Conn.Write(b)
}

func (t *pollTLS) Writer() net.Conn { return t }
func (t *pollTLS) Vectored() bool   { return false }
func (t *pollTLS) Resumable() bool  { return true }
func (t *pollTLS) Exact() bool      { return true }

func (t *pollTLS) ReadNow(b *buffer.Buffer) (*buffer.Buffer, error) { return t.Wait(b, false) }

func (t *pollTLS) WriteAll(b *transport.Backlog) (int, error) {
	if t.pollConn.state.has(pollPaused | pollCut) {
		if err := t.pollConn.waitForRoom(); err != nil {
			return 0, err
		}
	}
	return t.WriteNow(b, false)
}

// WriteNow leaves the bytes that the socket does not take in the queue.
func (t *pollTLS) WriteNow(b *transport.Backlog, _ bool) (n int, err error) {
	for _, part := range b.All() {
		m, err := t.Conn.Write(part)
		if n += m; err != nil {
			return n, err
		}
	}
	t.pollConn.uncork()
	return n, nil
}

func (t *pollTLS) Writev(head, body []byte) (int64, error) { return transport.Writev(t, head, body) }

func (t *pollTLS) Terminate(abort bool) {
	if !abort {
		t.pollConn.uncork()
		t.Conn.Close() // with a close_notify alert
	}
	t.pollConn.Terminate(abort)
}

func (t *pollTLS) CloseWrite()                    { t.Conn.CloseWrite() }
func (t *pollTLS) writeCorked(Header, []byte) int { return 0 } // TLS has to encrypt the frame

func (t *pollTLS) Drain() error  { return t.pollConn.Drain() }
func (t *pollTLS) checkInput()   { t.pollConn.checkInput() }
func (t *pollTLS) dropQueue()    { t.pollConn.dropQueue() }
func (t *pollTLS) now() int64    { return t.pollConn.now() }
func (t *pollTLS) queued() int   { return t.pollConn.queued() }
func (t *pollTLS) awaitDrained() { t.pollConn.awaitDrained() }

func (t *pollTLS) SetReadDeadline(time.Time) error    { return nil }
func (t *pollTLS) SetWriteDeadline(d time.Time) error { return t.pollConn.SetWriteDeadline(d) }

func (t *pollTLS) Probe(ask transport.Ask) transport.State { return t.pollConn.Probe(ask) }
func (t *pollTLS) LimitUnsent(n int) error                 { return t.pollConn.LimitUnsent(n) }
