package websocket

import (
	"context"
	"net/http"
	"sync/atomic"
)

// negotiated is the result of the handshake that a connection keeps. It is not
// changed; replaceRequest makes another one.
type negotiated struct {
	subprotocol string
	request     *http.Request
	deflate     *deflate
}

// nothingNegotiated is what a connection has for which there is nothing to know.
var nothingNegotiated negotiated

// lastNegotiated is what a connection has got most recently, if it can be shared.
var lastNegotiated atomic.Pointer[negotiated]

// shared returns s or its equal that other connections have, too: those of a
// server that forgets requests, and keeps no windows. It is nil if s is empty.
func (s *negotiated) shared() *negotiated {
	switch {
	case *s == nothingNegotiated:
		return nil
	case s.request != nil || !s.deflate.stateless():
		return s
	}
	if last := lastNegotiated.Load(); last != nil && *last == *s {
		return last
	}
	lastNegotiated.Store(s)
	return s
}

// negotiated returns the result of the handshake, which may be empty.
func (c *Conn) negotiated() *negotiated {
	if s := c.negotiation.Load(); s != nil {
		return s
	}
	return &nothingNegotiated
}

// forgetRequest lets go of the request.
func (c *Conn) forgetRequest() { c.replaceRequest(nil) }

// forgetValues lets go of what belongs to the request's context. A router may use
// that again for another request as soon as this one is served.
func (c *Conn) forgetValues() {
	if r := c.Request(); r != nil {
		c.replaceRequest(withoutValues(r))
	}
}

// replaceRequest makes r the request, and takes the values of the one before out
// of the contexts that Context has returned.
func (c *Conn) replaceRequest(r *http.Request) {
	s := *c.negotiated()
	s.request = r
	c.negotiation.Store(s.shared())
	c.life.mu.Lock() // Context has it from before it looks at the request
	defer c.life.mu.Unlock()
	if x := c.life.extra; x != nil && x.ctx != nil {
		x.ctx.values.parent.Store(nil)
	}
}

// withoutValues returns a copy of r that has no values, and shares nothing with r
// that middleware may change when r is served.
func withoutValues(r *http.Request) *http.Request {
	r = r.WithContext(context.Background())
	if r.URL != nil {
		u := *r.URL
		r.URL = &u
	}
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	return r
}

// requestValues is a context with the values of a request's, until they are let
// go. It never ends.
type requestValues struct {
	context.Context                                 // the background
	parent          atomic.Pointer[context.Context] // nil if there are no values
}

func newRequestValues(r *http.Request) *requestValues {
	v := &requestValues{Context: context.Background()}
	if r != nil {
		ctx := context.WithoutCancel(r.Context())
		v.parent.Store(&ctx)
	}
	return v
}

func (v *requestValues) Value(key any) any {
	if ctx := v.parent.Load(); ctx != nil {
		return (*ctx).Value(key)
	}
	return nil
}

// detach returns what [Conn.Request] is to return: a request with the values
// of r's context, but neither its cancellation, which comes as soon as the
// HTTP handler returns, nor r's body, which holds on to net/http's buffers,
// nor the headers of the handshake, which are of no more use.
func detach(r *http.Request, forget bool) *http.Request {
	if forget {
		return nil
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	r.Body = http.NoBody
	h := make(http.Header)
	for name, values := range r.Header {
		switch name {
		case "Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions":
		default:
			h[name] = values
		}
	}
	r.Header = h
	return r
}
