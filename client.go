package websocket

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket/internal/dial"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/prefix"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// defaultHandshakeTimeout stands for a HandshakeTimeout of zero.
const defaultHandshakeTimeout = 30 * time.Second

// Dial connects to a WebSocket server (RFC 6455, section 4.1). The URL's
// scheme is ws or wss, or http or https for the same. Over a Unix domain
// socket it is
//
//	ws+unix:///path/to.sock:/request/path?query
//
// with %3A for a colon in the socket's path. A path that begins with a letter and
// a colon is one on a Windows drive: ws+unix:///C%3A/path/to.sock. User and password in a URL are
// sent as Basic authentication. A URL must not have a fragment. The options
// may be nil.
//
// The request is made with [DialOptions.HTTPClient], by its cookie jar,
// redirect policy and Transport, so proxies (HTTP CONNECT, also for ws URLs,
// and SOCKS5), dialers, TLS configuration and [net/http/httptrace] work as
// they do for any request. A dialer is asked for network "unix" with the
// socket's path if the URL is a ws+unix one. A Transport that is an
// [*http.Transport] is cloned, so that neither its settings nor its idle
// connections are touched; the clone speaks HTTP/1.1 only and takes at most
// 64 KiB of response headers, unless MaxResponseHeaderBytes is set. TLS offers
// the NextProtos of TLSClientConfig by ALPN, except HTTP/2 and HTTP/3. A hook
// of httptrace that is given the connection can reach the one under it by its
// method NetConn.
//
// Any other [http.RoundTripper] is used as it is, and must return a 101 response
// whose Body is an [io.ReadWriteCloser]. It gets the names of headers in their
// final spelling, so it finds the key in Header["Sec-WebSocket-Key"]. Through
// one that ends in net/http, Dial cannot connect to a server that answers with
// "Connection: close, Upgrade".
//
// Headers are sent under the names that they have in [DialOptions.Header], and
// those of the handshake as RFC 6455 spells them. Characters that a query cannot
// have are escaped as browsers do.
//
// Redirects are followed as CheckRedirect says, by default ten of them, but
// never from wss to ws. Authorization, Proxy-Authorization, Www-Authenticate
// and a Cookie of the options are not sent on once a redirect has led away
// from the first URL's scheme, host and port. Other headers are: one that
// holds a secret needs a CheckRedirect that removes it.
//
// The context, the client's Timeout and [DialOptions.HandshakeTimeout] bound
// Dial itself; when it has returned, the end of the context does not touch
// the connection. Errors match [context.Canceled] or
// [context.DeadlineExceeded] where that is why Dial failed, and show neither
// user, password nor query of the URL.
//
// On success the response is the server's 101, with an empty Body. If the server
// has answered with another status, the error wraps a [*HandshakeError] and the
// response comes with up to 4 KiB of its body. The same holds for a redirect that
// was not followed; that error also wraps the error of CheckRedirect. In all other
// cases the response is nil. The error wraps a HandshakeError, too, if an HTTP
// proxy has refused CONNECT, with the proxy's status, and if the server or proxy
// has closed the connection without an answer or does not speak HTTP/1.1, with a
// status of 0. The response's Body never needs closing. The caller owns the
// connection and must end it with [Conn.Close] or [Conn.CloseNow].
func Dial(ctx context.Context, url string, opts *DialOptions) (*Conn, *http.Response, error) {
	nc, cfg, resp, err := dialHandshake(ctx, url, opts)
	if err != nil {
		return nil, resp, err
	}
	return newConn(nc, cfg), resp, nil
}

// dialHandshake is Dial up to the end of the handshake.
func dialHandshake(ctx context.Context, rawURL string, opts *DialOptions) (net.Conn, connConfig, *http.Response, error) {
	if ctx == nil {
		return nil, connConfig{}, nil, errors.New("websocket: Dial with a nil context")
	}
	if opts == nil {
		opts = new(DialOptions)
	}
	hs, err := newClientHandshake(ctx, rawURL, opts)
	if err != nil {
		return nil, connConfig{}, nil, err
	}
	defer hs.exchange.End()
	nc, resp, err := hs.run()
	if err != nil {
		return nil, connConfig{}, resp, err
	}
	return nc, connConfig{
		client:    true,
		opts:      opts.Options.withDefaults(),
		agreement: hs.agreement,
		request:   resp.Request,
		early:     hs.early,
	}, resp, nil
}

// clientHandshake is the client's side of one opening handshake. Only the
// goroutine that runs Dial uses it.
type clientHandshake struct {
	target   dial.Target
	offered  []string // subprotocols
	wanted   extension.Wanted
	exchange *dial.Exchange

	key   string // Sec-WebSocket-Key of the last request
	early []byte // the input behind the response
	agreement
}

// newClientHandshake checks everything that can be checked before a connection is
// made.
func newClientHandshake(ctx context.Context, rawURL string, opts *DialOptions) (*clientHandshake, error) {
	target, err := dial.ParseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	if err := checkHeader(opts.Header); err != nil {
		return nil, err
	}
	if err := checkSubprotocols(opts.Subprotocols); err != nil {
		return nil, err
	}
	hs := &clientHandshake{target: target, offered: slices.Clone(opts.Subprotocols)}
	if hs.wanted, err = opts.wanted(); err != nil {
		return nil, err
	}
	for i, name := range hs.offered { // "MUST all be unique strings"
		if slices.Contains(hs.offered[:i], name) {
			return nil, fmt.Errorf("websocket: subprotocol %q is offered twice", name)
		}
	}
	hs.exchange, err = dial.New(ctx, target, dial.Config{
		Header:  opts.Header,
		Client:  opts.HTTPClient,
		Timeout: cmp.Or(opts.HandshakeTimeout, defaultHandshakeTimeout),
		Sign:    hs.sign,
		Wrap:    transport.NewPollable, // so that a Loop can watch a connection under TLS
		Unwrap:  underPollable,
	})
	if err != nil {
		return nil, fmt.Errorf("websocket: %w", err)
	}
	return hs, nil
}

// underPollable returns the connection in a pollable, or nc itself.
func underPollable(nc net.Conn) net.Conn {
	if p, ok := nc.(*transport.Pollable); ok {
		return p.Get()
	}
	return nc
}

// run sends the request and returns the connection, or the response by which the
// server has refused it.
func (hs *clientHandshake) run() (net.Conn, *http.Response, error) {
	resp, err := hs.exchange.Do()
	if err != nil {
		return nil, nil, hs.failed(err)
	}
	if err := hs.checkResponse(resp); err != nil {
		return nil, resp, err
	}
	nc, early, err := hs.exchange.TakeOver(resp)
	if err != nil {
		return nil, nil, hs.failed(err)
	}
	hs.early = early
	return nc, resp, nil
}

// sign sets the headers of the handshake. The key "MUST be selected randomly
// for each connection", so each request of a chain of redirects gets its own.
func (hs *clientHandshake) sign(h http.Header) {
	var nonce [16]byte
	rand.Read(nonce[:]) // it never fails
	hs.key = base64.StdEncoding.EncodeToString(nonce[:])
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Key", hs.key)
	h.Set("Sec-WebSocket-Version", "13")
	if len(hs.offered) > 0 {
		h.Set("Sec-WebSocket-Protocol", strings.Join(hs.offered, ", "))
	}
	if offer := hs.wanted.Offer(); offer != "" {
		h.Set("Sec-WebSocket-Extensions", offer)
	}
}

// failed returns Dial's error for err, the reason why there is no answer of the
// server or no connection.
func (hs *clientHandshake) failed(err error) error {
	if r, ok := err.(*dial.Refusal); ok {
		err = &dialRefusal{r.Text, &HandshakeError{Status: r.Status, Reason: r.Reason, Proxy: r.Proxy, err: r.Err}}
	}
	return fmt.Errorf("websocket: dial %s: %w", hs.target, prefix.Trim(err))
}
