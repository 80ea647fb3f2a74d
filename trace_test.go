package websocket

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// hookLog notes the calls of all hooks, and calls on for each.
type hookLog struct {
	mu    sync.Mutex
	calls []string
	on    func(c *Conn, call string)
}

func (l *hookLog) trace() *Trace {
	note := func(c *Conn, call string) {
		l.mu.Lock()
		l.calls = append(l.calls, call)
		l.mu.Unlock()
		if l.on != nil {
			l.on(c, call)
		}
	}
	return &Trace{
		FrameIn:  func(c *Conn, h Header) { note(c, "<"+h.Opcode.String()) },
		FrameOut: func(c *Conn, h Header) { note(c, ">"+h.Opcode.String()) },
		Close:    func(c *Conn, _ error) { note(c, "Close") },
	}
}

func (l *hookLog) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// untilClose waits for the last call, and returns all of them.
func (l *hookLog) untilClose(t *testing.T) []string {
	t.Helper()
	until(t, "Close is called", func() bool { return slices.Contains(l.all(), "Close") })
	calls := l.all()
	if i := slices.Index(calls, "Close"); i != len(calls)-1 {
		t.Errorf("Close is not the last call: %q", calls)
	}
	return calls
}

// hookSites are all places of the hooks, and what makes a peer of an echo bring the
// server there.
var hookSites = []string{"<text", ">text", ">continuation", "<ping", ">pong", ">ping", "<pong", "<close", ">close", "Close"}

func provokeHook(site string, client, server *Conn) {
	switch site {
	case "<text", ">text", ">continuation":
		client.Write(bg, Text, []byte("hello"))
	case "<ping", ">pong":
		client.Ping(bg)
	case ">ping", "<pong":
		server.Ping(bg)
	default:
		client.Close(StatusNormalClosure, "")
	}
}

// hooked makes a server with these hooks, on a loop if l is not nil, whose echo is
// in two frames, and a client that reads until the end.
func (k kind) hooked(t *testing.T, l *Loop, opts Options) (client, server *Conn, closed <-chan error) {
	a, b := k.pair(t)
	client = newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
	})
	answer := func(c *Conn, typ MessageType, p []byte) {
		if w, err := c.Writer(bg, typ); err == nil {
			w.Write(make([]byte, fragmentSize))
			w.Write(p)
			w.Close()
		}
	}
	ended := make(chan error, 2)
	if l != nil {
		if err := l.Attach(server, funcHandler{Message: answer, Close: func(_ *Conn, err error) { ended <- err }}); err != nil {
			t.Fatal(err)
		}
	} else {
		go func() {
			for {
				typ, p, err := server.Read(bg)
				if err != nil {
					ended <- err
					return
				}
				answer(server, typ, p)
			}
		}()
	}
	go func() {
		for third(client.Read(bg)) == nil {
		}
	}()
	return client, server, ended
}

func (k kind) newLoop(t *testing.T) *Loop {
	if !k.loop {
		return nil
	}
	return newTestLoop(t, 1)
}

// A hook may call what it likes, wherever it is called.
func TestHookCalls(t *testing.T) {
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	for name, call := range map[string]func(c *Conn) error{
		"Ping":     func(c *Conn) error { _, err := c.Ping(ctx); return err },
		"Write":    func(c *Conn) error { return c.Write(ctx, Binary, []byte("from a hook")) },
		"Send":     func(c *Conn) error { return c.Send(Binary, []byte("from a hook")) },
		"Close":    func(c *Conn) error { return c.Close(StatusGoingAway, "") },
		"CloseNow": (*Conn).CloseNow,
		"others":   func(c *Conn) error { c.Stats(); c.Buffered(); c.RemoteAddr(); c.Drained(); return c.Context().Err() },
	} {
		for _, k := range kinds {
			for _, site := range hookSites {
				t.Run(name+"/"+k.name+"/"+site, func(t *testing.T) {
					var once sync.Once
					returned := make(chan error, 1)
					log := hookLog{on: func(c *Conn, at string) {
						if at == site {
							once.Do(func() { returned <- call(c) })
						}
					}}
					client, server, closed := k.hooked(t, k.newLoop(t), Options{Trace: log.trace()})
					go provokeHook(site, client, server)
					err := mustReceive(t, returned)
					if ending := strings.Contains(strings.ToLower(site), "close"); err != nil && !ending {
						t.Errorf("the call in the hook: %v", err)
					}
					client.Close(StatusNormalClosure, "")
					mustReceive(t, closed)
					log.untilClose(t)
				})
			}
		}
	}
}

// hookFaults are what hooks do wrong, and what the peer gets.
var hookFaults = []struct {
	name   string
	fail   func()
	code   StatusCode
	logged bool
}{
	{"panic", func() { panic("fault of the test") }, StatusInternalError, true},
	{"abort", func() { panic(http.ErrAbortHandler) }, StatusAbnormalClosure, false},
	{"Goexit", runtime.Goexit, StatusInternalError, false},
}

// A hook that fails ends its own connection, wherever it is called. The other hooks
// are called all the same.
func TestHookFails(t *testing.T) {
	for _, k := range kinds {
		for _, f := range hookFaults {
			for _, site := range hookSites {
				t.Run(k.name+"/"+f.name+"/"+site, func(t *testing.T) {
					l := k.newLoop(t)
					var out syncBuffer
					log := hookLog{on: func(_ *Conn, at string) {
						if at == site {
							f.fail()
						}
					}}
					client, server, closed := k.hooked(t, l, Options{Logger: slog.New(slog.NewTextHandler(&out, nil)), Trace: log.trace()})
					go provokeHook(site, client, server)
					<-client.ended()
					if err := client.readError(); CloseCode(err) != f.code && !strings.Contains(strings.ToLower(site), "close") {
						t.Errorf("the peer gets %v, want %v", err, f.code)
					}
					mustReceive(t, closed)
					log.untilClose(t)
					if l != nil {
						other, _ := loopConns(t, l, k.pair, echoHandler, Options{})
						mustEcho(t, other, "afterwards")
						other.CloseNow()
						ctx, cancel := context.WithTimeout(bg, 10*time.Second)
						defer cancel()
						if err := l.Shutdown(ctx); err != nil {
							t.Error(err)
						}
						if len(closed) > 0 {
							t.Error("OnClose was called twice")
						}
					}
					logged := func() bool { return strings.Contains(out.String(), "panic in Trace.") }
					if f.logged {
						until(t, "it is logged", logged)
					} else if logged() {
						t.Errorf("logged %q", out.String())
					}
				})
			}
		}
	}
}

// Frames come and go while a hook waits. The calls that are due then come in the
// order of the frames, and nothing is kept when all were made.
func TestHooksInOrder(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			proceed := make(chan struct{})
			log := hookLog{on: func(*Conn, string) { <-proceed }}
			a, b := k.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			server := newConn(b, connConfig{opts: Options{Trace: log.trace()}.withDefaults()})
			if l := k.newLoop(t); l != nil {
				if err := l.Attach(server, echoHandler); err != nil {
					t.Fatal(err)
				}
			} else {
				go echo(server)
			}
			var want []string
			for i := range 100 {
				mustEcho(t, client, fmt.Sprint(i))
				want = append(want, "<text", ">text")
			}
			if calls := log.all(); len(calls) > 1 {
				t.Errorf("called meanwhile: %q", calls)
			}
			close(proceed)
			until(t, "all were called", func() bool { return slices.Equal(log.all(), want) })
			until(t, "nothing is kept", func() bool {
				server.life.mu.Lock()
				defer server.life.mu.Unlock()
				return server.life.extra == nil
			})
			client.Close(StatusNormalClosure, "")
			log.untilClose(t)
			server.traceOut(&Header{Opcode: OpPong}) // by a goroutine that is late
			until(t, "no call is due", func() bool {
				server.life.mu.Lock()
				defer server.life.mu.Unlock()
				return server.life.extra == nil || server.life.extra.hooks == nil
			})
			if calls := log.all(); !slices.Equal(calls, append(want, "<close", ">close", "Close")) {
				t.Errorf("called %q", calls)
			}
		})
	}
}

// A peer that sends frames without end, while a hook waits, does not make the memory
// grow without end. It is still answered.
func TestHookSlowsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		log := hookLog{on: func(*Conn, string) { <-proceed }}
		a, peer := bufpipe.New(1000)
		defer peer.Close()
		c := newConn(a, connConfig{opts: Options{Trace: log.trace()}.withDefaults()})
		read := make(chan error)
		go func() {
			_, _, err := c.Read(bg)
			read <- err
		}()
		flood, flooded := make(chan struct{}), make(chan int)
		go func() {
			n := 1
			peer.Write(frame(OpText, false, true, ""))
			for over := false; !over && n < 100*hooksBehind; {
				select {
				case <-flood:
					over = true
				default:
					peer.Write(frame(OpContinuation, false, true, ""))
					n++
				}
			}
			flooded <- n
		}()
		time.Sleep(10 * time.Second)
		close(flood)
		n := <-flooded
		if n < hooksBehind || n > 6*hooksBehind { // 1000 and the root of 2*10e6 microseconds
			t.Errorf("%d frames were taken in 10 seconds", n)
		}
		peer.Write(frame(OpPing, true, true, "still there"))
		if f, err := (&frameReader{nc: peer}).next(); err != nil || f.Opcode != OpPong || f.payload != "still there" {
			t.Errorf("a ping is answered by %v, %v", f, err)
		}
		peer.Write(frame(OpContinuation, true, true, ""))
		if err := <-read; err != nil {
			t.Error(err)
		}
		close(proceed)
		synctest.Wait()
		if calls := log.all(); len(calls) != n+3 || calls[0] != "<text" || calls[len(calls)-1] != "<continuation" {
			t.Errorf("%d calls for %d frames", len(calls), n+3)
		}
		c.CloseNow()
		if calls := log.untilClose(t); len(calls) != n+4 {
			t.Errorf("%d calls for %d frames and the end", len(calls), n+3)
		}
	})
}
