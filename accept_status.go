package websocket

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// ShowStatus is middleware with which access logs, traces and metrics show the
// status 101 for a request that has become a connection. Without it they show their
// initial value, 000, 0 or 200, because they do not see that the connection is
// taken over (only gin's show 101 by themselves). Put it around all other
// middleware:
//
//	http.ListenAndServe(addr, websocket.ShowStatus(router))
//
// The middleware inside then sees a WriteHeader(101) when [Accept] or [Server] has
// taken the connection over; ShowStatus does not pass this on, since net/http would
// complain about it. Nor does it pass on the 504 that chi's Timeout middleware
// sends when its time is over, and the end of a response that gin-contrib/gzip
// writes behind a proxy. A log of a [Server] with Handler is written when the
// connection has ended, and shows how long it has lasted. Requests for anything
// else pass unchanged.
func ShowStatus(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsUpgrade(r) {
			s := &statusWriter{inner: w, header: w.Header()}
			w, r = s, r.WithContext(context.WithValue(r.Context(), statusKey{}, s))
		}
		next.ServeHTTP(w, r)
	})
}

// statusKey is the key of the statusWriter in the request's context.
type statusKey struct{}

// statusWriter is a ResponseWriter that drops everything once its connection is
// taken over. From then on it refers to nothing of net/http's.
type statusWriter struct {
	inner   http.ResponseWriter // nil when the connection is taken over
	header  http.Header
	written bool
}

func (s *statusWriter) Header() http.Header         { return s.header }
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.inner }

// Written reports whether a response has begun.
func (s *statusWriter) Written() bool { return s.written }

func (s *statusWriter) WriteHeader(status int) {
	if s.inner == nil {
		return
	}
	s.written = s.written || status >= 200 || status == http.StatusSwitchingProtocols
	s.inner.WriteHeader(status)
}

func (s *statusWriter) Write(p []byte) (int, error) {
	if s.inner == nil {
		return 0, http.ErrHijacked
	}
	s.written = true
	return s.inner.Write(p)
}

func (s *statusWriter) ReadFrom(r io.Reader) (int64, error) {
	if s.inner == nil {
		return 0, http.ErrHijacked
	}
	s.written = true
	return io.Copy(s.inner, r)
}

func (s *statusWriter) Flush() { s.FlushError() }

// FlushError is called by [http.ResponseController].
func (s *statusWriter) FlushError() error {
	if s.inner == nil {
		return http.ErrHijacked
	}
	s.written = true
	return http.NewResponseController(s.inner).Flush()
}

func (s *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if s.inner == nil {
		return nil, nil, http.ErrHijacked
	}
	nc, buf, err := http.NewResponseController(s.inner).Hijack()
	if err == nil {
		s.inner = nil
	}
	return nc, buf, err
}

// recordStatus makes gin note the status, without sending anything. It works only
// before the connection is taken over.
func recordStatus(w http.ResponseWriter) {
	if g, ok := w.(ginWriter); ok {
		g.WriteHeader(http.StatusSwitchingProtocols)
	}
}

// showStatus reports the status to the wrappers of a connection that was taken
// over, if ShowStatus is there to stop it.
func showStatus(w http.ResponseWriter, r *http.Request) {
	if s, ok := r.Context().Value(statusKey{}).(*statusWriter); ok && s.inner == nil {
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
}
