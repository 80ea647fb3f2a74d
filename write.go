package websocket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
)

// outHalf is the writing half of a connection. mu is never held during I/O:
// whoever sets busy owns the transport's writing side until it hands it on in
// releaseLocked. Control frames never wait for that; they are left for whoever
// writes next, or for a goroutine of their own.
type outHalf struct {
	mu      sync.Mutex
	busy    bool
	writing int            // bytes that the owner has given to the transport, which has not taken them all
	sender  sender         // used by the owner only
	stream  *messageWriter // the message under way that Writer began; no other may begin
	waiting []*outWaiter   // writers of messages, first come first served

	// Control frames to be written, encoded.
	pongs    []byte
	lastPong int // where the newest one starts
	npongs   int
	ping     []byte // only the newest counts
	close    []byte
	closed   bool // a close frame was queued; nothing may follow it

	cancel canceler // used by the owner only
}

// outWaiter waits for its turn to write.
type outWaiter struct {
	stream *messageWriter // the one it writes for, or nil
	turn   chan struct{}  // closed when it owns the writing side, or when the connection is closing
	owner  bool           // which of the two; guarded by out.mu
}

// maxPongs bounds the pongs that wait for a peer that sends pings and does
// not read. Beyond it the newest takes the place of the one before it, as
// section 5.5.3 allows.
const maxPongs = 16

// vectorSize is the payload size from which an unmasked message is not copied
// behind its header.
const vectorSize = 4 << 10

var (
	errNilContext  = errors.New("websocket: nil context")
	errInvalidText = errors.New("websocket: text message is not UTF-8")
)

// Write sends p as one message in one frame. It returns when the transport
// has taken it, and does not keep p. Any number of goroutines may call it.
//
// When ctx ends before a byte was written, Write returns its error and the
// connection goes on. When it ends with a part of the frame on the wire the
// connection is closed, since nothing else could follow; with TLS that is
// assumed. On a connection that is closing already a frame under way is
// finished all the same, within [Options.CloseTimeout], so that the close frame
// can follow it.
//
// A text that is not UTF-8 is refused, because the peer would have to fail
// the connection (section 8.1). On the client the masked copy takes as much
// memory as p for the duration of the call; [Conn.Writer] takes less.
func (c *Conn) Write(ctx context.Context, typ MessageType, p []byte) error {
	if err := checkMessage(ctx, typ); err != nil {
		return err
	}
	if typ == Text && !utf8.Valid(p) {
		return errInvalidText
	}
	return c.writeFrame(ctx, nil, Opcode(typ), true, p)
}

// Buffered returns how many bytes wait to be taken by the transport: the
// message that is being written, and control frames. It is 0 when the peer
// keeps up. What the kernel has taken does not count.
func (c *Conn) Buffered() int {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing + len(o.pongs) + len(o.ping) + len(o.close)
}

func checkMessage(ctx context.Context, typ MessageType) error {
	if ctx == nil {
		return errNilContext
	}
	if typ != Text && typ != Binary {
		return fmt.Errorf("websocket: message type %d is neither Text nor Binary", uint8(typ))
	}
	return nil
}

// writeFrame writes a data frame, for stream or, if that is nil, as a message
// of its own.
func (c *Conn) writeFrame(ctx context.Context, stream *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := c.beginWrite(ctx, stream); err != nil {
		return err
	}
	o := &c.out
	o.mu.Lock()
	ctl := o.takeControlLocked()
	o.writing = len(ctl) + len(p)
	o.mu.Unlock()

	h := o.sender.header(op, fin, len(p))
	if tr := c.opts.Trace; tr != nil && tr.FrameOut != nil {
		tr.FrameOut(c, h)
	}
	size := len(ctl) + maxHeaderSize
	vectored := c.t.vectored && !h.Masked && len(p) >= vectorSize
	if !vectored {
		size += len(p)
	}
	b := getBuffer(size)
	b.b = append(b.b, ctl...)
	var n int64
	var err error
	if vectored {
		b.b = h.Append(b.b)
		n, err = c.t.writev(b.b, p)
	} else {
		b.b = appendFrame(b.b, h, p)
		var m int
		m, err = c.t.nc.Write(b.b)
		n = int64(m)
	}
	putBuffer(b)
	c.stats.bytesWritten.Add(uint64(n))
	if err == nil && fin {
		c.stats.messagesWritten.Add(1)
	}
	return c.endWrite(ctx, ctl, n, err)
}

// beginWrite makes the caller the owner of the writing side, up to endWrite.
func (c *Conn) beginWrite(ctx context.Context, stream *messageWriter) error {
	o := &c.out
	o.mu.Lock()
	err := c.readError()
	if err == nil && !o.freeLocked(stream) {
		w := &outWaiter{stream: stream, turn: make(chan struct{})}
		o.waiting = append(o.waiting, w)
		o.mu.Unlock()
		select {
		case <-w.turn:
		case <-ctx.Done():
			err = contextError(ctx)
		}
		o.mu.Lock()
		o.forgetLocked(w)
		if cause := c.readError(); cause != nil {
			err = cause
		}
		if err != nil && w.owner {
			c.releaseLocked()
		}
	} else if err == nil {
		o.busy = true
	}
	o.mu.Unlock()
	if err != nil {
		return err
	}
	if err := o.cancel.begin(ctx); err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		c.releaseLocked()
		if cause := c.readError(); cause != nil {
			return cause
		}
		return err
	}
	return nil
}

// endWrite ends what beginWrite began, after n bytes were written, of which
// the first were the control frames in ctl.
func (c *Conn) endWrite(ctx context.Context, ctl []byte, n int64, err error) error {
	o := &c.out
	kicked := o.cancel.end(ctx)
	whole := n == 0 || n == int64(len(ctl)) // nothing was cut in the middle
	if err != nil && kicked {
		err = contextError(ctx)
		if whole && c.t.resumable {
			o.mu.Lock()
			defer o.mu.Unlock()
			// What was not written is queued again, within the bound.
			if n == 0 && len(ctl)+len(o.pongs) <= maxPongs*(maxHeaderSize+maxControlPayload) {
				o.pongs = append(ctl, o.pongs...)
				o.lastPong, o.npongs = len(ctl), maxPongs
			}
			c.releaseLocked()
			return err
		}
		err = fmt.Errorf("write cancelled in the middle of a frame: %w", err)
	}
	if err != nil {
		err = c.fail(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.releaseLocked()
	return err
}

// freeLocked reports whether a writer need not wait.
func (o *outHalf) freeLocked(stream *messageWriter) bool {
	return !o.busy && o.stream == stream && (stream != nil || len(o.waiting) == 0)
}

// releaseLocked hands the writing side on: to the next writer whose message
// may begin, or to a goroutine that writes what control frames there are.
func (c *Conn) releaseLocked() {
	o := &c.out
	o.busy, o.writing = false, 0
	for _, w := range o.waiting {
		if w.stream == o.stream && !w.owner {
			o.busy, w.owner = true, true
			close(w.turn)
			return
		}
	}
	if o.hasControl() {
		o.busy = true
		go c.flush()
	}
}

func (o *outHalf) forgetLocked(w *outWaiter) {
	for i, v := range o.waiting {
		if v == w {
			o.waiting = append(o.waiting[:i], o.waiting[i+1:]...)
			return
		}
	}
}

// wakeAll has every waiting writer look up, because the connection is
// closing.
func (o *outHalf) wakeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.waiting {
		if !w.owner {
			close(w.turn)
		}
	}
	o.waiting = nil
}

// queuePong answers a ping. It never waits, so that reading goes on.
func (c *Conn) queuePong(p []byte) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	if o.npongs < maxPongs {
		o.npongs++
		o.lastPong = len(o.pongs)
	}
	o.pongs = c.appendControl(o.pongs[:o.lastPong], OpPong, p)
	c.kickLocked()
}

// queuePing sends a ping. It takes the place of one that is still waiting,
// since its pong will answer both.
func (c *Conn) queuePing(p []byte) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.ping = c.appendControl(nil, OpPing, p)
		c.kickLocked()
	}
}

// queueClose sends the close frame, behind everything else.
func (c *Conn) queueClose(code StatusCode, reason string) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.close = c.appendControl(nil, OpClose, appendClosePayload(nil, code, reason))
		c.kickLocked()
	}
}

func (c *Conn) appendControl(dst []byte, op Opcode, p []byte) []byte {
	h := c.out.sender.header(op, true, len(p))
	if tr := c.opts.Trace; tr != nil && tr.FrameOut != nil {
		tr.FrameOut(c, h)
	}
	return appendFrame(dst, h, p)
}

// kickLocked sees to it that queued control frames are written: by the owner
// of the writing side, when it hands that on, or by a goroutine.
func (c *Conn) kickLocked() {
	if !c.out.busy {
		c.out.busy = true
		go c.flush()
	}
}

func (o *outHalf) hasControl() bool {
	return len(o.pongs)+len(o.ping)+len(o.close) > 0
}

// takeControlLocked returns the queued control frames, but for the close
// frame, which only flush writes.
func (o *outHalf) takeControlLocked() []byte {
	b := append(o.pongs, o.ping...)
	o.pongs, o.lastPong, o.npongs, o.ping = nil, 0, 0, nil
	return b
}

// flush writes the queued control frames. It owns the writing side.
func (c *Conn) flush() {
	o := &c.out
	o.mu.Lock()
	b := o.takeControlLocked()
	closing := o.close != nil
	b = append(b, o.close...)
	o.close = nil
	o.writing = len(b)
	o.mu.Unlock()
	if len(b) > 0 {
		n, err := c.t.nc.Write(b)
		c.stats.bytesWritten.Add(uint64(n))
		switch {
		case err != nil:
			c.fail(err)
		case closing:
			c.closeWritten()
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.releaseLocked()
}
