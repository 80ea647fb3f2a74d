package websocket

import (
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket/internal/extension"
)

// Defaults of [Options].
const (
	defaultReadLimit    = 1 << 20
	defaultPingInterval = 30 * time.Second
	defaultPongTimeout  = 30 * time.Second
	defaultCloseTimeout = 5 * time.Second
	defaultSendBuffer   = 256 << 10
)

// Options are the settings that both ends of a connection have in common.
// The zero value is safe and ready for production. Options are copied when
// a connection is made; changing them later has no effect on it.
type Options struct {
	// ReadLimit is the largest message, in bytes, that the connection
	// accepts. A larger one fails the connection with
	// [StatusMessageTooBig] as soon as its size is known, and the error
	// wraps [ErrMessageTooBig]. Zero means 1 MiB, a negative value means no
	// limit. Memory grows with the bytes that have arrived, never with the
	// length that a peer has declared.
	ReadLimit int64

	// PingInterval is how long the peer may be silent before the connection sends it a
	// ping. Zero means 30 seconds, a negative value turns keepalive off. Load balancers
	// drop silent connections without notice, often after 60 seconds.
	PingInterval time.Duration

	// PongTimeout is how long after such a ping has left the peer may give no
	// sign of life before the connection is given up: every pending call fails
	// with a [CloseError] of code [StatusAbnormalClosure] that wraps [ErrDead].
	// Zero means 30 seconds, a negative value never gives up.
	//
	// Any bytes of the peer are a sign of life. So a peer that answers pings is alive
	// even while nobody reads from the connection. On a transport that is neither a
	// socket nor TLS over one, and on systems other than Unix, its answers cannot be
	// seen behind a message that nobody reads, and then the peer is not given up. A
	// peer that takes a backlog is alive too, however long that takes. On Linux the
	// system reports how much a TCP peer takes; elsewhere the peer has to take 128 KiB
	// within PingInterval and PongTimeout. A peer whose system acknowledges bytes that
	// the peer itself does not read counts as dead when that system has no more room.
	//
	// On a connection that only writes, keepalive also finds the end of the transport,
	// but not a close frame behind a message that nobody reads: use [Conn.CloseRead]
	// there.
	PongTimeout time.Duration

	// WriteTimeout bounds every call of [Conn.Write], [Conn.WriteUncompressed],
	// [Conn.WritePrepared] and [Conn.Writer], and each call on the writer that the last
	// returns, unless its context ends earlier. The error wraps
	// [os.ErrDeadlineExceeded]; the connection goes on or ends as [Conn.Write] says for
	// a context that ends. Zero or less means no bound but the context. Data that is
	// queued, by [Conn.Send] or behind other messages, is bounded by SendBuffer and
	// keepalive instead.
	WriteTimeout time.Duration

	// CloseTimeout bounds the closing handshake: [Conn.Close] never takes
	// longer, whatever the peer does. Zero or less means 5 seconds.
	CloseTimeout time.Duration

	// SendBuffer bounds what [Conn.Send] queues, in bytes as they go on the wire.
	// No message may be larger. Zero or less means 256 KiB.
	SendBuffer int

	// Compression turns on permessage-deflate (RFC 7692) with a peer that wants it too.
	// Nil means off: a client does not offer it, and a server declines it. The
	// CompressionOptions are copied like the rest.
	Compression *CompressionOptions

	// Logger receives the few events that no call can return, such as a
	// panic in a handler. Nil means [slog.Default].
	Logger *slog.Logger

	// Trace holds hooks that observe the connection. Nil costs nothing.
	Trace *Trace
}

// Trace is a set of hooks, each of which may be nil. The hooks of a connection run
// on a goroutine of their own, one after the other, in the order of what they
// report. They may run some time after it: a message may have been read before its
// FrameIn is called. Hooks of several connections run at the same time.
//
// A hook may call any method of the connection, and may wait. The calls that are due
// meanwhile take memory. The connection reads more slowly when there are more than
// 1000, but writes as fast as before, so hooks must keep up with what is written.
//
// A hook that panics or calls [runtime.Goexit] closes the connection with
// [StatusInternalError], and with [http.ErrAbortHandler] at once, as a method of an
// [EventHandler] does. Other panics are logged to Options.Logger. The remaining calls
// are made all the same.
type Trace struct {
	// FrameIn is called for each frame whose header was received and accepted.
	FrameIn func(*Conn, Header)
	// FrameOut is called for each frame that is handed to the transport, or queued for
	// it.
	FrameOut func(*Conn, Header)
	// Close is called once, as the last call, when the connection has ended, with the
	// reason why: a [*CloseError].
	Close func(*Conn, error)
}

// AcceptOptions are the settings of a server's end; see [Accept] and
// [Server].
type AcceptOptions struct {
	Options

	// Subprotocols are the subprotocols that the server speaks, the preferred one
	// first. The first that the client offers too is chosen; [Conn.Subprotocol] returns
	// it. When there is none in common the connection is made without a subprotocol
	// (RFC 6455, section 4.2.2).
	Subprotocols []string

	// OriginPatterns are the origins, besides the server's own, whose pages
	// may connect. Browsers send cookies along with a WebSocket handshake
	// from any page, so an open server must not trust them.
	//
	// A pattern is matched as by [path.Match], without regard to case,
	// against "scheme://host[:port]" when it contains "://", and against
	// "host[:port]" otherwise; default ports are left out, and there is no
	// path. Examples: "https://example.com", "*.example.com", "localhost:*".
	// "*" allows every origin, "null" of sandboxed pages included. A pattern that is
	// malformed or has a path, be it a slash at the end, is found at the first
	// handshake: every client then gets 500, and the log says why.
	//
	// A server behind a proxy that ends TLS sees https origins on http
	// requests, and must name its own public origin here.
	OriginPatterns []string

	// CheckOrigin, if not nil, decides alone whether a request that has an
	// Origin header is allowed; OriginPatterns are not consulted. A request
	// with several Origin headers is refused before.
	CheckOrigin func(*http.Request) bool

	// Admit, if not nil, decides last on a handshake in which all else is right: the
	// origin is allowed, the subprotocol is chosen. It may block, for example to query
	// a database, and may be called by many goroutines at the same time. The headers
	// that it returns are sent with the 101 response, behind those of Header.
	//
	// An error refuses the handshake. If it is, or wraps, a [*HandshakeError], the
	// answer has that error's Status, from 300 to 599, its Reason as the text, and its
	// Header: 401 with WWW-Authenticate, for example, 403, or 429 with Retry-After. A
	// Status of 0 stands for 403. Any other error is the server's fault: it is answered
	// with 500, and its text is not shown to the client. In both cases [Accept] returns
	// a [*HandshakeError] that wraps it.
	//
	// Admit can pass a value to the connection's handler in the request's context, by
	// *r = *r.WithContext(ctx). [Conn.Request] and [Conn.Context] have the value; see
	// there for how long. With ForgetRequest only OnOpen of an [EventHandler] has it.
	Admit func(r *http.Request) (http.Header, error)

	// ForgetRequest makes the connection drop the request that asked for it, for
	// servers with very many connections: [Conn.Request] returns nil, and
	// [Conn.Context] has none of the request's values, those of Admit neither: a
	// handler that needs some calls [Accept] and keeps them itself. It saves about 1 KB
	// per connection, and more where requests have many headers. With an [EventHandler]
	// the request is dropped when OnOpen has returned.
	//
	// With [Server.Handler] it also saves net/http's goroutine and buffers, some
	// 10 KB per connection: Handler then runs on a goroutine of its own, and
	// ServeHTTP returns when the handshake is done.
	ForgetRequest bool

	// Header is sent with the 101 response, after the headers already set
	// on the ResponseWriter. It must not hold headers of the handshake
	// itself (Connection, Upgrade, Sec-WebSocket-…) or of content.
	Header http.Header
}

// DialOptions are the settings of a client's end; see [Dial].
type DialOptions struct {
	Options

	// HTTPClient makes the handshake request. Its Jar, CheckRedirect and
	// Timeout apply, and so do its Transport's proxy, dialers and TLS
	// configuration. Nil means [http.DefaultClient].
	HTTPClient *http.Client

	// Header is sent with the request, for instance Authorization, Cookie
	// or Origin. It must not hold headers of the handshake itself
	// (Connection, Upgrade, Sec-WebSocket-…). A Host entry sets the Host
	// header.
	Header http.Header

	// Subprotocols are offered to the server, the preferred one first.
	Subprotocols []string

	// HandshakeTimeout bounds everything that Dial does, as a deadline of
	// its context would. Zero means 30 seconds, a negative value no bound.
	HandshakeTimeout time.Duration
}

// lastOptions are the options of the connection that was made most recently.
var lastOptions atomic.Pointer[Options]

// shared returns a copy of o. Connections made one after the other with the same
// options, as those of a server, share one copy.
func (o Options) shared() *Options {
	if p := lastOptions.Load(); p != nil && *p == o {
		return p
	}
	p := new(Options)
	*p = o
	lastOptions.Store(p)
	return p
}

// wanted returns the extensions that o wants, or an error if a setting has no
// meaning.
func (o *Options) wanted() (w extension.Wanted, err error) {
	if z := o.Compression; z != nil {
		w.Compression, w.Deflate = true, extension.Params(*z)
	}
	return w, o.Compression.check()
}

// withDefaults returns o with every zero value replaced by its meaning. A
// connection keeps the result, so Compression is nil: that belongs to the user, and
// is not needed after the handshake.
func (o Options) withDefaults() Options {
	o.Compression = nil
	switch {
	case o.ReadLimit == 0:
		o.ReadLimit = defaultReadLimit
	case o.ReadLimit < 0:
		o.ReadLimit = math.MaxInt64
	}
	if o.PingInterval == 0 {
		o.PingInterval = defaultPingInterval
	}
	if o.PongTimeout == 0 {
		o.PongTimeout = defaultPongTimeout
	}
	if o.CloseTimeout <= 0 {
		o.CloseTimeout = defaultCloseTimeout
	}
	if o.SendBuffer <= 0 {
		o.SendBuffer = defaultSendBuffer
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
