package websocket

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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

// Frames in the request's own packet, as no browser sends them, must reach
// the connection.
func TestTakeOverEarlyBytes(t *testing.T) {
	var frames []byte
	for i := range 50 {
		frames = append(frames, Header{Fin: true, Opcode: OpBinary, Masked: true, Length: int64(i)}.Append(nil)...)
		frames = append(frames, bytes.Repeat([]byte{byte(i)}, i)...)
	}
	for _, early := range [][]byte{nil, frames[:1], frames} {
		t.Run(fmt.Sprint(len(early)), func(t *testing.T) {
			type result struct {
				early, all []byte
				err        error
			}
			results := make(chan result, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				nc, got, failure := takeOver(w)
				if failure != nil {
					results <- result{err: failure}
					return
				}
				defer nc.Close()
				rest, err := io.ReadAll(nc)
				results <- result{got, append(slices.Clip(got), rest...), err}
			}))
			defer srv.Close()
			nc, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			q := wstest.NewRequest()
			q.Rest = string(early)
			if _, err := io.WriteString(nc, q.String()); err != nil {
				t.Fatal(err)
			}
			if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got := mustReceive(t, results)
			if got.err != nil || !bytes.Equal(got.all, early) {
				t.Errorf("got %x, %v, want %x", got.all, got.err, early)
			}
			if (len(got.early) == 0) != (len(early) == 0) {
				t.Errorf("%d bytes came through the buffer; the test is to have some there if any are sent", len(got.early))
			}
		})
	}
}

// The early bytes are a copy: the buffer that they came in is let go.
func TestTakeOverCopies(t *testing.T) {
	buf := bufio.NewReadWriter(bufio.NewReader(strings.NewReader("early")), nil)
	if _, err := buf.Reader.Peek(5); err != nil {
		t.Fatal(err)
	}
	w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return nil, buf, nil })
	_, early, failure := takeOver(w)
	if failure != nil {
		t.Fatal(failure)
	}
	buf.Reader.Reset(strings.NewReader("later"))
	if _, err := buf.Reader.Peek(5); err != nil {
		t.Fatal(err)
	}
	if string(early) != "early" {
		t.Errorf("the early bytes have become %q", early)
	}
}
