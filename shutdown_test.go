package websocket

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// expectUnavailable checks what a server says that has been stopped.
func expectUnavailable(t *testing.T, addr string) {
	t.Helper()
	resp, body := exchangeRaw(t, addr, newHandshakeRequest().String())
	if resp.StatusCode != 503 || body != "the server is shutting down\n" || resp.Header.Get("Connection") != "close" {
		t.Errorf("status %d, body %q, Connection: %q, want a 503", resp.StatusCode, body, resp.Header.Get("Connection"))
	}
}

func TestServerShutdown(t *testing.T) {
	started, ended, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	s := &Server{Handler: func(c *Conn) {
		close(started)
		<-c.ended()
		close(ended)
		<-release
	}}
	addr := serveRaw(t, s)
	p := dialRaw(t, addr)
	mustReceive(t, started)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	p.untilEnd()
	mustReceive(t, ended)
	expectUnavailable(t, addr)
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v before the handler did", err)
	default:
	}
	close(release)
	if err := mustReceive(t, done); err != nil {
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
	s := &Server{Handler: func(*Conn) { started <- struct{}{}; <-release }}
	addr := serveRaw(t, s)
	var peers []*rawPeer
	for range cap(started) {
		peers = append(peers, dialRaw(t, addr))
		mustReceive(t, started)
	}
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	for _, p := range peers {
		if code := p.readClose(); code != StatusGoingAway {
			t.Errorf("close code %d, want 1001", code)
		}
	}
	for _, p := range peers {
		p.replyClose(StatusGoingAway)
	}
	close(release)
	if err := mustReceive(t, done); err != nil {
		t.Error(err)
	}
}

func TestServerShutdownCuts(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &Server{
		AcceptOptions: AcceptOptions{Options: Options{CloseTimeout: time.Hour}},
		Handler:       func(*Conn) { close(started); <-release },
	}
	p := dialRaw(t, serveRaw(t, s))
	mustReceive(t, started)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	p.readClose() // 1001, which is not answered
	cancel()
	if err := mustReceive(t, done); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v, want context.Canceled", err)
	}
	if code := p.readClose(); code != 0 {
		t.Errorf("close code %d, want the end", code)
	}
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) { // the handler is still there
		t.Errorf("Shutdown returned %v, want context.Canceled", err)
	}
	close(release)
	mustShutdown(t, s)
	if err := s.Shutdown(ctx); err != nil { // nothing left to wait for
		t.Errorf("Shutdown of a drained server returned %v", err)
	}
}

func TestServerClose(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &Server{Handler: func(*Conn) { close(started); <-release }}
	addr := serveRaw(t, s)
	p := dialRaw(t, addr)
	mustReceive(t, started)
	for range 2 {
		if err := s.Close(); err != nil { // does not wait for the handler
			t.Error(err)
		}
	}
	if code := p.readClose(); code != 0 {
		t.Errorf("close code %d, want the end without one", code)
	}
	expectUnavailable(t, addr)
	close(release)
	mustShutdown(t, s)
}

// A stop that comes while a handshake is under way catches its connection.
func TestServerStopDuringHandshake(t *testing.T) {
	for _, phase := range []serverPhase{phaseDraining, phaseCut} {
		stopped := make(chan struct{}, 1)
		s := &Server{Handler: func(*Conn) { t.Error("Handler runs after the stop") }}
		s.CheckOrigin = func(*http.Request) bool {
			if conns := s.stop(phase); len(conns) != 0 {
				t.Errorf("%d connections are tracked", len(conns))
			}
			stopped <- struct{}{}
			return true
		}
		nc, err := net.Dial("tcp", serveRaw(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		p := newRawPeer(t, nc, newHandshakeRequest().add("Origin: http://server.example").String())
		code := p.readClose()
		if phase == phaseDraining {
			mustReceive(t, stopped)
			if s.active.Count() != 1 {
				t.Error("drained before the closing handshake is done")
			}
			if code != StatusGoingAway {
				t.Errorf("close code %d, want 1001", code)
			}
			p.replyClose(code)
		} else if code != 0 {
			t.Errorf("close code %d, want the end without one", code)
		}
		mustShutdown(t, s)
	}
}

// A panic in the user's function is net/http's to report; it must not leave a
// handshake behind that Shutdown waits for.
func TestServerCheckOriginPanics(t *testing.T) {
	s := &Server{
		AcceptOptions: AcceptOptions{CheckOrigin: func(*http.Request) bool { panic(http.ErrAbortHandler) }},
		Handler:       func(*Conn) {},
	}
	nc, err := net.Dial("tcp", serveRaw(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, newHandshakeRequest().add("Origin: http://a").String()); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(nc); err != nil || len(answer) > 0 {
		t.Errorf("answer %q, %v", answer, err)
	}
	mustShutdown(t, s)
}

func TestServerZeroValue(t *testing.T) {
	var s, s2 Server
	mustShutdown(t, &s)
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
		s := &Server{Handler: func(c *Conn) { <-c.ended() }}
		addr := serveRaw(t, s)
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
				io.WriteString(nc, newHandshakeRequest().String())
				p := &rawPeer{t: t, nc: nc, br: bufio.NewReader(nc)}
				resp, err := http.ReadResponse(p.br, nil)
				in <- struct{}{}
				if err != nil { // cut before the response was read
					return
				}
				switch resp.StatusCode {
				case 101:
					if p.readClose() != 0 {
						nc.Write(rawClose(StatusGoingAway))
						io.Copy(io.Discard, p.br)
					}
				case 503:
				default:
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		mustReceive(t, in)
		for i := range 6 {
			wg.Go(func() {
				if i == 5 {
					s.Close()
				}
				mustShutdown(t, s)
			})
		}
		wg.Wait()
	}
}

// The recipe in the documentation of Server.
func TestServerWithHTTPServer(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	ws := &Server{Handler: func(c *Conn) {
		close(started)
		<-c.ended()
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
	p := dialRaw(t, l.Addr().String())
	mustReceive(t, started)
	done := make(chan error, 1)
	go func() { done <- errors.Join(web.Shutdown(t.Context()), ws.Shutdown(t.Context())) }()
	p.untilEnd()
	if err := mustReceive(t, done); err != nil {
		t.Error(err)
	}
	mustReceive(t, ended)
	if err := mustReceive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// TestShutdownTime: Shutdown waits no longer for a peer that does not answer
// than the closing handshake or its own context may take.
func TestShutdownTime(t *testing.T) {
	for _, tt := range []struct {
		bound, want time.Duration
		err         error
	}{
		{time.Hour, 3 * time.Second, nil},
		{2 * time.Second, 2 * time.Second, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &Server{Handler: func(c *Conn) { c.Read(bg) }}
			a, b := bufpipe.New(1000)
			c := newConn(a, connConfig{opts: Options{CloseTimeout: 3 * time.Second}.withDefaults()})
			if !s.enter() {
				t.Fatal("not serving")
			}
			go s.serve(c)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(bg, tt.bound)
			defer cancel()
			start := time.Now()
			if err := s.Shutdown(ctx); err != tt.err || time.Since(start) != tt.want {
				t.Errorf("%v after %v, want %v after %v", err, time.Since(start), tt.err, tt.want)
			}
			if f, err := (&frameReader{nc: b}).next(); err != nil || f.Opcode != OpClose {
				t.Errorf("%+v, %v", f, err)
			}
			b.Close()
			synctest.Wait()
			if c.Context().Err() == nil || s.active.Count() != 0 {
				t.Error("the connection is still there")
			}
		})
	}
}
