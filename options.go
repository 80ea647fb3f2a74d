package websocket

import (
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"
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

	// PingInterval is how long the peer may be silent before the connection
	// sends it a ping. Zero means 30 seconds, a negative value turns
	// keepalive off. Load balancers drop connections that stay silent for
	// (often) 60 seconds, without telling anyone.
	PingInterval time.Duration

	// PongTimeout is how long after such a ping has left the peer may give no
	// sign of life before the connection is given up: every pending call fails
	// with a [CloseError] of code [StatusAbnormalClosure] that wraps [ErrDead].
	// Zero means 30 seconds, a negative value never gives up.
	//
	// Any bytes of the peer are a sign of life. So a peer that answers pings
	// lives also while nobody reads from the connection; on a transport that is
	// neither a socket nor TLS over one, and on systems other than Unix, that
	// cannot be seen behind a message that nobody reads, and then no peer is
	// given up. A peer that takes a backlog lives as well, however long that
	// takes. On Linux the system tells what a TCP peer takes; elsewhere it has
	// to take 128 KiB within PingInterval and PongTimeout. A peer whose system
	// acknowledges what the peer itself does not read counts as dead when that
	// system has no more room.
	//
	// On a connection that only writes, an end of the transport is found by
	// keepalive, too, but not a close frame behind a message that nobody reads:
	// use [Conn.CloseRead] there.
	PongTimeout time.Duration

	// WriteTimeout bounds every call of [Conn.Write], [Conn.WriteUncompressed],
	// [Conn.WritePrepared] and [Conn.Writer], and each call on the writer that
	// the last returns, unless its context ends earlier. The error wraps
	// [os.ErrDeadlineExceeded]; what it means for the connection is what Write
	// says of a context that ends. Zero or less means no bound but the context.
	// Data that is queued, by [Conn.Send] or behind other messages, is bounded by
	// SendBuffer and keepalive instead.
	WriteTimeout time.Duration

	// CloseTimeout bounds the closing handshake: [Conn.Close] never takes
	// longer, whatever the peer does. Zero or less means 5 seconds.
	CloseTimeout time.Duration

	// SendBuffer bounds what [Conn.Send] queues, in bytes as they go on the wire.
	// No message may be larger. Zero or less means 256 KiB.
	SendBuffer int

	// Compression turns on permessage-deflate (RFC 7692) with a peer that
	// wants it too. Nil means off: a client does not offer it, and a server
	// declines it. What it points to is copied like the rest.
	Compression *CompressionOptions

	// Logger receives the few events that no call can return, such as a
	// panic in a handler. Nil means [slog.Default].
	Logger *slog.Logger

	// Trace holds hooks that observe the connection. Nil costs nothing.
	Trace *Trace
}

// Trace is a set of hooks, each of which may be nil. They run on the
// connection's own path, from several goroutines: they must be quick, safe
// for concurrent use, and must not call the connection's reading or writing
// methods.
//
// A hook that panics ends the program, where no caller of the connection's
// methods recovers. On a [Loop] it closes the connection with
// [StatusInternalError], and the panic is logged to Options.Logger.
type Trace struct {
	// FrameIn is called for each frame header received and accepted,
	// before its payload is looked at.
	FrameIn func(*Conn, Header)
	// FrameOut is called for each frame before it is handed to the
	// transport.
	FrameOut func(*Conn, Header)
	// Close is called once, when the connection has ended, with the reason
	// why: a [*CloseError].
	Close func(*Conn, error)
}

// AcceptOptions are the settings of a server's end; see [Accept] and
// [Server].
type AcceptOptions struct {
	Options

	// Subprotocols are the subprotocols that the server speaks, the
	// preferred one first. The first that the client offers too is chosen;
	// [Conn.Subprotocol] tells. When there is none in common the
	// connection is made without a subprotocol (RFC 6455, section 4.2.2).
	Subprotocols []string

	// OriginPatterns are the origins, besides the server's own, whose pages
	// may connect. Browsers send cookies along with a WebSocket handshake
	// from any page, so an open server must not trust them.
	//
	// A pattern is matched as by [path.Match], without regard to case,
	// against "scheme://host[:port]" when it contains "://", and against
	// "host[:port]" otherwise; default ports are left out, and there is no
	// path. Examples: "https://example.com", "*.example.com", "localhost:*".
	// "*" allows every origin, "null" of sandboxed pages included.
	//
	// A server behind a proxy that ends TLS sees https origins on http
	// requests, and must name its own public origin here.
	OriginPatterns []string

	// CheckOrigin, if not nil, decides alone whether a request that has an
	// Origin header is allowed; OriginPatterns are not consulted. A request
	// with several Origin headers is refused before.
	CheckOrigin func(*http.Request) bool

	// Admit, if not nil, has the last word on a handshake in which all else is
	// right: the origin is allowed, the subprotocol is chosen. It may block, as
	// with a look into a database, and may be called by many goroutines at the
	// same time. The headers that it returns are sent with the 101 response,
	// behind those of Header.
	//
	// An error refuses the handshake. If it is, or wraps, a [*HandshakeError],
	// that says how, with a Status from 300 to 599, a Reason, which is the text of
	// the answer, and a Header: 401 with WWW-Authenticate, 403, 429 with
	// Retry-After. A Status of 0 stands for 403. Any other error is the server's
	// fault: it is answered with 500, and its text is not shown to the client. In
	// both cases [Accept] returns a [*HandshakeError] that wraps it.
	//
	// Admit can tell the connection's handler what it has found out by a value in
	// the request's context, *r = *r.WithContext(ctx), where [Conn.Request] and
	// [Conn.Context] have it; see there for how long.
	Admit func(r *http.Request) (http.Header, error)

	// ForgetRequest makes the connection let go of the request it came from,
	// for servers with very many connections: [Conn.Request] returns nil, and
	// [Conn.Context] has none of the request's values. It saves about 1 KB per
	// connection, and more where requests have many headers. With an
	// [EventHandler] it is forgotten when OnOpen has returned.
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

// lastOptions are those that a connection was made with most recently.
var lastOptions atomic.Pointer[Options]

// shared returns a copy of o that is shared with other connections where
// that is easily done: those of a server have all the same.
func (o Options) shared() *Options {
	if p := lastOptions.Load(); p != nil && *p == o {
		return p
	}
	p := new(Options)
	*p = o
	lastOptions.Store(p)
	return p
}

// withDefaults returns o with every zero value replaced by what it means. It
// is what a connection holds on to, so Compression is nil: that belongs to the
// user, and has done its part when the handshake is over.
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
