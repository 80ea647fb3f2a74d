package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// Message is a message as [Conn.Messages] yields it.
type Message struct {
	Type MessageType
	Data []byte
}

// Conn is a WebSocket connection. [Accept], [Server], [Loop.Serve], [Dial],
// [NewConn] and [Pipe] make one.
//
// Any number of goroutines may write, ping and close at the same time; each message
// goes out whole. One goroutine at a time may read; a second one gets
// [ErrConcurrentRead]. While a goroutine reads, the connection answers pings and
// completes the closing handshake by itself: so read even when no messages are
// expected, or call [Conn.CloseRead]. On a connection that nobody reads, keepalive
// still works, and so do [Conn.Ping] and [Conn.Close] as long as the peer sends no
// messages.
//
// Once a connection has ended every call returns the same [*CloseError].
//
// A context may be used for any number of calls: the connection registers
// with it once, not once per call.
type Conn struct {
	t           transport.Conn             // changes with both halves and life.mu held
	opts        *Options                   // shared, and not changed
	negotiation atomic.Pointer[negotiated] // nil if there is nothing in it; read through negotiated()

	// Lock order: in.mu, then out.mu, then life.mu.
	in     inHalf
	out    outHalf
	life   life
	cancel atomic.Pointer[cancelers]
}

// life is the connection's state as a whole; see closing.go.
type life struct {
	cause atomic.Pointer[CloseError] // why it closes; set once, when no message is delivered any more
	state atomic.Uint32              // a closeState; changes with mu held

	mu       sync.Mutex // guards what follows; nothing else is locked under it
	received bool       // the peer's close frame has come
	sent     bool       // our close frame has left
	over     bool       // the transport is closed
	last     bool       // keepalive waits for its pong: the control reader must read
	timer    *time.Timer
	extra    *connExtra // made on demand
	rtt      atomic.Int64
}

func (l *life) closeState() closeState { return closeState(l.state.Load()) }

// connExtra holds the fields that few connections need at a time.
type connExtra struct {
	gone     chan struct{} // closed when the connection has ended; made on demand
	ctx      *lifeContext  // made on demand
	after    *afterClose   // of AfterClose, the newest first
	pings    *pings        // nil if none is under way
	left     net.Addr      // the peer's address, once the transport has ended and does not know it any more
	writeErr *CloseError   // why nothing can be written any more, if that is not the cause
	bound    bound         // while the connection is closing
	hooks    *hooks        // nil if no call of a Trace is due
}

// extraLocked returns extra, and allocates it if it is nil.
func (l *life) extraLocked() *connExtra {
	if l.extra == nil {
		l.extra = new(connExtra)
	}
	return l.extra
}

func (l *life) pingsLocked() *pings {
	if l.extra == nil {
		return nil
	}
	return l.extra.pings
}

// trimExtraLocked frees extra if nothing is in it.
func (l *life) trimExtraLocked() {
	if l.extra != nil && *l.extra == (connExtra{}) {
		l.extra = nil
	}
}

// lifeContext is the context that Conn.Context returns, with the function that ends
// it.
type lifeContext struct {
	context.Context
	cancel context.CancelCauseFunc
	values *requestValues
}

// connConfig is the result of a handshake, for newConn.
type connConfig struct {
	client bool    // we mask, and the peer must not
	opts   Options // already through withDefaults
	agreement
	request *http.Request // for Conn.Request; nil for a Pipe
	early   []byte        // arrived behind the handshake; the Conn owns it from here on
}

// newConn makes a connection on nc and starts its keepalive. The connection owns nc
// from here on.
func newConn(nc net.Conn, cfg connConfig) *Conn {
	c := new(Conn)
	c.init(transport.New(nc), cfg)
	c.startKeepalive()
	return c
}

// init makes c, which is zero, a connection without keepalive.
func (c *Conn) init(t transport.Conn, cfg connConfig) {
	c.t, c.opts = t, cfg.opts.shared()
	c.in.receiver = receiver{client: cfg.client, limit: cfg.opts.ReadLimit, rsv: cfg.extensions.RSV}
	c.negotiation.Store((&negotiated{cfg.subprotocol, cfg.request, newExtensions(cfg.extensions)}).shared())
	if len(cfg.early) > 0 {
		c.in.buf = &buffer.Buffer{B: cfg.early}
	}
	c.out.sender = sender{client: cfg.client}
	c.in.lastInput.Store(monotonic())
}

// client reports whether this is the client's end: we mask, and the peer must not.
func (c *Conn) client() bool { return c.out.sender.client }

// closing reports whether there is a cause.
func (c *Conn) closing() bool { return c.life.cause.Load() != nil }

// Subprotocol returns the subprotocol that the handshake has chosen, or "".
func (c *Conn) Subprotocol() string {
	return c.negotiated().subprotocol
}

// Request returns the request that asked for the connection: on a client the one
// that it sent, on a server the one that it received, without its body and the
// headers that only the handshake needs (Connection, Upgrade and Sec-WebSocket-Key,
// -Version and -Extensions). It is nil for a [Pipe]. With
// [AcceptOptions.ForgetRequest] it is nil too, except in the OnOpen method of an
// [EventHandler]. It is shared and must not be changed.
//
// Its context has the values that middleware and routers have put there, such as
// chi's URL parameters, for as long as [Conn.Context] has them. After that the
// context has no values and the request no parsed form; everything else stays.
func (c *Conn) Request() *http.Request {
	return c.negotiated().request
}

// LocalAddr returns the local address of the underlying connection. On a [Loop]
// it is unknown when the connection has ended.
func (c *Conn) LocalAddr() net.Addr { return c.currentTransport().LocalAddr() }

// RemoteAddr returns the address of the peer, or of a proxy before it, also when
// the connection has ended.
func (c *Conn) RemoteAddr() net.Addr { return c.currentTransport().RemoteAddr() }

// keepRemoteAddr stores a for keptRemoteAddr.
func (c *Conn) keepRemoteAddr(a net.Addr) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.life.extraLocked().left = a
}

// keptRemoteAddr returns the address that keepRemoteAddr stored, or nil.
func (c *Conn) keptRemoteAddr() net.Addr {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if c.life.extra == nil {
		return nil
	}
	return c.life.extra.left
}

// currentTransport returns the transport, for callers that hold neither half. A
// Loop may replace it.
func (c *Conn) currentTransport() transport.Conn {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	return c.t
}

// loopTransport is the transport of a connection that an engine watches.
type loopTransport interface {
	transport.Conn
	// checkInput makes the loop check for input.
	checkInput()
	// now is the time by monotonic, or a little earlier.
	now() int64
	// writeCorked adds a frame of h and p, which it masks if h says so, to the frames
	// that it holds until a batch of input is done. It returns the frame's size, or 0
	// if it does not hold frames now.
	writeCorked(h Header, p []byte) int
	// queued returns how many bytes wait for the socket.
	queued() int
	// dropQueue drops the queued bytes: the peer takes nothing any more.
	dropQueue()
	// awaitDrained makes it call tellDrained when no bytes are queued any more.
	awaitDrained()
}

// loopTransport returns the connection's transport if an engine watches it, else nil.
func (c *Conn) loopTransport() loopTransport {
	if !c.in.readLock.onLoop() {
		return nil
	}
	l, _ := c.t.(loopTransport)
	return l
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
		MessagesRead:    c.in.readLock.count(),
		MessagesWritten: c.out.write.count(),
		BytesRead:       c.in.bytes.Load(),
		BytesWritten:    c.out.bytes.Load(),
	}
}

// Context returns a context that is done as soon as the connection closes,
// from either side; its [context.Cause] is then the [*CloseError].
//
// While messages that arrived before a write has failed are still being read, the
// connection is not closed. The context is done all the same if none of them is
// read for two to three times [Options.CloseTimeout], so that a handler may wait
// for it.
//
// On a server the context has the values of the request's context, but does not end
// with it. It has them as long as they are sure to be the request's own. With
// [Server.Handler] that is until Handler has returned, with [Server.Events] until
// OnOpen has, and with [AcceptOptions.ForgetRequest] never. When the HTTP handler
// has returned, a router such as chi or gin reuses the objects behind its values
// for another request: if a connection of [Accept] outlives the handler, read the
// values before.
//
// The goroutine that reads sees that the peer closes. A handler that only writes
// calls [Conn.CloseRead]. On a connection that nobody reads, keepalive sees it, up
// to [Options.PingInterval] later; a close frame behind a message that nobody reads
// is not seen at all.
func (c *Conn) Context() context.Context {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.extraLocked()
	if r.ctx == nil {
		values := newRequestValues(c.Request())
		ctx, cancel := context.WithCancelCause(values)
		r.ctx = &lifeContext{ctx, cancel, values}
		c.endWhenDropped(r.ctx)
		if cause := l.cause.Load(); cause != nil {
			cancel(cause)
		} else if r.bound.ctxOver {
			cancel(r.writeErr)
		}
	}
	return r.ctx
}

// Close closes the connection with the given code and a reason of at most 123 bytes
// of UTF-8: it sends a close frame, waits for the peer's and closes the transport
// (RFC 6455, section 7.1.2). Messages that arrive in the meantime are discarded;
// reads and writes fail at once. Messages that were accepted before still leave,
// ahead of the close frame. Close returns when the transport is closed, which takes
// no longer than [Options.CloseTimeout] after the peer has last taken bytes.
//
// The error is nil if both close frames were exchanged, in either order.
//
// Close always ends the connection. A code or reason that must not be sent is
// replaced: [StatusNoStatus] by a close frame without a code, any other code by
// [StatusInternalError], what is not UTF-8 in a reason by U+FFFD, and a reason
// that is too long by as much of it as fits. The error says so then.
func (c *Conn) Close(code StatusCode, reason string) error {
	refused := checkClose(code, reason)
	if refused != nil {
		code, reason = sendableClose(code, reason)
	}
	c.startClose(code, reason)
	<-c.ended()
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	switch cause := l.cause.Load(); {
	case l.received && l.sent:
		return refused
	case refused != nil:
		return fmt.Errorf("%w; the closing handshake was not completed: %w", refused, prefix.Trim(cause))
	case cause.Err == nil:
		return fmt.Errorf("websocket: the closing handshake was not completed: %w", prefix.Trim(cause))
	default:
		return cause
	}
}

// CloseNow closes the transport without waiting for the peer. Frames that were
// accepted before, by Write, Send or Ping, and the answer to a close frame are
// given to the system first, as far as it has room for them. Calls under way fail.
// It returns nil also if the connection has ended already.
//
// If a close frame has been sent that the peer has not answered, the transport is
// closed later, in the background, when the peer has answered or closed it: a reset
// would discard the close frame. This takes at most a second if the frame is that
// of a Close, Shutdown or CloseRead, and at most [Options.CloseTimeout] if the peer
// has broken the protocol.
func (c *Conn) CloseNow() error {
	c.abort(errCloseNow)
	return nil
}

var errCloseNow = errors.New("websocket: CloseNow was called")

// ended returns a channel that is closed when the transport is.
func (c *Conn) ended() <-chan struct{} {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.extraLocked()
	if r.gone == nil {
		r.gone = make(chan struct{})
		if l.over {
			close(r.gone)
		}
	}
	return r.gone
}

// whyNotWrite is writeError for a connection that is not open.
func (c *Conn) whyNotWrite() error {
	l := &c.life
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s := l.closeState(); {
	case !s.reads():
		return l.cause.Load()
	case s == stateWriteFailed:
		return l.extra.writeErr
	}
	return errWriteClosed
}

var errWriteClosed = errors.New("websocket: write after CloseWrite")

// epoch is the zero of monotonic.
var epoch = time.Now()

// monotonic returns the time in nanoseconds since epoch.
func monotonic() int64 { return int64(time.Since(epoch)) }
