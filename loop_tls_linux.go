//go:build !ws_unix && !ws_plain

package websocket

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"
)

// polledTLS is TLS over a polled descriptor. It relies on crypto/tls to go on
// after an error of the connection under it that is temporary.
type polledTLS struct {
	*tls.Conn
	polled *polled
}

// adoptTLS is adopt for nc if it is TLS over a connection of Loop.Listener, or
// of Dial, which may be TLS to a proxy in its turn.
func (e *engine) adoptTLS(c *Conn, s *sink, nc net.Conn) (loopTransport, error) {
	over, ok := nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	under := pollableUnder(over)
	if under == nil {
		return nil, nil
	}
	sc, ok := under.get().(syscall.Conn)
	if !ok {
		return nil, nil
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	p, err := e.newPolled(c, s, rc)
	if err != nil {
		return nil, err
	}
	under.set(eager{p})
	return &polledTLS{over, p}, nil
}

// pollableUnder returns what lies under nc, or nil if that is not pollable.
func pollableUnder(nc *tls.Conn) *pollable {
	for {
		switch under := nc.NetConn().(type) {
		case *tls.Conn:
			nc = under
		case *pollable:
			return under
		default:
			return nil
		}
	}
}

// eager is what TLS writes to: it takes everything, because TLS cannot go on
// after a part of a record.
type eager struct{ *polled }

func (e eager) Write(b []byte) (int, error) {
	n, err := e.accept(nil, b)
	return int(n), err
}

func polledOf(l loopTransport) *polled {
	if t, ok := l.(*polledTLS); ok {
		return t.polled
	}
	return l.(*polled)
}

func (t *polledTLS) wait(b *buffer, _ bool) (*buffer, error) {
	b = b.orLarger(readBufferSize)
	n, err := t.Read(b.b[:cap(b.b)])
	if n == 0 {
		putBuffer(b)
		if err == nil {
			err = errAgain
		}
		return nil, err
	}
	b.b = b.b[:n]
	return b, nil
}

func (t *polledTLS) Write(b []byte) (int, error) {
	if t.polled.state.has(polledPaused | polledCut) {
		if err := t.polled.waitForRoom(); err != nil {
			return 0, err
		}
	}
	return t.Conn.Write(b)
}

// offer leaves the rest to TLS, which cannot be told to share, nor how much more
// a record takes.
func (t *polledTLS) offer(b []byte, _ bool, limit int) (int, error) {
	p := t.polled
	p.mu.Lock()
	err := p.roomLocked(len(b), limit)
	p.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return t.Conn.Write(b)
}

func (t *polledTLS) writer() net.Conn { return t }
func (t *polledTLS) vectored() bool   { return false }
func (t *polledTLS) resumable() bool  { return true }
func (t *polledTLS) exact() bool      { return true }
func (t *polledTLS) blocked() bool    { return t.polled.blocked() }

func (t *polledTLS) readNow(b *buffer) (*buffer, error) { return t.wait(b, false) }

func (t *polledTLS) writeAll(b *backlog) (int, error) {
	if t.polled.state.has(polledPaused | polledCut) {
		if err := t.polled.waitForRoom(); err != nil {
			return 0, err
		}
	}
	return t.writeNow(b, false)
}

// writeNow leaves what the socket does not take in the queue.
func (t *polledTLS) writeNow(b *backlog, _ bool) (n int, err error) {
	for _, part := range b.vector(make([][]byte, 0, len(b.parts))) {
		m, err := t.Conn.Write(part)
		if n += m; err != nil {
			return n, err
		}
	}
	t.polled.uncork()
	return n, nil
}

func (t *polledTLS) writev(head, body []byte) (int64, error) { return writev(t, head, body) }

func (t *polledTLS) end(abort bool) {
	if !abort {
		t.polled.uncork()
		t.Conn.Close() // with a record that says so
	}
	t.polled.end(abort)
}

func (t *polledTLS) closeWrite()             { t.Conn.CloseWrite() }
func (t *polledTLS) join(Header, []byte) int { return 0 } // TLS has to see it

func (t *polledTLS) drain() error  { return t.polled.drain() }
func (t *polledTLS) look()         { t.polled.look() }
func (t *polledTLS) lose()         { t.polled.lose() }
func (t *polledTLS) now() int64    { return t.polled.now() }
func (t *polledTLS) queued() int   { return t.polled.queued() }
func (t *polledTLS) awaitDrained() { t.polled.awaitDrained() }

func (t *polledTLS) SetReadDeadline(time.Time) error    { return nil }
func (t *polledTLS) SetWriteDeadline(d time.Time) error { return t.polled.SetWriteDeadline(d) }
