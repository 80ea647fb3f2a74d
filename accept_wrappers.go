package websocket

import (
	"fmt"
	"io"
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
