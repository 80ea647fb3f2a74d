package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// expectUnavailable checks what a server says that has been stopped.
func expectUnavailable(t *testing.T, addr string) {
	t.Helper()
	resp, body := wstest.Exchange(t, addr, wstest.NewRequest().String())
	if resp.StatusCode != 503 || body != "the server is shutting down\n" || resp.Header.Get("Connection") != "close" {
		t.Errorf("status %d, body %q, Connection: %q, want a 503", resp.StatusCode, body, resp.Header.Get("Connection"))
	}
}

func TestServerShutdown(t *testing.T) {
	started, ended, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := &websocket.Server{Handler: func(c *websocket.Conn) {
		close(started)
		<-c.Context().Done()
		close(ended)
		<-release
	}}
	addr := wstest.ServeHTTP(t, s)
	p := wstest.DialClient(t, addr)
	wstest.Receive(t, started)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	p.UntilEnd()
	wstest.Receive(t, ended)
	expectUnavailable(t, addr)
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v before the handler did", err)
	default:
	}
	close(release)
	if err := wstest.Receive(t, done); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close after Shutdown: %v", err)
	}
	expectUnavailable(t, addr)
}

// Everybody gets to know before anybody has answered, also those whose
// handlers are busy elsewhere.
func TestServerShutdownTellsAllAtOnce(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 5)
	s := &websocket.Server{Handler: func(*websocket.Conn) { started <- struct{}{}; <-release }}
	addr := wstest.ServeHTTP(t, s)
	var peers []*wstest.Client
	for range cap(started) {
		peers = append(peers, wstest.DialClient(t, addr))
		wstest.Receive(t, started)
	}
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	for _, p := range peers {
		if code := websocket.StatusCode(p.ReadClose()); code != websocket.StatusGoingAway {
			t.Errorf("close code %d, want 1001", code)
		}
	}
	for _, p := range peers {
		p.ReplyClose(uint16(websocket.StatusGoingAway))
	}
	close(release)
	if err := wstest.Receive(t, done); err != nil {
		t.Error(err)
	}
}

func TestServerShutdownCuts(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &websocket.Server{
		AcceptOptions: websocket.AcceptOptions{Options: websocket.Options{CloseTimeout: time.Hour}},
		Handler:       func(*websocket.Conn) { close(started); <-release },
	}
	p := wstest.DialClient(t, wstest.ServeHTTP(t, s))
	wstest.Receive(t, started)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	p.ReadClose() // 1001, which is not answered
	cancel()
	if err := wstest.Receive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v, want context.Canceled", err)
	}
	if code := websocket.StatusCode(p.ReadClose()); code != 0 {
		t.Errorf("close code %d, want the end", code)
	}
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) { // the handler is still there
		t.Errorf("Shutdown returned %v, want context.Canceled", err)
	}
	close(release)
	wstest.MustShutdown(t, s)
	if err := s.Shutdown(ctx); err != nil { // nothing left to wait for
		t.Errorf("Shutdown of a drained server returned %v", err)
	}
}

func TestServerClose(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &websocket.Server{Handler: func(*websocket.Conn) { close(started); <-release }}
	addr := wstest.ServeHTTP(t, s)
	p := wstest.DialClient(t, addr)
	wstest.Receive(t, started)
	for range 2 {
		if err := s.Close(); err != nil { // does not wait for the handler
			t.Error(err)
		}
	}
	if code := websocket.StatusCode(p.ReadClose()); code != 0 {
		t.Errorf("close code %d, want the end without one", code)
	}
	expectUnavailable(t, addr)
	close(release)
	wstest.MustShutdown(t, s)
}

// A panic in the user's function is net/http's to report; it must not leave a
// handshake behind that Shutdown waits for.
func TestServerCheckOriginPanics(t *testing.T) {
	s := &websocket.Server{
		AcceptOptions: websocket.AcceptOptions{CheckOrigin: func(*http.Request) bool { panic(http.ErrAbortHandler) }},
		Handler:       func(*websocket.Conn) {},
	}
	nc, err := net.Dial("tcp", wstest.ServeHTTP(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, wstest.NewRequest().Add("Origin: http://a").String()); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(nc); err != nil || len(answer) > 0 {
		t.Errorf("answer %q, %v", answer, err)
	}
	wstest.MustShutdown(t, s)
}

func TestServerZeroValue(t *testing.T) {
	var s, s2 websocket.Server
	wstest.MustShutdown(t, &s)
	if err := s2.Close(); err != nil {
		t.Error(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // a select picks at random
		if err := s2.Shutdown(canceled); err != nil {
			t.Fatalf("nothing to wait for, and Shutdown returns %v", err)
		}
	}
}

// Stops from all sides while clients come in: nothing hangs, nothing leaks,
// and whoever got in is sent away.
func TestServerConcurrentStops(t *testing.T) {
	for range 5 {
		s := &websocket.Server{Handler: func(c *websocket.Conn) { <-c.Context().Done() }}
		addr := wstest.ServeHTTP(t, s)
		var wg sync.WaitGroup
		in := make(chan struct{}, 8)
		for range cap(in) {
			wg.Go(func() {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(10 * time.Second))
				io.WriteString(nc, wstest.NewRequest().String())
				p := &wstest.Client{T: t, Conn: nc, R: bufio.NewReader(nc)}
				resp, err := http.ReadResponse(p.R, nil)
				in <- struct{}{}
				if err != nil { // cut before the response was read
					return
				}
				switch resp.StatusCode {
				case 101:
					if p.ReadClose() != 0 {
						nc.Write(wstest.CloseFrame(websocket.StatusGoingAway))
						io.Copy(io.Discard, p.R)
					}
				case 503:
				default:
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		wstest.Receive(t, in)
		for i := range 6 {
			wg.Go(func() {
				if i == 5 {
					s.Close()
				}
				wstest.MustShutdown(t, s)
			})
		}
		wg.Wait()
	}
}

// The recipe in the documentation of Server.
func TestServerWithHTTPServer(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		close(started)
		<-c.Context().Done()
		close(ended)
	}}
	web := &http.Server{Handler: ws}
	web.RegisterOnShutdown(func() { ws.Shutdown(context.Background()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	p := wstest.DialClient(t, l.Addr().String())
	wstest.Receive(t, started)
	done := make(chan error, 1)
	go func() { done <- errors.Join(web.Shutdown(t.Context()), ws.Shutdown(t.Context())) }()
	p.UntilEnd()
	if err := wstest.Receive(t, done); err != nil {
		t.Error(err)
	}
	wstest.Receive(t, ended)
	if err := wstest.Receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
