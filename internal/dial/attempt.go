package dial

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
)

// roundTripper sends the requests of one dial, and records which request is under
// way and which connection serves it.
type roundTripper struct {
	base  http.RoundTripper
	clone *transport // base, if it is our clone of an http.Transport; or nil
	last  *attempt   // of the last request, nil before; used by the dialing goroutine only

	spelling spelling
	unwrap   func(net.Conn) net.Conn // of Config
}

// attempt is one request of the chain.
type attempt struct {
	request *http.Request

	clone *transport // as in roundTripper

	mu     sync.Mutex  // a RoundTripper may call hooks from anywhere, at any time
	conn   net.Conn    // guarded by mu: the last that net/http took for the request
	answer *answerConn // guarded by mu: the last that own has made, or nil
}

func newRoundTripper(ctx context.Context, rt http.RoundTripper, target Target, cfg Config) (roundTripper, error) {
	if rt == nil {
		rt = http.DefaultTransport
	}
	if t, ok := rt.(*http.Transport); ok {
		own := newTransport(ctx, t, target, cfg.Wrap)
		return roundTripper{base: own.http, clone: own, unwrap: cfg.Unwrap, spelling: newSpelling(cfg.Header)}, nil
	}
	if target.socket != "" {
		return roundTripper{}, fmt.Errorf("a Unix domain socket needs a Transport that is an *http.Transport, not %T", rt)
	}
	return roundTripper{base: rt, unwrap: cfg.Unwrap, spelling: newSpelling(cfg.Header)}, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	a := &attempt{request: req, clone: t.clone}
	t.last = a
	// The hooks of a trace in the caller's context are still called.
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: a.gotConn})
	if t.clone != nil {
		route, err := t.clone.route(req)
		if err != nil {
			return nil, err
		}
		ctx = context.WithValue(ctx, routeKey{}, route)
	}
	out := req.WithContext(ctx)
	out.Header = t.spelling.apply(req.Header)
	resp, err := t.base.RoundTrip(out)
	if _, answer := a.connection(); err == nil && answer != nil && req.URL.Scheme == "https" {
		state := tlsState(answer.Conn) // net/http does not see TLS under an answerConn
		resp.TLS = &state
	}
	return resp, err
}

func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conn = info.Conn
	// The user's dialer may make requests of its own under the same trace,
	// for example to a proxy.
	if answer, ok := info.Conn.(*answerConn); ok && a.clone != nil && answer.owner == a.clone {
		a.answer = answer
	}
}

// connection returns the connection and the answer that gotConn has recorded.
func (a *attempt) connection() (net.Conn, *answerConn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn, a.answer
}
