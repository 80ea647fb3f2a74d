//go:build !ws_unix && !ws_plain

package websocket

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// withoutDescriptors has the process get no new descriptor until restore is
// called: the only number that it may have is that of the standard input.
func withoutDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}

// newDeafLoop returns a loop that can watch nothing, as if memory were short.
func newDeafLoop(t *testing.T, log io.Writer) *Loop {
	t.Helper()
	l := &Loop{logger: slog.New(slog.NewTextHandler(log, nil)), listeners: make(map[net.Listener]struct{})}
	e := &engine{loop: l}
	e.monitor.init(e)
	w := &worker{engine: e}
	var err error
	if w.poll, err = epoll.New(); err != nil {
		t.Fatal(err)
	}
	w.poll.Close()
	e.workers = []*worker{w}
	l.engine = e
	t.Cleanup(func() { l.Close() })
	return l
}

// wantTurnedAway reads the close frame of a connection that the loop could not
// take, and looks for the reason in the log.
func wantTurnedAway(t *testing.T, c *Conn, log *wstest.Log, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	if _, _, err := c.Read(ctx); CloseCode(err) != StatusTryAgainLater {
		t.Errorf("the client got %v, want code 1013", err)
	}
	until(t, "the reason is logged", func() bool {
		return strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), reason)
	})
}

// withOrigin are options for a handshake that CheckOrigin is asked about.
func withOrigin() *DialOptions {
	opts := insecure()
	opts.Header = http.Header{"Origin": {"https://example.com"}}
	return opts
}

// TestLoopOutOfDescriptors: when a connection is to go to the loop there is no
// descriptor for it. The client is told to come back later, and the log tells
// why.
func TestLoopOutOfDescriptors(t *testing.T) {
	for _, secure := range []bool{false, true} {
		name := map[bool]string{false: "clear", true: "TLS"}[secure]
		t.Run("Server/"+name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			var log wstest.Log
			restored := make(chan func(), 1)
			s := &Server{Events: never(t), Loop: l}
			s.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s.CheckOrigin = func(*http.Request) bool {
				restored <- withoutDescriptors(t)
				return true
			}
			web := httptest.NewUnstartedServer(s)
			web.Listener = l.Listener(web.Listener)
			if secure {
				web.StartTLS()
			} else {
				web.Start()
			}
			defer web.Close()
			c, _, err := Dial(t.Context(), web.URL, withOrigin())
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			wantTurnedAway(t, c, &log, "too many open files")
			mustReceive(t, restored)()
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("Serve", func(t *testing.T) { // with TLS: without it no further descriptor is needed
		var log wstest.Log
		l, err := NewLoop(&LoopOptions{Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		restored := make(chan func(), 1)
		url, _ := serveLoop(t, l, &AcceptOptions{CheckOrigin: func(*http.Request) bool {
			restored <- withoutDescriptors(t)
			return true
		}}, never(t), true)
		c, _, err := Dial(t.Context(), url, withOrigin())
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		wantTurnedAway(t, c, &log, "too many open files")
		mustReceive(t, restored)()
	})
}

// TestLoopOutOfWatches: there is no watch for a connection that is to go to the
// loop.
func TestLoopOutOfWatches(t *testing.T) {
	t.Run("Server", func(t *testing.T) {
		var log wstest.Log
		s := &Server{Events: never(t), Loop: newDeafLoop(t, io.Discard)}
		s.Logger = slog.New(slog.NewTextHandler(&log, nil))
		web := httptest.NewServer(s)
		defer web.Close()
		c, _, err := Dial(t.Context(), web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		wantTurnedAway(t, c, &log, "epoll_ctl")
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("Serve with TLS", func(t *testing.T) {
		var log wstest.Log
		l := newDeafLoop(t, &log)
		url, _ := serveLoop(t, l, nil, never(t), true)
		c, _, err := Dial(t.Context(), url, insecure())
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		wantTurnedAway(t, c, &log, "epoll_ctl")
	})
	t.Run("Serve", func(t *testing.T) { // before the request has come
		var log wstest.Log
		l := newDeafLoop(t, &log)
		a, b := tcpPair(t)
		defer a.Close()
		rc, err := b.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		fd, err := epoll.Duplicate(rc)
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		l.engine.startHandshake(&acceptor{handler: &loopHandler{loop: l, handler: never(t)}}, fd, netip.AddrPort{})
		a.SetDeadline(time.Now().Add(20 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(a), nil)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%v, %v", resp, err)
		}
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "epoll_ctl") {
			t.Errorf("logged %q", log.String())
		}
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAttachExhausted: after an error of Attach the connection is as it was.
func TestAttachExhausted(t *testing.T) {
	for _, k := range []kind{{"tcp", tcpPair, false}, {"tls", pollableTLSPair, false}} {
		for _, lack := range []string{"descriptors", "watches"} {
			t.Run(k.name+"/"+lack, func(t *testing.T) {
				a, b := k.pair(t)
				client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
				server := newConn(b, connConfig{opts: Options{}.withDefaults()})
				defer client.CloseNow()
				defer server.CloseNow()
				good := newTestLoop(t, 1)
				if lack == "watches" {
					before := openDescriptors()
					if err := newDeafLoop(t, io.Discard).Attach(server, never(t)); err == nil {
						t.Error("no error")
					}
					if n := openDescriptors(); n != before {
						t.Errorf("%d descriptors, %d before", n, before)
					}
				} else {
					restore := withoutDescriptors(t)
					err := good.Attach(server, never(t))
					restore()
					if err == nil || !strings.Contains(err.Error(), "too many open files") {
						t.Error(err)
					}
				}
				go client.Write(bg, Text, []byte("hello"))
				typ, p, err := server.Read(bg)
				if string(p) != "hello" {
					t.Fatal(string(p), err)
				}
				if err := good.Attach(server, echoHandler); err != nil {
					t.Fatal(err)
				}
				if err := server.Write(bg, typ, p); err != nil {
					t.Fatal(err)
				}
				if _, p, err := client.Read(bg); string(p) != "hello" {
					t.Error(string(p), err)
				}
				mustEcho(t, client, "again")
			})
		}
	}
}

// TestLoopWatchesOnce: a watch that was had is not given up and asked for again,
// which might fail: not while CheckOrigin runs, and not while a handler blocks.
func TestLoopWatchesOnce(t *testing.T) {
	l := newTestLoop(t, 1)
	watched := func(fd int) bool {
		return l.engine.workers[0].poll.Modify(fd, epoll.Off) == nil
	}
	release := make(chan struct{})
	peer, server := bareAttached(t, l, funcHandler{Message: func(*Conn, MessageType, []byte) { <-release }}, Options{})
	p := pollConnOf(server.loopTransport())
	peer.Write(bytes.Repeat(frame(OpText, true, true, "1"), 2))
	until(t, "the runner is replaced", func() bool { return p.state.has(pollBusy) })
	peer.Write(frame(OpText, true, true, "2"))
	until(t, "no input is watched for", func() bool { return !p.state.has(pollIn) })
	if !watched(int(p.fd)) {
		t.Error("the watch was given up while the handler blocks")
	}
	close(release)

	asked := make(chan struct{})
	answer := make(chan bool)
	_, ln := serveLoop(t, l, &AcceptOptions{CheckOrigin: func(*http.Request) bool { close(asked); return <-answer }}, funcHandler{}, false)
	nc := clientOf(t, ln, false)
	io.WriteString(nc, requestWithOrigin())
	mustReceive(t, asked)
	for _, s := range l.engine.workers[0].allHandshakes() {
		if !watched(s.fd) {
			t.Error("the watch was given up while CheckOrigin runs")
		}
	}
	answer <- true
}
