package server_test

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// The wrappers of these tests are like those of gin and chi; the real ones are in
// internal/interop/frameworks.

// likeGin notes a status, and sends it later.
type likeGin struct {
	http.ResponseWriter
	status  int
	written bool
}

func (w *likeGin) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *likeGin) Written() bool               { return w.written }

func (w *likeGin) WriteHeader(status int) {
	if !w.written {
		w.status = status
	}
}

func (w *likeGin) WriteHeaderNow() {
	if !w.written {
		w.written = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

func (w *likeGin) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	return w.ResponseWriter.Write(p)
}

func (w *likeGin) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack() // may panic, as there
}

// likeChi passes a status on.
type likeChi struct {
	http.ResponseWriter
	status int
}

func (w *likeChi) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *likeChi) Status() int                 { return w.status }
func (w *likeChi) BytesWritten() int           { return 0 }
func (w *likeChi) Tee(io.Writer)               {}

func (w *likeChi) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// likeGorilla begins with the status 200, and tells nobody.
type likeGorilla struct {
	http.ResponseWriter
	status int
}

func (w *likeGorilla) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *likeGorilla) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// serveWrapped serves Accept under wrap and outer, and returns the response, what
// net/http has complained about, and what Accept has returned.
func serveWrapped(t *testing.T, outer func(http.Handler) http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter, before func(w http.ResponseWriter)) (*http.Response, string, error) {
	t.Helper()
	outcomes := make(chan error, 1)
	h := outer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w = wrap(w)
		if before != nil {
			before(w)
		}
		c, err := websocket.Accept(w, r, nil)
		if err == nil {
			c.CloseNow()
		}
		outcomes <- err
	}))
	srv := httptest.NewUnstartedServer(h)
	complaints := new(wstest.Log)
	srv.Config.ErrorLog = log.New(complaints, "", 0)
	srv.Start()
	resp, _ := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().Set("Connection: Upgrade, close").String())
	err := wstest.Receive(t, outcomes)
	srv.Close()
	return resp, complaints.String(), err
}

func plain(h http.Handler) http.Handler { return h }

// TestAcceptShowsStatus: the wrappers see 101, and net/http does not.
func TestAcceptShowsStatus(t *testing.T) {
	gin, chi, gorilla := new(likeGin), new(likeChi), new(likeGorilla)
	var inner interface{ Unwrap() http.ResponseWriter }
	for _, test := range []struct {
		name  string
		outer func(http.Handler) http.Handler
		wrap  func(http.ResponseWriter) http.ResponseWriter
		seen  func() int
		want  int
	}{
		{"gin by itself", plain, func(w http.ResponseWriter) http.ResponseWriter {
			*gin = likeGin{ResponseWriter: w, status: 200}
			return gin
		}, func() int { return gin.status }, 101},
		{"gin", websocket.ShowStatus, func(w http.ResponseWriter) http.ResponseWriter {
			*gin = likeGin{ResponseWriter: w, status: 200}
			return gin
		}, func() int { return gin.status }, 101},
		{"chi by itself", plain, func(w http.ResponseWriter) http.ResponseWriter {
			*chi = likeChi{ResponseWriter: w}
			return chi
		}, func() int { return chi.status }, 0},
		{"chi", websocket.ShowStatus, func(w http.ResponseWriter) http.ResponseWriter {
			*chi = likeChi{ResponseWriter: w}
			return chi
		}, func() int { return chi.status }, 101},
		{"two", websocket.ShowStatus, func(w http.ResponseWriter) http.ResponseWriter {
			*gorilla = likeGorilla{ResponseWriter: w, status: 200}
			*chi = likeChi{ResponseWriter: gorilla}
			return chi
		}, func() int { return gorilla.status }, 101},
		{"nothing kept", websocket.ShowStatus, func(w http.ResponseWriter) http.ResponseWriter {
			inner = w.(interface{ Unwrap() http.ResponseWriter })
			return w
		}, func() int {
			if inner.Unwrap() != nil {
				return 0
			}
			return 101
		}, 101},
	} {
		resp, complaints, err := serveWrapped(t, test.outer, test.wrap, nil)
		if err != nil || resp.StatusCode != 101 || test.seen() != test.want || complaints != "" {
			t.Errorf("%s: answered %d, seen %d, want %d; %v; net/http says %q", test.name, resp.StatusCode, test.seen(), test.want, err, complaints)
		}
	}
}

// TestAcceptTooLate: Accept cannot take back a response that has begun. Where a
// wrapper tells, it says so, and adds nothing to it.
func TestAcceptTooLate(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"gin":  func(w http.ResponseWriter) http.ResponseWriter { return &likeGin{ResponseWriter: w, status: 200} },
		"chi":  func(w http.ResponseWriter) http.ResponseWriter { return &likeChi{ResponseWriter: w} },
		"ours": func(w http.ResponseWriter) http.ResponseWriter { return w },
		"ours below": func(w http.ResponseWriter) http.ResponseWriter {
			return &likeGorilla{ResponseWriter: w, status: 200}
		},
	} {
		outer := plain
		if strings.HasPrefix(name, "ours") {
			outer = websocket.ShowStatus
		}
		for way, begin := range map[string]func(http.ResponseWriter){
			"WriteHeader": func(w http.ResponseWriter) {
				w.WriteHeader(202)
				if g, ok := w.(*likeGin); ok {
					g.WriteHeaderNow()
				}
			},
			"Flush": func(w http.ResponseWriter) {
				if name != "ours" && name != "ours below" {
					w.WriteHeader(202)
					if g, ok := w.(*likeGin); ok {
						g.WriteHeaderNow()
					}
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			},
		} {
			resp, complaints, err := serveWrapped(t, outer, wrap, begin)
			var e *websocket.HandshakeError
			if !errors.As(err, &e) || e.Status != 500 || !strings.Contains(err.Error(), "has begun a response") {
				t.Errorf("%s, %s: %v", name, way, err)
			}
			if resp.StatusCode/100 != 2 || complaints != "" {
				t.Errorf("%s, %s: status %d, net/http says %q", name, way, resp.StatusCode, complaints)
			}
		}
	}
}

// TestAcceptSealed: gin panics where what it wraps cannot be hijacked.
func TestAcceptSealed(t *testing.T) {
	w := &likeGin{ResponseWriter: httptest.NewRecorder(), status: 200}
	_, err := websocket.Accept(w, wstest.SampleRequest(), nil)
	if !errors.Is(err, http.ErrNotSupported) || !strings.Contains(err.Error(), "*httptest.ResponseRecorder has no Hijack method") {
		t.Errorf("%v", err)
	}
	if w.status != 500 {
		t.Errorf("status %d, want 500", w.status)
	}
}

// TestShowStatusPasses: for requests that stay with HTTP, ShowStatus changes
// nothing.
func TestShowStatusPasses(t *testing.T) {
	srv := httptest.NewServer(websocket.ShowStatus(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok != websocket.IsUpgrade(r) {
			t.Errorf("wrapped: %v", ok)
		}
		w.WriteHeader(http.StatusTeapot)
		io.Copy(w, strings.NewReader("one "))
		io.WriteString(w, "two ")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "three")
	})))
	defer srv.Close()
	for _, connection := range []string{"close", "Upgrade, close"} {
		resp, body := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().Set("Connection: "+connection).String())
		if resp.StatusCode != http.StatusTeapot || body != "one two three" {
			t.Errorf("%s: status %d, body %q", connection, resp.StatusCode, body)
		}
	}
}

func TestIsUpgrade(t *testing.T) {
	if !websocket.IsUpgrade(wstest.SampleRequest()) {
		t.Error("a handshake is not recognized")
	}
	for name, edit := range map[string]func(*http.Request){
		"no Connection": func(r *http.Request) { r.Header.Del("Connection") },
		"keep-alive":    func(r *http.Request) { r.Header.Set("Connection", "keep-alive") },
		"no Upgrade":    func(r *http.Request) { r.Header.Del("Upgrade") },
		"h2c":           func(r *http.Request) { r.Header.Set("Upgrade", "h2c") },
		"POST":          func(r *http.Request) { r.Method = "POST" },
	} {
		r := wstest.SampleRequest()
		edit(r)
		if websocket.IsUpgrade(r) {
			t.Errorf("%s: IsUpgrade", name)
		}
	}
	r := wstest.SampleRequest()
	r.Header["Connection"], r.Header["Upgrade"] = []string{"keep-alive", "x, UPGRADE"}, []string{"WebSocket"}
	if !websocket.IsUpgrade(r) {
		t.Error("lists and cases are not recognized")
	}
}

func TestSubprotocols(t *testing.T) {
	r := wstest.SampleRequest()
	if got := websocket.Subprotocols(r); got != nil {
		t.Errorf("%q without a header", got)
	}
	r.Header["Sec-Websocket-Protocol"] = []string{"v2.chat,v1.chat", " ,V1.chat"}
	if got := strings.Join(websocket.Subprotocols(r), "|"); got != "v2.chat|v1.chat|V1.chat" {
		t.Errorf("%q", got)
	}
}

// gzipLike embeds what it wraps.
type gzipLike struct{ http.ResponseWriter }

func (w gzipLike) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// timeoutLike keeps headers of its own unless it is told to share them.
type timeoutLike struct {
	http.ResponseWriter
	own http.Header
}

func (w *timeoutLike) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

func (w *timeoutLike) Header() http.Header {
	if w.own == nil {
		return w.ResponseWriter.Header()
	}
	return w.own
}

// bufferLike keeps headers of its own, and has nothing to do with time.
type bufferLike struct {
	http.ResponseWriter
	own http.Header
}

func (w *bufferLike) Header() http.Header { return w.own }
func (w *bufferLike) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// TestAcceptUnderTimeout: what is refused is a wrapper that is called after a timeout
// and keeps the response back, wherever it is, and no other.
func TestAcceptUnderTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		wrap    func(w http.ResponseWriter) http.ResponseWriter
		refused bool
	}{
		"timeout": {func(w http.ResponseWriter) http.ResponseWriter { return &timeoutLike{w, http.Header{}} }, true},
		"timeout under one that embeds": {func(w http.ResponseWriter) http.ResponseWriter {
			return gzipLike{&timeoutLike{w, http.Header{}}}
		}, true},
		"timeout under one that unwraps": {func(w http.ResponseWriter) http.ResponseWriter {
			return &likeGorilla{ResponseWriter: &timeoutLike{w, http.Header{}}}
		}, true},
		"timeout around another": {func(w http.ResponseWriter) http.ResponseWriter {
			return &timeoutLike{gzipLike{w}, http.Header{}}
		}, true},
		"timeout that shares the headers": {func(w http.ResponseWriter) http.ResponseWriter { return &timeoutLike{w, nil} }, false},
		"headers apart, no timeout":       {func(w http.ResponseWriter) http.ResponseWriter { return &bufferLike{w, http.Header{}} }, false},
	} {
		resp, _, err := serveWrapped(t, plain, test.wrap, nil)
		if !test.refused {
			if err != nil || resp.StatusCode != 101 {
				t.Errorf("%s: status %d, %v", name, resp.StatusCode, err)
			}
			continue
		}
		if !errors.Is(err, http.ErrNotSupported) || !strings.Contains(err.Error(), "*server_test.timeoutLike keeps the response back") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
