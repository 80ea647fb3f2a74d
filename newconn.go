package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// ConnOptions are the settings of [NewConn]: those of the connection, and the
// result of its handshake. The zero value is a server's end without subprotocol and
// extensions.
type ConnOptions struct {
	Options

	// Client says that this is the client's end, which masks what it sends (RFC 6455,
	// section 5.3). The other end must be a server's.
	Client bool

	// Subprotocol is the subprotocol that the handshake has chosen, or "", for
	// [Conn.Subprotocol].
	Subprotocol string

	// Extensions are the extensions that the server has accepted: the value of
	// Sec-WebSocket-Extensions in its response, the same on both ends, or "". Only
	// permessage-deflate is known (RFC 7692), and if it is there, Options.Compression
	// must not be nil: WindowBits and MemoryBudget have to hold, and Level and
	// Threshold are used.
	Extensions string

	// Request is for [Conn.Request] and [Conn.Context], and may be nil. It is
	// copied: on a server without its body and the headers that only the handshake
	// needs, on both ends without the end of its context.
	Request *http.Request

	// Early holds the bytes that were read behind the handshake; the connection's first
	// frames begin with them. It is copied.
	Early []byte

	// NoDeadlines says that the deadlines of the net.Conn have no effect, though
	// SetDeadline returns nil. Where it returns an error, NewConn sees that itself.
	NoDeadlines bool
}

// NewConn makes a connection on nc, on which the opening handshake is over, or
// which needs none: a connection that a server other than net/http's has handed
// over, such as fasthttp's, a channel of SSH, one end of [net.Pipe], or a
// connection that another process has opened. A nil opts stands for the zero value.
// NewConn does no handshake; [Accept], [Loop.Serve] and [Dial] do one, and make the
// same kind of connection.
//
// nc belongs to the connection from here on, which closes it. After an error it is
// still the caller's, and untouched. The error is about options that contradict
// each other or RFC 6455, never about the peer.
//
// nc need not have deadlines. A context, [Options.WriteTimeout] and
// [Options.CloseTimeout] hold as well if its SetDeadline returns an error, as those
// of [os.ErrNoDeadline], or does nothing, and NoDeadlines says so. Each Read and
// Write of nc then runs on a goroutine of its own, so a connection that waits for
// input takes a second one. A message of up to 32 KiB that nc has begun to take
// when the context of its Write ends counts as sent. nc's Close must end a Read that
// waits. Where nc has a method CloseWrite() error, it is used for half-close.
func NewConn(nc net.Conn, opts *ConnOptions) (*Conn, error) {
	if nc == nil {
		return nil, errors.New("websocket: NewConn with a nil net.Conn")
	}
	if opts == nil {
		opts = new(ConnOptions)
	}
	cfg, err := opts.config()
	if err != nil {
		return nil, err
	}
	if _, ok := nc.(*pump.Conn); opts.NoDeadlines && !ok {
		nc = pump.New(nc)
	}
	return newConn(nc, cfg), nil
}

// config checks o.
func (o *ConnOptions) config() (cfg connConfig, err error) {
	if o.Subprotocol != "" {
		if err := checkSubprotocols([]string{o.Subprotocol}); err != nil {
			return cfg, err
		}
	}
	wanted, err := o.wanted()
	if err != nil {
		return cfg, err
	}
	agreed, err := wanted.Keep(o.Extensions, o.Client)
	if err != nil {
		return cfg, fmt.Errorf("websocket: ConnOptions.Extensions: %w", err)
	}
	cfg = connConfig{
		client:    o.Client,
		opts:      o.Options.withDefaults(),
		agreement: agreement{o.Subprotocol, agreed},
		early:     bytes.Clone(o.Early),
	}
	switch {
	case o.Request == nil:
	case o.Client:
		cfg.request = o.Request.WithContext(context.WithoutCancel(o.Request.Context()))
	default:
		cfg.request = detach(o.Request, false)
	}
	return cfg, nil
}

// DeadlineListener returns ln with deadlines for connections that have none, such
// as channels of SSH. A [net/http.Server] needs it for a listener of such
// connections: without it, Hijack, and so [Accept] and [Server], would wait for
// ever, because net/http interrupts its own read by a deadline. Connections that
// have deadlines are returned as they are. Under TLS, put it below
// [crypto/tls.NewListener].
//
// [NewConn], [Loop.Serve], and [Dial] with a dialer of the user's need no such
// help.
func DeadlineListener(ln net.Listener) net.Listener { return deadlineListener{ln} }

type deadlineListener struct{ net.Listener }

func (l deadlineListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return transport.WithDeadlines(nc), nil
}

// pipeSize is how many bytes a Pipe holds in each direction before writers
// wait, as the buffers of a socket would.
const pipeSize = 64 << 10

// Pipe returns the two ends of a connection in memory, made for tests: the
// client's and the server's, with default [Options]. They speak the same
// protocol as over a network, keepalive included, and hold up to 64 KiB in
// each direction. A Pipe works inside a testing/synctest bubble.
func Pipe() (client, server *Conn) {
	a, b := bufpipe.New(pipeSize)
	opts := Options{}.withDefaults()
	return newConn(a, connConfig{client: true, opts: opts}), newConn(b, connConfig{opts: opts})
}
