package websocket

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// hookFaults are what hooks do wrong. Where the goroutine is ended it is left
// open how the peer hears of it.
var hookFaults = []struct {
	name   string
	fail   func()
	code   StatusCode
	logged bool
}{
	{"panic", func() { panic("fault of the test") }, StatusInternalError, true},
	{"abort", func() { panic(http.ErrAbortHandler) }, StatusAbnormalClosure, false},
	{"Goexit", runtime.Goexit, 0, false},
}

// A hook that fails ends its own connection, wherever it is called, and OnClose
// is called once.
func TestLoopHookFails(t *testing.T) {
	for _, tr := range loopTransports {
		for _, f := range hookFaults {
			for _, where := range []string{"<text", "<ping", "<close", ">text", ">pong", ">ping", ">close", "Close"} {
				t.Run(tr.name+"/"+f.name+"/"+where, func(t *testing.T) {
					l := newTestLoop(t, 1)
					other, _ := loopConns(t, l, tr.pair, loopEcho{}, Options{})
					var log syncBuffer
					fail := func(event string) {
						if event == where {
							f.fail()
						}
					}
					opts := Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), CloseTimeout: time.Second, Trace: &Trace{
						FrameIn:  func(_ *Conn, h Header) { fail("<" + h.Opcode.String()) },
						FrameOut: func(_ *Conn, h Header) { fail(">" + h.Opcode.String()) },
						Close:    func(*Conn, error) { fail("Close") },
					}}
					a, b := tr.pair(t)
					client := newConn(a, connConfig{client: true, opts: Options{CloseTimeout: time.Second}.withDefaults()})
					defer client.CloseNow()
					server := newConn(b, connConfig{opts: opts.withDefaults()})
					var closed atomic.Int32
					if err := l.Attach(server, funcHandler{nil, func(c *Conn, typ MessageType, p []byte) {
						c.Write(bg, typ, p)
					}, func(*Conn, error) { closed.Add(1) }}); err != nil {
						t.Fatal(err)
					}
					switch where {
					case "<text", ">text":
						client.Write(bg, Text, []byte("hello"))
					case "<ping", ">pong":
						go client.Ping(bg)
					case ">ping":
						go server.Ping(bg)
					default:
						go client.Close(StatusNormalClosure, "")
					}
					for third(client.Read(bg)) == nil {
					}
					if err := client.readError(); f.code != 0 && CloseCode(err) != f.code && !strings.Contains(strings.ToLower(where), "close") {
						t.Errorf("the peer gets %v, want %v", err, f.code)
					}
					<-server.ended()
					until(t, "OnClose", func() bool { return closed.Load() == 1 })
					mustEcho(t, other, "afterwards")
					other.CloseNow()
					ctx, cancel := context.WithTimeout(bg, 10*time.Second)
					defer cancel()
					if err := l.Shutdown(ctx); err != nil {
						t.Error(err)
					}
					if closed.Load() != 1 {
						t.Errorf("OnClose was called %d times", closed.Load())
					}
					logged := func() bool { return strings.Contains(log.String(), "panic in Trace.") }
					if f.logged {
						until(t, "it is logged", logged) // where a goroutine serves, OnClose may be earlier
					} else if logged() {
						t.Errorf("logged %q", log.String())
					}
				})
			}
		}
	}
}

// A hook that fails in a call of the user's does not show there.
func TestLoopHookFailsOutside(t *testing.T) {
	for _, tr := range loopTransports {
		t.Run(tr.name, func(t *testing.T) {
			opts := Options{Logger: slog.New(slog.DiscardHandler), Trace: &Trace{
				FrameOut: func(_ *Conn, h Header) {
					if h.Opcode == OpText {
						panic("fault of the test")
					}
				},
			}}
			client, server := loopConns(t, newTestLoop(t, 1), tr.pair, loopEcho{}, opts)
			if err := server.Write(bg, Text, []byte("hello")); err != nil {
				t.Error(err)
			}
			if _, got, err := client.Read(bg); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
			if _, _, err := client.Read(bg); CloseCode(err) != StatusInternalError {
				t.Error(err)
			}
			if err := server.Write(bg, Text, []byte("hello")); CloseCode(err) != StatusInternalError {
				t.Error(err)
			}
		})
	}
}
