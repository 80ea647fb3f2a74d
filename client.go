package websocket

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket/internal/extension"
)

// defaultHandshakeTimeout is what a HandshakeTimeout of zero means.
const defaultHandshakeTimeout = 30 * time.Second

// Dial connects to a WebSocket server (RFC 6455, section 4.1). The URL's
// scheme is ws or wss, or http or https for the same. Over a Unix domain
// socket it is
//
//	ws+unix:///path/to.sock:/request/path?query
//
// with %3A for a colon in the socket's path. User and password in a URL are
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
// those of the handshake as RFC 6455 spells them. What cannot be in a query is
// escaped as browsers do.
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
// On success the response is the server's 101, with an empty Body. Where the
// server has answered something else, the error wraps a [*HandshakeError] and
// the response comes with up to 4 KiB of its body. So does a redirect that was
// not followed; that error wraps what CheckRedirect has said. In all other
// cases the response is nil. The error wraps a HandshakeError, too, if an HTTP
// proxy has refused CONNECT, with the proxy's status, and if the server or
// proxy has closed the connection without an answer or does not speak HTTP/1.1,
// with a status of 0. The response's Body never needs closing. The caller owns the
// connection and must end it with [Conn.Close] or [Conn.CloseNow].
func Dial(ctx context.Context, url string, opts *DialOptions) (*Conn, *http.Response, error) {
	nc, cfg, resp, err := dialHandshake(ctx, url, opts)
	if err != nil {
		return nil, resp, err
	}
	return newConn(nc, cfg), resp, nil
}

// dialHandshake is Dial up to the point where the bytes are frames.
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
	nc, resp, err := hs.run()
	if err == nil && !hs.span.release() {
		nc.Close()
		resp, err = nil, hs.failed(nil)
	}
	if err != nil {
		hs.span.end()
	}
	hs.trip.finish(err == nil)
	if resp != nil {
		// The request as it was sent, but not the machinery around it: the
		// context of the handshake, and the response that led here by a
		// redirect, which holds a dead connection's buffers.
		resp.Request = hs.trip.hop.request.WithContext(context.WithoutCancel(ctx))
		resp.Request.Response = nil
	}
	if err != nil {
		return nil, connConfig{}, resp, err
	}
	return nc, connConfig{
		client:      true,
		opts:        opts.Options.withDefaults(),
		subprotocol: hs.subprotocol,
		compression: hs.compression,
		request:     resp.Request,
		early:       hs.early,
	}, resp, nil
}

// dialTimeout is the shorter of the two bounds; 0 stands for none.
func dialTimeout(opts *DialOptions, client *http.Client) time.Duration {
	d := opts.HandshakeTimeout
	if d == 0 {
		d = defaultHandshakeTimeout
	}
	if client.Timeout > 0 && (d < 0 || client.Timeout < d) {
		d = client.Timeout
	}
	return max(d, 0)
}

// clientHandshake is the client's side of one opening handshake. Only the
// goroutine that runs Dial uses it.
type clientHandshake struct {
	target  dialTarget
	header  http.Header         // the user's, with canonical names and without Host; trip.spelling has the others
	host    string              // the Host header
	offered []string            // subprotocols
	deflate *extension.Offer    // nil if compression is not offered
	wanted  *CompressionOptions // a copy of the user's, or nil
	client  *http.Client
	span    *dialSpan
	trip    *dialTripper

	key         string // Sec-WebSocket-Key of the request under way
	redirectErr error  // why a redirect was not followed
	subprotocol string // what the server chose
	compression *compression
	early       []byte // what came behind the response
}

// newClientHandshake checks everything that can be wrong before a network is
// involved.
func newClientHandshake(ctx context.Context, rawURL string, opts *DialOptions) (*clientHandshake, error) {
	target, err := parseDialURL(rawURL)
	if err != nil {
		return nil, err
	}
	if err := checkHeader(opts.Header); err != nil {
		return nil, err
	}
	if err := checkSubprotocols(opts.Subprotocols); err != nil {
		return nil, err
	}
	if err := opts.Compression.check(); err != nil {
		return nil, err
	}
	hs := &clientHandshake{
		target:  target,
		header:  make(http.Header),
		offered: slices.Clone(opts.Subprotocols),
		deflate: extension.NewOffer(opts.Compression.params()),
		client:  opts.HTTPClient,
	}
	if opts.Compression != nil {
		wanted := *opts.Compression
		hs.wanted = &wanted
	}
	for i, name := range hs.offered { // "MUST all be unique strings"
		if slices.Contains(hs.offered[:i], name) {
			return nil, fmt.Errorf("websocket: subprotocol %q is offered twice", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(opts.Header)) {
		values := opts.Header[name]
		name = textproto.CanonicalMIMEHeaderKey(name)
		if name != "Host" {
			hs.header[name] = append(hs.header[name], values...)
			continue
		}
		if len(values) != 1 || values[0] == "" || hs.host != "" {
			return nil, errors.New("websocket: header Host must have one value")
		}
		hs.host = values[0]
		if err := checkHostHeader(hs.host); err != nil {
			return nil, err
		}
	}
	if hs.host == "" {
		hs.host = target.url.Host
	}
	if hs.client == nil {
		hs.client = http.DefaultClient
	}
	hs.span = startDialSpan(ctx, dialTimeout(opts, hs.client))
	if hs.trip, err = newDialTripper(hs.span.ctx, hs.client.Transport, target); err != nil {
		hs.span.end()
		return nil, hs.wrap(err)
	}
	hs.trip.spelling = newHeaderSpelling(opts.Header)
	return hs, nil
}

// run sends the request and follows it to a connection, or to the response
// that the server gave instead.
func (hs *clientHandshake) run() (net.Conn, *http.Response, error) {
	u := *hs.target.url // CheckRedirect gets to see the request, and may change it
	req := (&http.Request{
		Method:     http.MethodGet,
		URL:        &u,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     hs.header,
		Host:       hs.host,
	}).WithContext(hs.span.ctx)
	hs.sign(req)
	if hs.span.ctx.Err() != nil {
		return nil, nil, hs.failed(nil)
	}

	client := *hs.client
	client.Timeout = 0 // the span keeps the time, and lets the connection live on
	client.CheckRedirect = hs.redirect
	client.Transport = hs.trip
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, hs.failed(err)
	}
	if err := hs.checkResponse(resp); err != nil {
		return nil, resp, err
	}
	nc, early, err := hs.trip.takeOver(resp)
	if err != nil {
		resp.Body.Close()
		return nil, nil, hs.failed(err)
	}
	hs.early = early
	resp.Body = http.NoBody
	return nc, resp, nil
}

// sign sets the headers of the handshake. The key "MUST be selected randomly
// for each connection", so each request of a chain of redirects gets its own.
func (hs *clientHandshake) sign(req *http.Request) {
	var nonce [16]byte
	rand.Read(nonce[:]) // it never fails
	hs.key = base64.StdEncoding.EncodeToString(nonce[:])
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Sec-WebSocket-Key", hs.key)
	req.Header.Set("Sec-WebSocket-Version", "13")
	if len(hs.offered) > 0 {
		req.Header.Set("Sec-WebSocket-Protocol", strings.Join(hs.offered, ", "))
	}
	if hs.deflate != nil {
		req.Header.Set("Sec-WebSocket-Extensions", hs.deflate.String())
	}
}

// failed makes Dial's error of what went wrong on the way. If the time was up
// that is the error: what the network made of it is no news.
func (hs *clientHandshake) failed(err error) error {
	if ue, ok := err.(*url.Error); ok {
		err = ue.Err // the URL in it may hold a user and, in its query, a token
	}
	if cause := context.Cause(hs.span.ctx); cause != nil && !errors.Is(err, cause) {
		err = cause
	} else if hs.trip.hop != nil && cause == nil {
		err = hs.trip.hop.explain(err)
	}
	return hs.wrap(err)
}

func (hs *clientHandshake) wrap(err error) error {
	return fmt.Errorf("websocket: dial %s: %w", hs.target.shown, err)
}
