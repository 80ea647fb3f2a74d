package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// NetConn returns a [net.Conn] whose bytes travel in messages of type typ, for
// protocols that need a stream. What is read does not keep the borders of
// messages. A message of the other type closes the connection with
// [StatusUnsupportedData].
//
// Reading returns [io.EOF] once the peer has closed with
// [StatusNormalClosure], [StatusGoingAway] or no code. Close closes with
// StatusNormalClosure. Deadlines work as those of any net.Conn, but for one
// thing: a write that times out with a part of its frame on the wire closes
// the connection. All of it ends with ctx. c must not be read otherwise.
func (c *Conn) NetConn(ctx context.Context, typ MessageType) net.Conn {
	if ctx == nil {
		ctx = context.Background()
	}
	n := &netConn{c: c, typ: typ}
	n.read.base, n.write.base = ctx, ctx
	return n
}

type netConn struct {
	c           *Conn
	typ         MessageType
	read, write deadlineContext

	mu  sync.Mutex // one read at a time
	msg io.Reader  // the message under way, or nil
}

func (n *netConn) Read(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ctx := n.read.get()
	for {
		if ctx.Err() != nil {
			return 0, n.fix(contextError(ctx))
		}
		if n.msg == nil {
			typ, r, err := n.c.Reader(ctx)
			if err != nil {
				return 0, n.fix(err)
			}
			if typ != n.typ {
				n.c.startClose(StatusUnsupportedData, fmt.Sprintf("want %v messages", n.typ))
				return 0, fmt.Errorf("websocket: received a %v message on a stream of %v messages", typ, n.typ)
			}
			n.msg = r
		}
		if len(p) == 0 {
			return 0, nil
		}
		m, err := n.msg.Read(p)
		if err == nil {
			return m, nil
		}
		// At the end of the message comes the next one; after a deadline,
		// which may be one of the past, Reader goes on in the middle.
		n.msg = nil
		if err != io.EOF && !(errors.Is(err, errDeadline) && ctx.Err() == nil) {
			return 0, n.fix(err)
		}
	}
}

func (n *netConn) Write(p []byte) (int, error) {
	if err := n.c.Write(n.write.get(), n.typ, p); err != nil {
		return 0, n.fix(err)
	}
	return len(p), nil
}

// fix turns err into what users of a net.Conn expect.
func (n *netConn) fix(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDeadline):
		return &net.OpError{Op: "websocket", Net: n.LocalAddr().Network(), Source: n.LocalAddr(), Addr: n.RemoteAddr(), Err: os.ErrDeadlineExceeded}
	case peerLeft(err):
		return io.EOF
	}
	return err
}

func (n *netConn) Close() error {
	err := n.c.Close(StatusNormalClosure, "")
	n.read.release()
	n.write.release()
	return err
}

func (n *netConn) LocalAddr() net.Addr  { return n.c.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.c.RemoteAddr() }

func (n *netConn) SetDeadline(t time.Time) error {
	n.read.set(t)
	n.write.set(t)
	return nil
}

func (n *netConn) SetReadDeadline(t time.Time) error {
	n.read.set(t)
	return nil
}

func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.write.set(t)
	return nil
}

// errDeadline is the cause of a context that a deadline has ended.
var errDeadline = errors.New("websocket: deadline exceeded")

// deadlineContext is a context whose deadline can be moved while calls are
// using it. Once ended it is replaced.
type deadlineContext struct {
	base context.Context

	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// get returns the context for a call.
func (d *deadlineContext) get() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.makeLocked()
	return d.ctx
}

func (d *deadlineContext) makeLocked() {
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancelCause(d.base)
	}
}

func (d *deadlineContext) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.ctx != nil && d.ctx.Err() != nil {
		d.ctx = nil
	}
	if t.IsZero() {
		return
	}
	d.makeLocked()
	cancel := d.cancel
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { cancel(errDeadline) })
	} else {
		cancel(errDeadline)
	}
}

// release takes d off its base.
func (d *deadlineContext) release() {
	d.set(time.Time{})
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel(net.ErrClosed)
	}
}
