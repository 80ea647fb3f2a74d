package websocket

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
)

// Accept looks through the wrappers that middleware puts around a ResponseWriter.

// innermost returns the ResponseWriter at which [http.ResponseController] ends
// its search through w for a Hijack method, found or not.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		if _, ok := w.(http.Hijacker); ok {
			return w
		}
		inner := unwrap(w)
		if inner == nil {
			return w
		}
		w = inner
	}
}

// unwrap returns the ResponseWriter that w wraps, or nil.
func unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}

// deepest returns the last ResponseWriter of the chain of wrappers that begins with
// w. A wrapper may have a Hijack method that only asks the one below, as echo's
// has.
func deepest(w http.ResponseWriter) http.ResponseWriter {
	for inner := unwrap(w); inner != nil; inner = unwrap(inner) {
		w = inner
	}
	return w
}

// begunBy returns the wrapper in w that reports that the response has begun, or
// nil. It asks only types that are known to report false at first.
func begunBy(w http.ResponseWriter) http.ResponseWriter {
	for ; w != nil; w = unwrap(w) {
		switch t := w.(type) {
		case interface{ Written() bool }: // gin, negroni, statusWriter
			if t.Written() {
				return w
			}
		case interface { // chi
			Status() int
			BytesWritten() int
			Tee(io.Writer)
		}:
			if t.Status() != 0 {
				return w
			}
		}
	}
	return nil
}

// embedded is unwrap that also finds a ResponseWriter which w only embeds.
func embedded(w http.ResponseWriter) http.ResponseWriter {
	if inner := unwrap(w); inner != nil {
		return inner
	}
	v := reflect.Indirect(reflect.ValueOf(w))
	if v.Kind() != reflect.Struct || v.Type().PkgPath() == "net/http" {
		return nil
	}
	f, ok := v.Type().FieldByName("ResponseWriter")
	if !ok || !f.Anonymous || len(f.Index) != 1 {
		return nil
	}
	inner, _ := v.Field(f.Index[0]).Interface().(http.ResponseWriter)
	return inner
}

// timeoutWrapper returns the wrapper in w of a middleware that bounds the time of a
// handler and can be hijacked all the same, or nil. Such a wrapper keeps headers of
// its own. Its middleware runs the handler on another goroutine and returns when
// the time is over, so the router reuses a request that the handler still has.
func timeoutWrapper(w http.ResponseWriter) http.ResponseWriter {
	for w != nil {
		inner := embedded(w)
		if inner != nil && namesTimeout(w) && reflect.ValueOf(w.Header()).Pointer() != reflect.ValueOf(inner.Header()).Pointer() {
			return w
		}
		w = inner
	}
	return nil
}

// namesTimeout reports whether the type of w or its package has timeout in its
// name.
func namesTimeout(w http.ResponseWriter) bool {
	t := reflect.Indirect(reflect.ValueOf(w)).Type()
	return strings.Contains(strings.ToLower(t.PkgPath()+"."+t.Name()), "timeout")
}

// underTimeout returns the error for w, a result of timeoutWrapper.
func underTimeout(w http.ResponseWriter) error {
	t := reflect.Indirect(reflect.ValueOf(w)).Type()
	return fmt.Errorf("%T keeps the response back, and its middleware returns while the handler still runs: take this route out of the middleware of package %s (%w)", w, t.PkgPath(), http.ErrNotSupported)
}

// ginWriter is gin's ResponseWriter, whose WriteHeader only notes the status.
type ginWriter interface {
	http.ResponseWriter
	WriteHeaderNow()
}

// sealedUnderGin returns the ResponseWriter under gin's if it cannot be hijacked,
// where gin would panic, or nil.
func sealedUnderGin(w http.ResponseWriter) http.ResponseWriter {
	if _, ok := w.(ginWriter); !ok {
		return nil
	}
	last := deepest(w)
	if _, ok := last.(http.Hijacker); ok {
		return nil
	}
	return last
}

// noHijack returns the error for w, which can neither be hijacked nor unwrapped.
func noHijack(w http.ResponseWriter) error {
	t := reflect.TypeOf(w)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "net/http" && t.Name() == "timeoutWriter" {
		return fmt.Errorf("%T has no Hijack method: it is that of http.TimeoutHandler, which echo's Timeout middleware is made of, too, and keeps the response back: take this route out of it (%w)", w, http.ErrNotSupported)
	}
	advice := "if it wraps another ResponseWriter, give it an Unwrap() http.ResponseWriter method"
	if strings.Contains(t.PkgPath(), ".") { // somebody's module
		advice = "take this route out of the middleware of package " + t.PkgPath() + "; or, if that is yours and wraps another ResponseWriter, give it an Unwrap() http.ResponseWriter method"
	}
	return fmt.Errorf("%T has no Hijack method: %s (%w)", w, advice, http.ErrNotSupported)
}

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
