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
	extensions  *extensions
}

// nothingNegotiated is the result for connections without one of their own.
var nothingNegotiated negotiated

// lastNegotiated is the most recent result that can be shared.
var lastNegotiated atomic.Pointer[negotiated]

// shared returns s, or an equal value that other connections have too, or nil if s
// is empty. Connections share it if they keep neither a request nor a window.
func (s *negotiated) shared() *negotiated {
	switch {
	case *s == nothingNegotiated:
		return nil
	case s.request != nil || !s.extensions.stateless():
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

// forgetRequest drops the request.
func (c *Conn) forgetRequest() { c.replaceRequest(nil) }

// forgetValues drops the values of the request's context. A router may reuse them
// for another request as soon as this one is served.
func (c *Conn) forgetValues() {
	if r := c.Request(); r != nil {
		c.replaceRequest(withoutValues(r))
	}
}

// replaceRequest makes r the request, and removes the values of the one before from
// the context that Context has returned.
func (c *Conn) replaceRequest(r *http.Request) {
	s := *c.negotiated()
	s.request = r
	c.negotiation.Store(s.shared())
	c.life.mu.Lock() // Context reads the request under this lock
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

// requestValues is a context with the values of a request's context, until these
// are dropped. It never ends.
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

// detach returns the request for [Conn.Request]. It has the values of r's context,
// but not its cancellation, which comes as soon as the HTTP handler returns; not
// r's body, which refers to net/http's buffers; and not the headers of the
// handshake, which are no longer needed.
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
