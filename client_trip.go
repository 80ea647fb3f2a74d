package websocket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

var errDialOver = errors.New("dial is over")

// dialSpan is the time that a dial may take: a context that has the values of
// the caller's and ends with it, or when the time is up. Unlike a derived
// context it can be let go without ending it. That matters to a RoundTripper
// which ties the connection to the context of the request.
type dialSpan struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	detach func() bool
	timer  *time.Timer // nil if there is no bound
}

func startDialSpan(parent context.Context, timeout time.Duration) *dialSpan {
	s := new(dialSpan)
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(parent))
	if parent.Err() != nil { // now, rather than when AfterFunc gets round to it
		s.cancel(endOfContext(parent))
	}
	s.detach = context.AfterFunc(parent, func() { s.cancel(endOfContext(parent)) })
	if timeout > 0 {
		s.timer = time.AfterFunc(timeout, func() {
			s.cancel(fmt.Errorf("handshake took longer than %v: %w", timeout, context.DeadlineExceeded))
		})
	}
	return s
}

// endOfContext returns why ctx has ended, such that errors.Is finds both its
// Err and its Cause.
func endOfContext(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// release lets go of the caller's context and of the clock. It reports false
// if either was faster; ctx has ended then.
func (s *dialSpan) release() bool {
	ok := s.detach()
	if s.timer != nil {
		ok = s.timer.Stop() && ok
	}
	if !ok {
		<-s.ctx.Done() // the one that was faster may be about to cancel
	}
	return ok
}

// end stops whatever still runs on behalf of the dial. It may be called more
// than once.
func (s *dialSpan) end() {
	s.cancel(errDialOver)
	s.detach()
	if s.timer != nil {
		s.timer.Stop()
	}
}

// dialTripper sends the requests of one dial, and knows which of them is
// under way and which connection serves it.
type dialTripper struct {
	base http.RoundTripper
	own  *dialTransport // base, if that is our clone of an http.Transport; or nil
	hop  *dialHop       // of the last request, nil before; for the goroutine that dials

	spelling headerSpelling
}

// dialHop is one request of the chain.
type dialHop struct {
	request *http.Request

	own *dialTransport // as in dialTripper

	mu     sync.Mutex  // a RoundTripper may call hooks from anywhere, at any time
	conn   net.Conn    // guarded by mu: the last that net/http took for the request
	answer *answerConn // guarded by mu: the last of own's; nil until there is one
}

func newDialTripper(ctx context.Context, rt http.RoundTripper, target dialTarget) (*dialTripper, error) {
	if rt == nil {
		rt = http.DefaultTransport
	}
	if t, ok := rt.(*http.Transport); ok {
		own := newDialTransport(ctx, t, target)
		return &dialTripper{base: own.http, own: own}, nil
	}
	if target.socket != "" {
		return nil, fmt.Errorf("a Unix domain socket needs a Transport that is an *http.Transport, not %T", rt)
	}
	return &dialTripper{base: rt}, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *dialTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	hop := &dialHop{request: req, own: t.own}
	t.hop = hop
	// The hooks of a trace that the caller has put into the context go on
	// being called.
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: hop.gotConn})
	if t.own != nil {
		route, err := t.own.route(req)
		if err != nil {
			return nil, err
		}
		ctx = context.WithValue(ctx, dialRouteKey{}, route)
	}
	out := req.WithContext(ctx)
	out.Header = t.spelling.apply(req.Header)
	resp, err := t.base.RoundTrip(out)
	if _, answer := hop.taken(); err == nil && answer != nil && req.URL.Scheme == "https" {
		state := tlsState(answer.Conn) // net/http does not know what it runs on
		resp.TLS = &state
	}
	return resp, err
}

func (h *dialHop) gotConn(info httptrace.GotConnInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conn = info.Conn
	// A dialer of the user's may make requests on the way, under the same
	// trace: to a proxy, say.
	if answer, ok := info.Conn.(*answerConn); ok && h.own != nil && answer.owner == h.own {
		h.answer = answer
	}
}

// taken returns what gotConn has seen.
func (h *dialHop) taken() (net.Conn, *answerConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conn, h.answer
}

// finish closes everything that the dial has opened and not closed yet, but
// for the connection that is the success.
func (t *dialTripper) finish(success bool) {
	if t.own != nil {
		t.own.finish(success)
	}
}
