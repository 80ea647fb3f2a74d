package websocket

import (
	"net/http"
	"sync/atomic"
)

// settled is what the handshake has left behind. It is not changed.
type settled struct {
	subprotocol string
	request     *http.Request
	deflate     *deflate
}

// unsettled is what a connection has for which there is nothing to know.
var unsettled settled

// lastSettled is what a connection has got most recently, if it can be shared.
var lastSettled atomic.Pointer[settled]

// shared returns s or its equal that other connections have, too: those of a
// server that forgets requests, and keeps no windows. It is nil if s is empty.
func (s *settled) shared() *settled {
	switch {
	case *s == unsettled:
		return nil
	case s.request != nil || !s.deflate.stateless():
		return s
	}
	if last := lastSettled.Load(); last != nil && *last == *s {
		return last
	}
	lastSettled.Store(s)
	return s
}

// agreed returns what the handshake has settled.
func (c *Conn) agreed() *settled {
	if s := c.settled.Load(); s != nil {
		return s
	}
	return &unsettled
}

// forgetRequest lets go of the request.
func (c *Conn) forgetRequest() {
	s := *c.agreed()
	s.request = nil
	c.settled.Store(s.shared())
}
