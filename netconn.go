package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	stdutf8 "unicode/utf8"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/utf8"
)

// NetConn returns a [net.Conn] whose bytes travel in messages of type typ, for
// protocols that need a stream: tunnels, crypto/tls, net/http. The boundaries of
// messages have no meaning. Any number of goroutines may use it; a Write is not
// mixed with another one.
//
// Read reads messages of any size piece by piece, into the caller's memory:
// [Options.ReadLimit] does not hold for c from now on. No other method may read
// from c. A message of the other type closes the connection with
// [StatusUnsupportedData].
//
// Write cuts p into messages of at most 32 KiB, several of which leave in one
// system call. If it is stopped in between, it returns the number of bytes in those
// messages that have left completely. Nothing is sent for an empty p. With Text,
// each p must be UTF-8 by itself.
//
// Deadlines work as those of any net.Conn: they may be moved at any time, and hold
// for calls under way; a call that was stopped by a deadline may be repeated once
// the deadline was moved. There is one exception: a Write that times out with a
// part of a frame on the wire ends the connection, since nothing else could follow.
//
// ctx bounds all calls. When it ends, they return its error; the connection stays
// open until Close. ctx holds no registration for a connection that has ended, or
// that the program has dropped.
//
// Close closes with [StatusNormalClosure], as [Conn.Close] does: it waits for the
// peer's close frame, at most [Options.CloseTimeout]. The returned value has a
// method CloseWrite() error as well, as [net.TCPConn] has: it sends the close frame
// with StatusNormalClosure after all that was written, and reading goes on up to
// the peer's close frame. A peer need not send anything but that frame when it has
// seen ours (RFC 6455, section 5.5.1).
//
// The errors are those that users of a net.Conn expect:
//   - [io.EOF] from Read when the peer has closed with StatusNormalClosure,
//     [StatusGoingAway] or no code
//   - a [*net.OpError] for which Timeout reports true, and which matches
//     [os.ErrDeadlineExceeded], after a deadline
//   - one that matches [net.ErrClosed] after Close, and from Write after
//     CloseWrite
//   - the [*CloseError] when the connection has ended in any other way, which
//     matches net.ErrClosed, too
func (c *Conn) NetConn(ctx context.Context, typ MessageType) net.Conn {
	if ctx == nil {
		ctx = context.Background()
	}
	n := &netConn{c: c, typ: typ}
	n.calls.base = ctx
	n.liftLimit()
	return n
}

type netConn struct {
	c     *Conn
	typ   MessageType
	calls netCalls
	half  atomic.Bool // CloseWrite was called

	reading sync.Mutex     // held by Read; guards msg and lifted
	msg     *messageReader // the message under way, or nil
	lifted  bool           // the connection's read limit is off

	writing sync.Mutex // held by Write
}

// liftLimit removes the read limit, since no message is held in memory as a whole.
// Keepalive may read the header of a message before Read does, so NetConn calls
// liftLimit; it has no effect if another call reads at that moment, and Read calls
// it again.
func (n *netConn) liftLimit() {
	c := n.c
	if c.beginRead(context.Background()) == nil {
		c.in.receiver.limit = math.MaxInt64
		n.lifted = true
		c.releaseRead()
	}
}

func (n *netConn) Read(p []byte) (int, error) {
	n.reading.Lock()
	defer n.reading.Unlock()
	ctx, err := n.calls.begin(forReads)
	if err != nil {
		return 0, n.opError("read", err)
	}
	defer n.calls.end()
	if err := ctx.Err(); err != nil {
		return 0, n.readError(ctx, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !n.lifted {
		n.liftLimit()
	}
	for {
		if n.msg == nil {
			typ, r, err := n.c.Reader(ctx)
			if err != nil {
				return 0, n.readError(ctx, err)
			}
			if typ != n.typ {
				n.c.startClose(StatusUnsupportedData, fmt.Sprintf("want %v messages", n.typ))
				return 0, fmt.Errorf("websocket: received a %v message on a stream of %v messages", typ, n.typ)
			}
			n.msg = r.(*messageReader)
		}
		m, err := n.msg.read(ctx, p)
		switch err {
		case nil:
			return m, nil
		case io.EOF: // of the message
			n.msg = nil
		default: // after a deadline, the next call goes on with the message
			return 0, n.readError(ctx, err)
		}
	}
}

// readError turns the error of a read under ctx into the error that users of a
// net.Conn expect.
func (n *netConn) readError(ctx *callContext, err error) error {
	if !n.calls.isClosed() && (peerLeft(err) || n.half.Load() && closedNormally(err)) {
		return io.EOF
	}
	return n.callError("read", ctx, err)
}

// closedNormally reports whether err says that the connection was closed with
// StatusNormalClosure, by either side.
func closedNormally(err error) bool {
	var ce *CloseError
	return errors.As(err, &ce) && ce.Code == StatusNormalClosure && ce.Err == nil
}

// callError is the part of readError that reads and writes share. Only the call
// that a deadline has stopped returns a timeout. If the connection has ended by
// that, later errors have errDeadline as their cause, and are no timeouts.
func (n *netConn) callError(op string, ctx *callContext, err error) error {
	var ce *CloseError
	lost := errors.As(err, &ce)
	ended := ctx.Err()
	switch {
	case n.calls.isClosed():
		if !lost {
			err = net.ErrClosed
		}
		return n.opError(op, err)
	case ended == nil || !errors.Is(err, ended):
		return err
	case ended == errDeadline:
		return n.opError(op, os.ErrDeadlineExceeded)
	case lost:
		return err
	}
	return contextError(n.calls.base)
}

func (n *netConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "websocket", Source: n.LocalAddr(), Addr: n.RemoteAddr(), Err: err}
}

func (n *netConn) Close() error {
	n.calls.close()
	return n.c.Close(StatusNormalClosure, "")
}

// CloseWrite ends the writing half; see [Conn.NetConn].
func (n *netConn) CloseWrite() error {
	switch {
	case n.calls.isClosed():
		return n.opError("close", net.ErrClosed)
	case n.half.Swap(true):
		return nil
	}
	return n.c.closeWriteHalf()
}

func (n *netConn) LocalAddr() net.Addr  { return n.c.LocalAddr() }
func (n *netConn) RemoteAddr() net.Addr { return n.c.RemoteAddr() }

func (n *netConn) SetDeadline(t time.Time) error      { return n.setDeadlines(t, forReads, forWrites) }
func (n *netConn) SetReadDeadline(t time.Time) error  { return n.setDeadlines(t, forReads) }
func (n *netConn) SetWriteDeadline(t time.Time) error { return n.setDeadlines(t, forWrites) }

func (n *netConn) setDeadlines(t time.Time, ways ...direction) error {
	if err := n.calls.setDeadlines(t, ways...); err != nil {
		return n.opError("set", err)
	}
	return nil
}

const (
	// streamMessage is the largest message of a stream: the size of io.Copy's writes.
	streamMessage = 32 << 10
	// batchMessage is the largest size of each of two messages that leave together.
	// Both with their headers, masking keys included, fill maxPending.
	batchMessage = maxPending/2 - 8
)

func (n *netConn) Write(p []byte) (int, error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	ctx, err := n.calls.begin(forWrites)
	if err != nil {
		return 0, n.opError("write", err)
	}
	defer n.calls.end()
	if err := ctx.Err(); err != nil {
		return 0, n.callError("write", ctx, err)
	}
	if n.typ == Text && !utf8.Valid(p) {
		return 0, errInvalidText
	}
	total := 0
	for total < len(p) {
		if n.half.Load() {
			return total, n.opError("write", net.ErrClosed)
		}
		m, err := n.c.writeSome(ctx, n.typ, p[total:])
		total += m
		if err != nil {
			return total, n.callError("write", ctx, err)
		}
	}
	return total, nil
}

// writeSome sends the beginning of p, which is not empty, in one message or in
// several that leave together. It returns how many bytes of p have left in whole
// messages. A text must be UTF-8.
//
// With an extension messages leave one by one, since the system call costs little
// beside compression; so do messages that a hook observes.
func (c *Conn) writeSome(ctx context.Context, typ MessageType, p []byte) (int, error) {
	if len(p) <= streamMessage || c.extensions() != nil || c.opts.Trace != nil || checkMessage(ctx, typ) != nil {
		p = cutText(typ, p, streamMessage)
		if err := c.Write(ctx, typ, p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	var h Header
	first := cutText(typ, p, batchMessage)
	second := cutText(typ, p[len(first):], batchMessage)
	b := buffer.Get(maxPending)
	defer buffer.Put(b)
	c.out.sender.frame(&h, Opcode(typ), true, 0, len(first))
	b.B = h.appendFrame(b.B, first)
	border := len(b.B)
	c.out.sender.frame(&h, Opcode(typ), true, 0, len(second))
	b.B = h.appendFrame(b.B, second)

	f := outFrame{op: Opcode(typ), fin: true, wire: true, p: b.B}
	err := c.writeFrame(ctx, nil, &f)
	switch {
	case err == nil:
		return len(first) + len(second), nil
	case int(f.sent) >= border:
		c.countMessage()
		return len(first), err
	}
	return 0, err
}

// countMessage counts the first of two messages when the other did not leave.
// writeFrame counts both, if there was no error.
func (c *Conn) countMessage() {
	c.out.lock()
	c.out.write.add()
	c.out.unlock()
}

// cutText returns the beginning of p, at most max bytes. If typ is Text, it ends at
// the end of a character.
func cutText(typ MessageType, p []byte, max int) []byte {
	if len(p) <= max {
		return p
	}
	if typ == Text {
		for !stdutf8.RuneStart(p[max]) {
			max--
		}
	}
	return p[:max]
}
