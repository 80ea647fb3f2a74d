package websocket

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

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
		nc, err := net.Dial("tcp", wstest.ServeHTTP(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		p := wstest.NewClient(t, nc, wstest.NewRequest().Add("Origin: http://server.example").String())
		code := StatusCode(p.ReadClose())
		if phase == phaseDraining {
			mustReceive(t, stopped)
			if s.active.Count() != 1 {
				t.Error("drained before the closing handshake is done")
			}
			if code != StatusGoingAway {
				t.Errorf("close code %d, want 1001", code)
			}
			p.ReplyClose(uint16(code))
		} else if code != 0 {
			t.Errorf("close code %d, want the end without one", code)
		}
		wstest.MustShutdown(t, s)
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

// TestServerEventsClosedLoop: a loop that takes nothing any more leaves no request
// waiting.
func TestServerEventsClosedLoop(t *testing.T) {
	l := newTestLoop(t, 1)
	served := make(chan struct{}, 1)
	s := &Server{Loop: l, Events: never(t)}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		served <- struct{}{}
	}))
	defer web.Close()
	l.Close()
	p := wstest.DialClient(t, web.Listener.Addr().String())
	mustReceive(t, served)
	if code := StatusCode(p.UntilEnd()); code != StatusGoingAway {
		t.Errorf("close code %d, want 1001", code)
	}
	wstest.MustShutdown(t, s)
	if len(s.opening) != 0 {
		t.Errorf("%d connections are still opening", len(s.opening))
	}
}
