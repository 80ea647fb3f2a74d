package server_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// recordingConn notes what is written to a connection, and under which
// deadline.
type recordingConn struct {
	net.Conn
	mu       sync.Mutex
	writes   []string
	at       []time.Time // the write deadline at each of them
	deadline struct{ read, write time.Time }
}

func (c *recordingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, string(p))
	c.at = append(c.at, c.deadline.write)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *recordingConn) SetDeadline(d time.Time) error {
	c.mu.Lock()
	c.deadline.read, c.deadline.write = d, d
	c.mu.Unlock()
	return c.Conn.SetDeadline(d)
}

func (c *recordingConn) SetReadDeadline(d time.Time) error {
	c.mu.Lock()
	c.deadline.read = d
	c.mu.Unlock()
	return c.Conn.SetReadDeadline(d)
}

func (c *recordingConn) SetWriteDeadline(d time.Time) error {
	c.mu.Lock()
	c.deadline.write = d
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(d)
}

type recordingListener struct {
	net.Listener
	conns chan *recordingConn
}

func (l recordingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &recordingConn{Conn: nc}
	l.conns <- c
	return c, nil
}

func TestAcceptOneWrite(t *testing.T) {
	accepted, release := make(chan error), make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols: []string{"chat"},
			Header:       http.Header{"X-B": {"1", "2"}, "X-A": {"3"}},
		})
		accepted <- err
		<-release
		if err == nil {
			c.CloseNow()
		}
	}))
	l := recordingListener{srv.Listener, make(chan *recordingConn, 1)}
	srv.Listener = l
	srv.Config.ReadTimeout = time.Minute
	srv.Config.WriteTimeout = time.Minute
	srv.Start()
	defer srv.Close()
	defer close(release)

	before := time.Now()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	wstest.NewClient(t, nc, wstest.NewRequest().Add("Sec-WebSocket-Protocol: chat").String())
	if err := wstest.Receive(t, accepted); err != nil {
		t.Fatal(err)
	}

	c := wstest.Receive(t, l.conns)
	c.mu.Lock()
	defer c.mu.Unlock()
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + wstest.Accept + "\r\nSec-WebSocket-Protocol: chat\r\n" +
		"X-A: 3\r\nX-B: 1\r\nX-B: 2\r\n\r\n"
	if len(c.writes) != 1 || c.writes[0] != want {
		t.Errorf("writes %q, want one: %q", c.writes, want)
	}
	if d := c.at[0].Sub(before); d <= 0 || d > responseTimeout+10*time.Second {
		t.Errorf("the response was written with a deadline of %v, want %v", d, responseTimeout)
	}
	if !c.deadline.read.IsZero() || !c.deadline.write.IsZero() {
		t.Errorf("deadlines %v and %v are left behind", c.deadline.read, c.deadline.write)
	}
}

// A peer that does not take the response costs no more than the deadline.
func TestAcceptStuckWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		defer client.Close()
		w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return server, nil, nil })
		start := time.Now()
		_, err := websocket.Accept(w, wstest.SampleRequest(), nil)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want a deadline exceeded", err)
		}
		if d := time.Since(start); d != responseTimeout {
			t.Errorf("Accept took %v, want %v", d, responseTimeout)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after the failure: %v, want a closed connection", err)
		}
		if w.Code != 200 || w.Body.Len() != 0 { // what a recorder starts with
			t.Errorf("a hijacked ResponseWriter was written to: %d %q", w.Code, w.Body)
		}
	})
}

func TestAcceptInheritedHeader(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
		h := w.Header()
		h.Set("X-Request-Id", "7")
		h["Date"] = nil
		for _, name := range []string{
			"Connection", "keep-alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Content-Length",
			"Content-Type", "content-encoding", "Content-Language", "Last-Modified", "ETag", "date",
			"Upgrade", "Sec-WebSocket-Accept", "Sec-Websocket-Protocol", "Sec-WebSocket-Extensions", http.TrailerPrefix + "X",
		} {
			h[name] = []string{"wrong"}
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Header: http.Header{"Set-Cookie": {"late=1"}, "X-Server": {"yes"}}})
		if err != nil {
			t.Error(err)
			return
		}
		if h.Get("Upgrade") != "wrong" || len(h) != 21 {
			t.Errorf("Accept changed the header of the ResponseWriter: %v", h)
		}
		c.CloseNow()
	}))
	defer srv.Close()
	resp, _ := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().String())
	want := http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {wstest.Accept},
		"Set-Cookie":   {"session=1", "theme=dark", "late=1"},
		"X-Request-Id": {"7"}, "X-Server": {"yes"},
	}
	if got, want := fmt.Sprint(resp.StatusCode, resp.Header), fmt.Sprint(101, want); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Two kinds of middleware: one knows of ResponseController, one does not.
type (
	openWrapper   struct{ http.ResponseWriter }
	closedWrapper struct{ http.ResponseWriter }
)

func (w openWrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAcceptWrapped(t *testing.T) {
	refusing := func(http.ResponseWriter) http.ResponseWriter {
		return wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, io.ErrNoProgress })
	}
	tests := []struct {
		name string
		wrap func(http.ResponseWriter) http.ResponseWriter
		text string // in the error, or "" if there is to be none
		is   error
	}{
		{name: "one with Unwrap", wrap: func(w http.ResponseWriter) http.ResponseWriter { return openWrapper{w} }},
		{name: "three with Unwrap", wrap: func(w http.ResponseWriter) http.ResponseWriter { return openWrapper{openWrapper{&openWrapper{w}}} }},
		{name: "one without", wrap: func(w http.ResponseWriter) http.ResponseWriter { return closedWrapper{w} },
			text: "server_test.closedWrapper has no Hijack method", is: http.ErrNotSupported},
		{name: "one without inside", wrap: func(w http.ResponseWriter) http.ResponseWriter { return openWrapper{&closedWrapper{w}} },
			text: "*server_test.closedWrapper has no Hijack method", is: http.ErrNotSupported},
		{name: "one without outside", wrap: func(w http.ResponseWriter) http.ResponseWriter { return closedWrapper{openWrapper{w}} },
			text: "server_test.closedWrapper has no Hijack method", is: http.ErrNotSupported},
		{name: "nothing inside", wrap: func(w http.ResponseWriter) http.ResponseWriter { return nilWrapper{w} },
			text: "server_test.nilWrapper has no Hijack method", is: http.ErrNotSupported},
		{name: "a Hijack that fails", wrap: func(w http.ResponseWriter) http.ResponseWriter { return openWrapper{refusing(w)} },
			text: "wstest.HijackWriter does not let go of the connection", is: io.ErrNoProgress},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcomes := make(chan error, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(test.wrap(w), r, nil)
				if err == nil {
					c.CloseNow()
				}
				outcomes <- err
			}))
			defer srv.Close()
			// A close of its own, for the answers that go to a recorder.
			resp, _ := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().Set("Connection: Upgrade, close").String())
			err := wstest.Receive(t, outcomes)
			if test.text == "" {
				if err != nil || resp.StatusCode != 101 {
					t.Errorf("%v, status %d", err, resp.StatusCode)
				}
				return
			}
			var fault *websocket.HandshakeError
			if !errors.As(err, &fault) || fault.Status != 500 || !strings.Contains(err.Error(), test.text) || !errors.Is(err, test.is) {
				t.Errorf("error %v, want one with %q", err, test.text)
			}
			if errors.Is(err, http.ErrNotSupported) {
				if !strings.Contains(err.Error(), "Unwrap() http.ResponseWriter") {
					t.Errorf("error %v does not advise Unwrap", err)
				}
				if resp.StatusCode != 500 || resp.Header.Get("Connection") != "close" {
					t.Errorf("status %d, Connection: %q", resp.StatusCode, resp.Header.Get("Connection"))
				}
			}
		})
	}
}

type nilWrapper struct{ http.ResponseWriter }

func (w nilWrapper) Unwrap() http.ResponseWriter { return nil }

// net/http itself has a wrapper that cannot be hijacked through.
func TestAcceptTimeoutHandler(t *testing.T) {
	outcomes := make(chan error, 1)
	srv := httptest.NewServer(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := websocket.Accept(w, r, nil)
		outcomes <- err
	}), time.Minute, ""))
	defer srv.Close()
	resp, _ := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().String())
	err := wstest.Receive(t, outcomes)
	if resp.StatusCode != 500 || !errors.Is(err, http.ErrNotSupported) {
		t.Fatalf("status %d, error %v, want a 500", resp.StatusCode, err)
	}
	for _, want := range []string{"*http.timeoutWriter", "http.TimeoutHandler", "take this route out of it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "Unwrap") {
		t.Errorf("%v: net/http's writer cannot be given a method", err)
	}
}

// A connection that somebody else has hijacked is not written to.
func TestAcceptHijacked(t *testing.T) {
	outcomes := make(chan error, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, err = websocket.Accept(w, r, nil)
		io.WriteString(nc, "HTTP/1.1 204 No Content\r\n\r\n")
		outcomes <- err
	}))
	errorLog := new(wstest.Log)
	srv.Config.ErrorLog = log.New(errorLog, "", 0)
	srv.Start()
	defer srv.Close()
	resp, _ := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().String())
	if err := wstest.Receive(t, outcomes); resp.StatusCode != 204 || !errors.Is(err, http.ErrHijacked) {
		t.Errorf("status %d, error %v, want http.ErrHijacked", resp.StatusCode, err)
	}
	if s := errorLog.String(); s != "" {
		t.Errorf("net/http complains: %s", s)
	}
}

func TestAcceptTLS(t *testing.T) {
	logger, logged := wstest.NewLog()
	srv := httptest.NewTLSServer(&websocket.Server{
		AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{Logger: logger}},
		Handler:       func(c *websocket.Conn) { c.CloseNow() },
	})
	defer srv.Close()
	for origin, ok := range map[string]bool{"https://server.example": true, "http://server.example": false} {
		nc, err := tls.Dial("tcp", srv.Listener.Addr().String(), srv.Client().Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(nc, wstest.NewRequest().Add("Origin: "+origin).String()); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		if (resp.StatusCode == 101) != ok {
			t.Errorf("origin %s: status %d, logged %q", origin, resp.StatusCode, logged)
		}
	}
}

// In HTTP/2 a refusal must not take the other streams down with it.
func TestAcceptHTTP2(t *testing.T) {
	outcomes := make(chan error, 2)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := websocket.Accept(w, r, nil)
		outcomes <- err
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	for i := range 2 {
		reused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
		})
		req, err := http.NewRequestWithContext(ctx, "GET", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != 505 || string(body) != "WebSocket over HTTP/2 is not served here, connect with HTTP/1.1\n" {
			t.Errorf("%s, status %d, body %q", resp.Proto, resp.StatusCode, body)
		}
		if reused != (i > 0) {
			t.Errorf("request %d: reused connection %v", i, reused)
		}
		var refusal *websocket.HandshakeError
		if err := wstest.Receive(t, outcomes); !errors.As(err, &refusal) || refusal.Status != 505 {
			t.Errorf("error %v, want a 505", err)
		}
	}
}
