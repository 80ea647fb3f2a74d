package websocket

import (
	"context"
	"errors"
	"iter"
	"os"
	"runtime"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// errOnLoop is returned by reading methods on a connection of a loop.
var errOnLoop = errors.New("websocket: this connection is read by a Loop, which calls OnMessage")

// Read reads the next message. The caller owns the returned bytes.
//
// When ctx ends before the message is complete, Read returns its error and
// nothing is lost: the next call goes on where this one was, in the middle of
// a frame if need be.
func (c *Conn) Read(ctx context.Context) (MessageType, []byte, error) {
	return c.ReadAppend(ctx, nil)
}

// ReadAppend reads the next message, appends it to dst and returns the extended
// slice, which the caller owns. With enough room in dst it does not allocate. On an
// error it returns dst as it was; the connection keeps the part of the message that
// was read, for the next call.
func (c *Conn) ReadAppend(ctx context.Context, dst []byte) (MessageType, []byte, error) {
	if err := c.beginRead(ctx); err != nil {
		return 0, dst, err
	}
	in, r := &c.in, &c.in.receiver
	err := c.skipStream()
	if err == nil && r.phase != inPayload && r.msg == 0 {
		err = c.nextFrame()
	}
	var m Message
	if err == nil && r.dec != nil { // its size is not known
		var loan *buffer.Buffer
		if m, loan, err = c.readLoan(); err == nil {
			m.Data = append(dst, m.Data...)
			buffer.Put(loan)
		}
	} else if err == nil {
		b := buffer.Buffer{B: dst}
		m.Type, err = c.readMessage(&b, false)
		m.Data = b.B
		if got := b.B[len(dst):]; err != nil && len(got) > 0 && r.phase != inFault {
			in.msg = buffer.Get(len(got))
			in.msg.B = append(in.msg.B, got...)
		}
	}
	if err = c.endRead(ctx, err); err != nil {
		return 0, dst, err
	}
	return m.Type, m.Data, nil
}

// Messages returns an iterator over the messages that arrive. The bytes of a
// message are on loan: they are valid for that one iteration, during which
// they may be changed; with the build tag wsdebug they are overwritten afterwards.
// To keep them, or to hand them to another goroutine, clone them, or use
// [Conn.Read], whose bytes are the caller's. The body of the loop may call any method
// of c, reading ones included.
//
// The loop ends without an error when the peer has closed the connection
// normally: with [StatusNormalClosure], [StatusGoingAway] or no code, as
// close() without arguments does in a browser. Any other end, including that
// of ctx and that by the Shutdown of one's own [Server], is yielded as the last
// pair: the zero Message, which is no message, and the error. In all pairs before,
// the error is nil. Breaking out of the loop leaves the connection as it is; the
// next read returns the next message.
//
// A loop that ends without an error may be a deploy of the server
// ([StatusGoingAway]). A client that comes back after one asks
// CloseCode(context.Cause(c.Context())).
func (c *Conn) Messages(ctx context.Context) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var loan *buffer.Buffer
		for {
			var m Message
			var err error
			m, loan, err = c.nextLoan(ctx, loan, false)
			if err != nil {
				if !peerLeft(err) {
					yield(Message{}, err)
				}
				return
			}
			more := yield(m, nil)
			overwrite(m.Data)
			if !more {
				c.endLoan(loan)
				return
			}
		}
	}
}

// nextLoan reads the next message into a buffer that is lent to the caller until
// its next call or endLoan. If the message is in one piece in the input buffer,
// that buffer is lent. last is the buffer that the caller was lent before. onLoop
// says that the caller is a loop, which gets transport.ErrAgain where it would have
// to wait.
func (c *Conn) nextLoan(ctx context.Context, last *buffer.Buffer, onLoop bool) (m Message, loan *buffer.Buffer, err error) {
	in := &c.in
	if err := c.acquireRead(ctx, last, onLoop); err != nil {
		return m, nil, err // last is left to the garbage collector: it may be in use
	}
	err = c.skipStream()
	if err == nil && in.msg == nil && c.opts.Trace == nil {
		if in.buffered() == 0 {
			err = c.fill()
		}
		if err == nil && c.life.cause.Load() == nil {
			loan = in.buf
			if m, ok := in.lendWhole(); ok {
				in.read++
				return m, loan, c.endRead(ctx, nil)
			}
		}
	}
	if err == nil {
		m, loan, err = c.readLoan()
	}
	return m, loan, c.endRead(ctx, err)
}

// nextOnLoop is nextLoan for a loop, with a short cut while last has more messages.
func (c *Conn) nextOnLoop(last *buffer.Buffer) (Message, *buffer.Buffer, error) {
	in := &c.in
	if last != nil && c.life.cause.Load() == nil && in.readLock.tryLock() {
		if last == in.buf && in.stream == nil && in.msg == nil && c.opts.Trace == nil && !in.flags.has(messageBlocks) {
			if m, ok := in.lendWhole(); ok {
				in.readLock.unlock(1)
				return m, last, nil
			}
		}
		in.readLock.unlock(0)
	}
	return c.nextLoan(context.Background(), last, true)
}

// lendWhole takes the next message, if all of it is in the input buffer, in one
// frame. The buffer is lent with it; the rest of the buffer, if there is one, stays
// the connection's input.
func (in *inHalf) lendWhole() (m Message, ok bool) {
	typ, p, n := in.receiver.whole(in.buf.B[in.pos:])
	if n == 0 {
		return m, false
	}
	in.pos += int32(n)
	if in.lent = in.buffered() > 0; !in.lent {
		in.buf = nil
	}
	return Message{typ, p}, true
}

// readLoan reads the rest of the message under way, or the next one, into a
// buffer that belongs to the caller. The caller is the reader.
func (c *Conn) readLoan() (m Message, loan *buffer.Buffer, err error) {
	in, r := &c.in, &c.in.receiver
	if in.msg == nil && r.phase != inPayload { // no buffer before there is something to put in
		if err = c.nextFrame(); err != nil {
			return m, nil, err
		}
	}
	if loan, in.msg = in.msg, nil; loan == nil {
		loan = buffer.Get(buffer.ReadSize)
	}
	if m.Type, err = c.readMessage(loan, true); err == nil {
		m.Data = loan.B
		return m, loan, nil
	}
	if r.phase != inFault && len(loan.B) > 0 {
		in.msg = loan
	} else {
		buffer.Put(loan)
	}
	return Message{}, nil, err
}

// endLoan takes back the buffer that nextLoan has lent, unless another call reads
// just now.
func (c *Conn) endLoan(loan *buffer.Buffer) {
	if c.in.readLock.tryLock() {
		c.in.takeBack(loan)
		c.releaseRead()
	}
}

// takeBack ends the loan of b, nil if there was none.
func (in *inHalf) takeBack(b *buffer.Buffer) {
	switch {
	case b == nil:
	case b == in.buf:
		in.lent = false
	case in.buf == nil && cap(b.B) <= buffer.MaxRead: // for the next input
		in.buf, in.pos = b, int32(len(b.B))
	default:
		buffer.Put(b)
	}
}

// beginRead acquires the read lock, until endRead.
func (c *Conn) beginRead(ctx context.Context) error { return c.acquireRead(ctx, nil, false) }

// acquireRead is beginRead for nextLoan. last is the buffer that the caller was lent
// and does not need any more. If the body of a Messages loop uses the input buffer,
// the unread input is moved to another one.
func (c *Conn) acquireRead(ctx context.Context, last *buffer.Buffer, onLoop bool) error {
	if ctx == nil {
		return errNilContext
	}
	in := &c.in
	if err := c.readError(); err != nil {
		return err
	}
	if !onLoop && in.readLock.onLoop() {
		return errOnLoop
	}
	if !onLoop && in.flags.has(readClosed) {
		return errReadClosed
	}
	for !in.readLock.tryLock() {
		if in.readLock.interrupt() {
			c.interruptControlReader()
			in.readLock.handOver()
			c.t.SetReadDeadline(time.Time{})
			in.mu.Unlock()
			break
		}
		switch {
		case !in.readLock.busy():
		case onLoop:
			runtime.Gosched() // the holder is about to learn that a loop reads
		default:
			return ErrConcurrentRead
		}
	}
	in.takeBack(last)
	in.unshare()
	err := c.readError()
	if err == nil && !onLoop && in.readLock.onLoop() { // just now
		err = errOnLoop
	}
	if err == nil {
		err = c.armRead(ctx)
	}
	if err != nil {
		c.releaseRead()
		return err
	}
	in.flags.clear(messageBlocks)
	in.flags.set(userHasRead)
	return nil
}

// interruptControlReader waits until the control reader has given way, and locks
// in.mu. A ReadNow of the control reader may replace the deadline that interrupts it,
// so the deadline is set again.
func (c *Conn) interruptControlReader() {
	c.t.SetReadDeadline(transport.Past)
	for i := 0; !c.in.mu.TryLock(); i++ {
		if i < 100 {
			runtime.Gosched()
			continue
		}
		time.Sleep(50 * time.Microsecond)
		c.t.SetReadDeadline(transport.Past)
	}
}

// endRead ends what beginRead began. It returns err as the caller is to see
// it: an error of the transport becomes the connection's, unless it only
// stands for the end of ctx.
func (c *Conn) endRead(ctx context.Context, err error) error {
	interrupted := c.disarmRead(ctx)
	if err == transport.ErrAgain && c.in.flags.has(readNoWait) {
		err = errInputOver
	}
	if err != nil && err != transport.ErrAgain {
		cut := interrupted && errors.Is(err, os.ErrDeadlineExceeded)
		switch cause := c.readError(); {
		case cause != nil && (cut || err == cause):
			err = cause
		case cut:
			err = contextError(ctx)
		default:
			err = c.failRead(err)
		}
	}
	c.releaseRead()
	return err
}

// releaseRead releases the read lock, and starts the control reader if it is
// needed.
func (c *Conn) releaseRead() {
	in := &c.in
	more := in.buffered() > 0
	if !more {
		in.release()
		in.receiver.reset()
	}
	onLoop := c.loopTransport() != nil // a loop corks its output and reads on by itself
	switch {
	case onLoop:
	case more || c.t.HoldsInput():
		in.flags.set(inputBuffered)
	default:
		in.flags.clear(inputBuffered)
	}
	read := in.read
	in.read = 0
	in.readLock.unlock(read)
	if !onLoop && (in.wanted.Load() > 0 || in.flags.has(readClosed) || c.life.closeState() != stateOpen) && c.needsControlReader() {
		c.startControlReader()
	}
}

// errReadClosed is returned by reading methods after CloseRead.
var errReadClosed = errors.New("websocket: CloseRead was called: nobody reads messages from this connection any more")

// CloseRead is for handlers that only write. From now on no message is expected: a
// goroutine of the connection reads, so that pings are answered and the end of the
// connection is seen when it comes. A data message, even one that has arrived
// already and was not read, ends the connection with [StatusPolicyViolation].
//
// The returned context is derived from ctx and is done as soon as the connection
// closes, from either side; its [context.Cause] is then the [*CloseError]. When
// ctx ends before that, the connection is closed with [StatusGoingAway], without
// waiting for the peer. A nil ctx stands for [context.Background].
//
// In an HTTP handler that has called [Accept], r.Context() is a good choice: it
// ends when the handler returns or panics, so that the connection does not outlive
// it. With a context that does not end, the connection lives until the peer or a
// call closes it, since the goroutine refers to it.
//
// Reading methods, and [Loop.Attach], return an error from now on. A call that is
// under way gets its message first. CloseRead may be called again, and from any
// goroutine. On a connection of a [Loop], which reads in any case, messages still
// go to the handler, and CloseRead does no more than to return the context.
func (c *Conn) CloseRead(ctx context.Context) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	life := c.Context()
	context.AfterFunc(life, func() { cancel(context.Cause(life)) })
	context.AfterFunc(ctx, func() { c.startClose(StatusGoingAway, "") }) // nothing happens if it is closing
	if !c.in.readLock.onLoop() {
		c.in.flags.set(readClosed)
		c.startControlReader()
	}
	return ctx
}
