package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// maxHeader bounds the headers of the responses to a dial, the proxy's
// included, unless the user's Transport has a bound of its own.
const maxHeader = 64 << 10

// transport is a clone of the user's Transport that serves one dial.
//
// This type makes the connections, with proxy and TLS, and puts each under an
// answerConn. net/http does HTTP/1.1 over them.
//
// net/http would let an abandoned dial run on, for later requests. Here there are
// no later requests, so the dial ends with ctx, and all connections are tracked, so
// that they can be closed.
type transport struct {
	http   *http.Transport
	ctx    context.Context // of the dial
	target Target
	wrap   func(net.Conn) net.Conn // of Config

	// The user's settings, which this type replaces in http.
	proxy   func(*http.Request) (*url.URL, error) // may be nil
	dial    dialFunc
	dialTLS dialFunc // may be nil

	mu       sync.Mutex
	finished bool       // guarded by mu
	conns    []net.Conn // guarded by mu: all dialled connections
}

func newTransport(ctx context.Context, user *http.Transport, target Target, wrap func(net.Conn) net.Conn) *transport {
	clone := user.Clone()
	t := &transport{http: clone, ctx: ctx, target: target, wrap: wrap, proxy: clone.Proxy}

	clone.Protocols = new(http.Protocols)
	clone.Protocols.SetHTTP1(true)
	clone.ForceAttemptHTTP2 = false
	clone.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	clone.DisableKeepAlives = true // no connection outlives its request, unless taken over
	clone.DisableCompression = true
	if clone.MaxResponseHeaderBytes <= 0 {
		clone.MaxResponseHeaderBytes = maxHeader
	}

	//lint:ignore SA1019 users may have set it
	dial := chooseDialer(clone.DialContext, clone.Dial)
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.dial = t.track(dial)
	//lint:ignore SA1019 users may have set it
	t.dialTLS = t.track(chooseDialer(clone.DialTLSContext, clone.DialTLS))
	//lint:ignore SA1019 users may have set them
	clone.Dial, clone.DialTLS = nil, nil
	clone.DialContext = t.dialPlain
	clone.DialTLSContext = t.dialSecure
	clone.Proxy = nil
	return t
}

// dialFunc is a dialer of an [http.Transport].
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// chooseDialer returns the dialer with a context, else the deprecated one, else nil.
func chooseDialer(dial dialFunc, deprecated func(network, addr string) (net.Conn, error)) dialFunc {
	if dial == nil && deprecated != nil {
		dial = func(_ context.Context, network, addr string) (net.Conn, error) { return deprecated(network, addr) }
	}
	if dial == nil {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if nc == nil && err == nil {
			err = errors.New("dialer of the Transport returned neither a connection nor an error")
		}
		return nc, err
	}
}

// route is the way to the server for one request. It is in the request's context,
// because net/http passes only the context to dialers.
type route struct {
	proxy  *url.URL // with a scheme: http, https, socks5 or socks5h
	socket string   // Unix domain socket
}

type routeKey struct{}

func routeOf(ctx context.Context) route {
	r, _ := ctx.Value(routeKey{}).(route)
	return r
}

// route asks the user's Proxy. An HTTP proxy gets a CONNECT for ws as it does
// for wss (section 4.1); net/http would send it a plain GET and rely on the proxy
// to pass Upgrade on.
func (t *transport) route(req *http.Request) (r route, err error) {
	if t.target.socket != "" && sameOrigin(req.URL, t.target.url) {
		r.socket = t.target.socket
		return r, nil
	}
	if t.proxy == nil {
		return r, nil
	}
	proxy, err := t.proxy(req)
	if err != nil || proxy == nil {
		return r, err
	}
	switch proxy.Scheme {
	case "http", "https", "socks5", "socks5h":
	case "":
		p := *proxy
		p.Scheme, proxy = "http", &p
	default:
		return r, fmt.Errorf("proxy %s: scheme %q is not supported", proxy.Host, proxy.Scheme)
	}
	r.proxy = proxy
	return r, nil
}

// dialPlain and dialSecure are the dialers of the clone.
func (t *transport) dialPlain(ctx context.Context, network, addr string) (net.Conn, error) {
	return t.connect(ctx, network, addr, false)
}

func (t *transport) dialSecure(ctx context.Context, network, addr string) (net.Conn, error) {
	return t.connect(ctx, network, addr, true)
}

// connect connects to the server at addr, through its proxy and TLS.
func (t *transport) connect(ctx context.Context, network, addr string, secure bool) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(t.ctx, cancel)
	defer detach() // no cancel, since some dialers tie the connection to the context
	var (
		nc  net.Conn
		err error
	)
	switch r := routeOf(ctx); {
	case r.socket != "":
		nc, err = t.dial(ctx, "unix", r.socket)
	case r.proxy != nil:
		nc, err = t.dialTunnel(ctx, r.proxy, addr)
	case secure && t.dialTLS != nil:
		nc, err = t.dialUserTLS(ctx, network, addr)
		secure = false
	default:
		nc, err = t.dial(ctx, network, addr)
	}
	if err == nil && secure {
		nc, err = t.startServerTLS(ctx, nc, addr)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &answerConn{Conn: nc, owner: t, limit: int(min(t.http.MaxResponseHeaderBytes, 1<<30))}, nil
}

// track returns a dialer that tracks the connections of dial, or nil if dial is nil.
func (t *transport) track(dial dialFunc) dialFunc {
	if dial == nil {
		return nil
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.finished || t.ctx.Err() != nil {
			nc.Close()
			return nil, context.Cause(t.ctx)
		}
		t.conns = append(t.conns, nc)
		return nc, nil
	}
}

// finish ends the tracking, and closes the connections that are left. A connection
// that is still being dialled is closed when it is made. After a success none is
// left: net/http has closed the connections of redirects, and the last one has a
// new owner.
func (t *transport) finish(success bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	if !success {
		for _, nc := range t.conns {
			nc.Close()
		}
	}
	t.conns = nil
}
