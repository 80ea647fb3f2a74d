package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// MessageType is the type of a message: [Text] or [Binary]. A message of any
// other type cannot be sent and is never received.
type MessageType uint8

const (
	Text   MessageType = MessageType(OpText)   // UTF-8; checked in both directions
	Binary MessageType = MessageType(OpBinary) // any bytes
)

// String returns "text" or "binary".
func (t MessageType) String() string { return Opcode(t).String() }

// Message is a message as [Conn.Messages] yields it.
type Message struct {
	Type MessageType
	Data []byte
}

// Conn is a WebSocket connection. [Accept], [Server], [Dial] and [Pipe] make
// one.
//
// Any number of goroutines may write, ping and close at the same time; each
// message goes out whole. One goroutine at a time may read; a second one gets
// [ErrConcurrentRead]. Pings are answered and the closing handshake is kept
// without the caller's doing, while somebody reads: so read even when no
// messages are expected. A connection that nobody reads still answers its own
// keepalive, [Conn.Ping] and [Conn.Close], as long as the peer sends no
// messages.
//
// Once a connection has ended every call returns the same [*CloseError].
//
// A context may be used for any number of calls: the connection registers
// with it once, not once per call.
type Conn struct {
	t       transport               // changes with both halves and life.mu held
	opts    *Options                // shared, and not changed
	settled atomic.Pointer[settled] // nil if there is nothing in it; read through agreed

	// Lock order: in.mu, then out.mu, then life.mu.
	in     inHalf
	out    outHalf
	life   life
	cancel atomic.Pointer[cancelers]
}

// life is the connection's state as a whole. It goes from open to closing,
// when there is a cause, to ended, when the transport is closed.
type life struct {
	cause atomic.Pointer[CloseError] // why it closes; set once

	mu       sync.Mutex // guards what follows; nothing else is locked under it
	received bool       // the peer's close frame has come
	sent     bool       // our close frame is on the wire
	failed   bool       // no closing handshake is to be expected
	ended    bool       // the transport is closed
	last     bool       // the last moments of the probe's time: somebody must read now
	timer    *time.Timer
	rare     *rarities // made on demand
	rtt      atomic.Int64
}

// rarities are what few connections have at a time.
type rarities struct {
	gone  chan struct{} // closed when the connection has ended; made on demand
	ctx   *lifeContext  // made on demand
	pings *pings        // nil if none is under way
	left  net.Addr      // where the peer was, of a transport that has ended and would not know
}

// rareLocked returns the rarities, for something to be put in.
func (l *life) rareLocked() *rarities {
	if l.rare == nil {
		l.rare = new(rarities)
	}
	return l.rare
}

func (l *life) pingsLocked() *pings {
	if l.rare == nil {
		return nil
	}
	return l.rare.pings
}

// forgetPingsLocked lets go of the pings, and of the rest if nothing is in it.
func (l *life) forgetPingsLocked() {
	if l.rare == nil {
		return
	}
	if l.rare.pings = nil; *l.rare == (rarities{}) {
		l.rare = nil
	}
}

// lifeContext is what Conn.Context returns, and how to end it.
type lifeContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// connConfig is what a handshake hands to newConn.
type connConfig struct {
	client      bool          // we mask, and the peer must not
	opts        Options       // already through withDefaults
	subprotocol string        // as negotiated, or ""
	request     *http.Request // for Conn.Request; nil for a Pipe
	compression *compression  // permessage-deflate as negotiated, or nil
	early       []byte        // arrived behind the handshake; the Conn owns it from here on
}

// newConn makes a connection of nc, which it owns from here on, and starts
// its keepalive.
func newConn(nc net.Conn, cfg connConfig) *Conn {
	c := new(Conn)
	c.init(newTransport(nc), cfg)
	c.startKeepalive()
	return c
}

// init makes c, which is zero, a connection without keepalive.
func (c *Conn) init(t transport, cfg connConfig) {
	c.t, c.opts = t, cfg.opts.shared()
	c.in.receiver = receiver{client: cfg.client, limit: cfg.opts.ReadLimit}
	c.settled.Store((&settled{cfg.subprotocol, cfg.request, newDeflate(cfg.compression)}).shared())
	if cfg.compression != nil {
		c.in.receiver.rsv = rsv1
	}
	if len(cfg.early) > 0 {
		c.in.buf = &buffer{b: cfg.early}
	}
	c.out.sender = sender{client: cfg.client}
	c.in.heard.Store(monotonic())
}

// client reports whether this is the client's end: we mask, and the peer must not.
func (c *Conn) client() bool { return c.out.sender.client }

// closing reports whether there is a cause.
func (c *Conn) closing() bool { return c.life.cause.Load() != nil }

// Subprotocol returns the subprotocol that the handshake settled on, or "".
func (c *Conn) Subprotocol() string {
	return c.agreed().subprotocol
}

// Request returns the request that asked for the connection: what the server
// received, without its body and the headers that only the handshake needs
// (Connection, Upgrade and Sec-WebSocket-Key, -Version and -Extensions), or
// what the client sent. It is nil for a [Pipe], and with
// [AcceptOptions.ForgetRequest], but for the OnOpen method of an
// [EventHandler]. It is shared and must not be changed.
func (c *Conn) Request() *http.Request {
	return c.agreed().request
}

// LocalAddr returns the local address of the underlying connection. On a [Loop]
// it is unknown when the connection has ended.
func (c *Conn) LocalAddr() net.Addr { return c.carrier().LocalAddr() }

// RemoteAddr returns the address of the peer, or of a proxy before it, also when
// the connection has ended.
func (c *Conn) RemoteAddr() net.Addr { return c.carrier().RemoteAddr() }

// keepRemoteAddr has keptRemoteAddr return a.
func (c *Conn) keepRemoteAddr(a net.Addr) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.rareLocked().left = a
}

// keptRemoteAddr returns what keepRemoteAddr was told, or nil.
func (c *Conn) keptRemoteAddr() net.Addr {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if c.life.rare == nil {
		return nil
	}
	return c.life.rare.left
}

// carrier is the transport, for those who have neither half; a Loop may change
// it.
func (c *Conn) carrier() transport {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	return c.t
}

// Stats counts what has passed through a connection.
type Stats struct {
	MessagesRead    uint64
	MessagesWritten uint64
	BytesRead       uint64 // on the transport: frame headers and control frames included
	BytesWritten    uint64
}

// Stats returns the counters as they stand. It may be called at any time.
func (c *Conn) Stats() Stats {
	c.out.lock()
	defer c.out.unlock()
	return Stats{
		MessagesRead:    c.in.gate.count(),
		MessagesWritten: c.out.turn.count(),
		BytesRead:       c.in.bytes.Load(),
		BytesWritten:    c.out.bytes.Load(),
	}
}

// Context returns a context that is done as soon as the connection closes,
// from either side; its [context.Cause] is then the [*CloseError]. On a
// server it carries the values of the request's context, but not its end.
func (c *Conn) Context() context.Context {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rareLocked()
	if r.ctx == nil {
		base := context.Background()
		if req := c.Request(); req != nil {
			base = context.WithoutCancel(req.Context())
		}
		ctx, cancel := context.WithCancelCause(base)
		r.ctx = &lifeContext{ctx, cancel}
		if cause := l.cause.Load(); cause != nil {
			cancel(cause)
		}
	}
	return r.ctx.Context
}

// Close closes the connection with the given code and a reason of at most
// 123 bytes of UTF-8: it sends a close frame, waits for the peer's and closes
// the transport (RFC 6455, section 7.1.2). Messages that arrive in the
// meantime are discarded; reads and writes fail at once. It returns within
// [Options.CloseTimeout], whatever the peer does, and by then the transport
// is closed.
//
// The error is nil if both close frames were exchanged, whoever was first.
// With a code or reason that must not be sent, Close returns an error and
// does nothing.
func (c *Conn) Close(code StatusCode, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	c.startClose(code, reason)
	<-c.ended()
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.received && l.sent {
		return nil
	}
	cause := l.cause.Load()
	if cause.Err == nil {
		return fmt.Errorf("websocket: the closing handshake was not completed: %w", cause)
	}
	return cause
}

// CloseNow closes the transport without a closing handshake. Calls under way
// fail. It returns nil also if the connection has ended already.
func (c *Conn) CloseNow() error {
	c.fail(errCloseNow)
	return nil
}

var errCloseNow = errors.New("websocket: CloseNow was called")

// startClose begins the closing handshake and returns at once. The close
// timer bounds everything from here on.
func (c *Conn) startClose(code StatusCode, reason string) {
	if c.setCause(&CloseError{Code: code, Reason: reason}, c.opts.CloseTimeout) {
		c.queueClose(code, reason)
		c.attendInBackground()
	}
}

// ended returns a channel that is closed when the transport is.
func (c *Conn) ended() <-chan struct{} {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rareLocked()
	if r.gone == nil {
		r.gone = make(chan struct{})
		if l.ended {
			close(r.gone)
		}
	}
	return r.gone
}

// setCause makes the connection closing and reports whether it was open. Waiting
// writers and pings give up. From here on the timer bounds its life; a timeout of
// 0 is for a caller that ends it at once.
func (c *Conn) setCause(cause *CloseError, timeout time.Duration) bool {
	l := &c.life
	l.mu.Lock()
	if l.cause.Load() != nil {
		l.mu.Unlock()
		return false
	}
	l.cause.Store(cause)
	if timeout > 0 {
		l.rearmLocked(c, timeout)
	}
	l.dropPingsLocked()
	var ctx *lifeContext
	if l.rare != nil {
		ctx = l.rare.ctx
	}
	l.mu.Unlock()
	if ctx != nil {
		ctx.cancel(cause)
	}
	c.wakeAll()
	return true
}

// gotClose handles the peer's close frame: it is answered with its own code
// (section 5.5.1), unless it is the answer.
func (c *Conn) gotClose(code StatusCode, reason string) {
	c.life.mu.Lock()
	c.life.received = true
	c.life.mu.Unlock()
	if c.setCause(&CloseError{Code: code, Reason: reason, Remote: true}, c.opts.CloseTimeout) {
		c.queueClose(code, "")
	} else {
		c.finish()
	}
}

// closeWritten is called when our close frame has been written.
func (c *Conn) closeWritten() {
	c.life.mu.Lock()
	c.life.sent = true
	failed := c.life.failed
	c.life.mu.Unlock()
	if failed {
		c.t.closeWrite()
	}
	c.finish()
}

// finish ends the connection when both close frames were exchanged. "The
// server MUST close the connection immediately, the client SHOULD wait for
// the server" (section 7.1.1), so that TIME-WAIT stays with the server.
func (c *Conn) finish() {
	l := &c.life
	l.mu.Lock()
	done := l.received && l.sent && !l.ended
	if done && c.client() {
		l.rearmLocked(c, min(c.opts.CloseTimeout, maxLinger))
	}
	l.mu.Unlock()
	switch {
	case !done:
	case c.client():
		c.attendInBackground()
	default:
		c.end(false)
	}
}

// maxLinger is how long a client waits, when all is said, for the server to
// close the TCP connection.
const maxLinger = time.Second

// failRead ends the reading half with what it ran into: a breach of the
// protocol, which the peer is told, or an error of the transport. It returns
// the error for the caller.
func (c *Conn) failRead(err error) error {
	var pe *ProtocolError
	if !errors.As(err, &pe) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // no close frame
		}
		return c.fail(err)
	}
	c.life.mu.Lock()
	c.life.failed = true
	c.life.mu.Unlock()
	reason := pe.Text + pe.where()
	if len(reason) > maxCloseReason {
		reason = pe.Text[:min(len(pe.Text), maxCloseReason)]
	}
	if c.setCause(&CloseError{Code: pe.Code, Reason: reason, Err: pe}, c.opts.CloseTimeout) {
		c.queueClose(pe.Code, reason)
		// The close frame would be lost if the transport were closed while
		// input is unread: TCP answers that with a reset. The attendant
		// reads on until the peer has closed, or the timer ends it.
		c.attendInBackground()
	} else {
		c.end(true) // was closing anyway
	}
	return c.life.cause.Load()
}

// fail ends the connection at once, because of err, and returns the cause.
func (c *Conn) fail(err error) error {
	c.setCause(&CloseError{Code: StatusAbnormalClosure, Err: err}, 0)
	c.end(true)
	return c.life.cause.Load()
}

// end closes the transport, without ceremony if abort is set, and lets go of
// all that the connection holds. There is a cause by now.
func (c *Conn) end(abort bool) {
	l := &c.life
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.ended = true
	timer, t := l.timer, c.t
	var gone chan struct{}
	if l.rare != nil {
		gone = l.rare.gone
	}
	l.mu.Unlock()

	t.end(abort)
	if timer != nil {
		timer.Stop()
	}
	c.forgetContexts()
	if gone != nil {
		close(gone)
	}
	c.traceClose()
}

// rearmLocked sets the connection's one timer, which serves keepalive while
// the connection is open and bounds its closing. The caller holds mu.
func (l *life) rearmLocked(c *Conn, d time.Duration) {
	switch {
	case l.ended:
	case l.timer == nil:
		l.timer = time.AfterFunc(d, c.onTimer)
	default:
		l.timer.Reset(d)
	}
}

func (c *Conn) onTimer() {
	if c.life.cause.Load() != nil {
		c.carrier().end(true) // even if end is at it already
		c.end(true)
		return
	}
	c.keepaliveTick()
}

// epoch is what monotonic counts from.
var epoch = time.Now()

// monotonic returns the time in nanoseconds since some moment.
func monotonic() int64 { return int64(time.Since(epoch)) }
