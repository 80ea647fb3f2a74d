package websocket

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// Descriptors are used again at a high rate while others write to connections
// that end: what is written reaches its connection or nobody.
func TestLoopDescriptorReuse(t *testing.T) {
	l := newTestLoop(t, 3)
	var mu sync.Mutex
	live := make(map[*Conn]string)
	h := func(name string) EventHandler {
		return funcHandler{
			Open: func(c *Conn) {
				mu.Lock()
				defer mu.Unlock()
				live[c] = name
			},
			Message: func(c *Conn, typ MessageType, p []byte) {
				if string(p) != name {
					t.Errorf("%q has come to %q", p, name)
				}
				c.Write(bg, typ, p)
			},
			Close: func(c *Conn, _ error) {
				mu.Lock()
				delete(live, c)
				mu.Unlock()
				c.Write(bg, Text, []byte(name)) // to whoever has the descriptor now
			},
		}
	}
	done := make(chan struct{})
	var writers, churn sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				mu.Lock()
				targets := make(map[*Conn]string, len(live))
				for c, name := range live {
					targets[c] = name
				}
				mu.Unlock()
				for c, name := range targets {
					c.Write(bg, Text, []byte(name))
				}
				runtime.Gosched()
			}
		})
	}
	for i := range 4 {
		churn.Go(func() {
			for j := range 100 {
				name := fmt.Sprint(i, ".", j)
				a, b := tcpPair(t)
				client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
				server := newConn(b, connConfig{opts: Options{}.withDefaults()})
				if err := l.Attach(server, h(name)); err != nil {
					t.Error(err)
				}
				client.Write(bg, Text, []byte(name))
				for range j % 4 {
					if _, got, err := client.Read(bg); err != nil || string(got) != name {
						t.Errorf("%q got %q, %v", name, got, err)
					}
				}
				switch j % 3 {
				case 0:
					client.CloseNow()
				case 1:
					server.CloseNow()
					client.CloseNow()
				case 2:
					go server.startClose(StatusNormalClosure, "")
					for {
						_, got, err := client.Read(bg)
						if err != nil {
							break
						}
						if string(got) != name {
							t.Errorf("%q got %q", name, got)
						}
					}
				}
			}
		})
	}
	churn.Wait()
	close(done)
	writers.Wait()
}

// cutConn resets its connection after some bytes.
type cutConn struct {
	*net.TCPConn
	left atomic.Int64 // negative for no end
}

func (c *cutConn) Write(p []byte) (int, error) {
	left := c.left.Load()
	if left < 0 || int64(len(p)) < left {
		if left >= 0 {
			c.left.Add(-int64(len(p)))
		}
		return c.TCPConn.Write(p)
	}
	c.TCPConn.Write(p[:left])
	c.TCPConn.SetLinger(0)
	c.TCPConn.Close()
	return 0, io.ErrClosedPipe
}

// The peer resets the connection at every point of what it sends.
func TestLoopReset(t *testing.T) {
	stream := slices.Concat(
		frame(OpText, true, true, "one"),
		frame(OpText, false, true, "tw"),
		frame(OpPing, true, true, "ping"),
		frame(OpContinuation, true, true, "o"),
		frame(OpBinary, true, true, strings.Repeat("x", 300)),
		closeFrame(true, StatusNormalClosure, "bye"))
	states := map[string]func(c *Conn, release <-chan struct{}){
		"idle":    func(*Conn, <-chan struct{}) {},
		"queue":   func(c *Conn, _ <-chan struct{}) { go c.Write(bg, Binary, make([]byte, 8<<20)) },
		"closing": func(c *Conn, _ <-chan struct{}) { c.startClose(StatusGoingAway, "") },
		"blocked": func(_ *Conn, release <-chan struct{}) { <-release },
	}
	l := newTestLoop(t, 2)
	for _, overTLS := range []bool{false, true} {
		for name, state := range states {
			t.Run(fmt.Sprint(name, " ", overTLS), func(t *testing.T) {
				ends := len(stream)
				if overTLS {
					ends = 8 * 40 // records
				}
				for n := 0; n <= ends; n += 1 + n/60 {
					a, b := tcpPair(t)
					cut := &cutConn{TCPConn: a.(*net.TCPConn)}
					cut.left.Store(-1)
					var peer, nc net.Conn = cut, b
					if overTLS {
						peer, nc = tlsOver(t, cut, transport.NewPollable(b))
					}
					cut.left.Store(int64(n))
					server := newConn(nc, connConfig{opts: Options{}.withDefaults()})
					release, closed := make(chan struct{}), make(chan struct{})
					if err := l.Attach(server, funcHandler{
						Open:    func(c *Conn) { state(c, release) },
						Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) },
						Close:   func(*Conn, error) { close(closed) },
					}); err != nil {
						t.Fatal(err)
					}
					for p := range slices.Chunk(stream, 7) { // with TLS, a record for each
						if _, err := peer.Write(p); err != nil {
							break
						}
					}
					cut.SetLinger(0)
					cut.TCPConn.Close()
					close(release)
					select {
					case <-closed:
					case <-time.After(10 * time.Second):
						t.Fatalf("OnClose was not called after %d bytes", n)
					}
				}
			})
		}
	}
}

// TestSameWithAndWithoutLoop: what a connection tells about itself does not
// depend on who reads.
func TestSameWithAndWithoutLoop(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var mu sync.Mutex
			var log []string
			note := func(event string) {
				mu.Lock()
				defer mu.Unlock()
				log = append(log, event)
			}
			ended := make(chan error, 1)
			opts := Options{Trace: &Trace{
				FrameIn:  func(_ *Conn, h Header) { note("<" + h.Opcode.String()) },
				FrameOut: func(_ *Conn, h Header) { note(">" + h.Opcode.String()) },
				Close:    func(_ *Conn, err error) { ended <- err },
			}}.withDefaults()
			type key struct{}
			req, err := http.NewRequestWithContext(context.WithValue(bg, key{}, "value"), "GET", "/", nil)
			if err != nil {
				t.Fatal(err)
			}
			a, b := k.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			c := newConn(b, connConfig{opts: opts, agreement: agreement{subprotocol: "chat"}, request: req})
			defer c.CloseNow()
			local, remote := c.LocalAddr().String(), c.RemoteAddr().String()
			before := c.Context()
			if k.loop {
				readOnLoop(t, newTestLoop(t, 1), c)
			}
			go echo(c)
			for range 3 {
				if err := client.Write(bg, Text, []byte("12345")); err != nil {
					t.Fatal(err)
				}
				if _, _, err := client.Read(bg); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Ping(bg); err != nil {
				t.Fatal(err)
			}
			want := Stats{MessagesRead: 3, MessagesWritten: 3, BytesRead: 3*(6+5) + 6 + 8, BytesWritten: 3*(2+5) + 2 + 8}
			until(t, fmt.Sprintf("Stats %+v", want), func() bool { return c.Stats() == want })
			if c.Subprotocol() != "chat" || c.Request() != req || c.Context() != before || before.Value(key{}) != "value" || before.Err() != nil {
				t.Error("it does not remember its handshake")
			}
			if l, r := c.LocalAddr().String(), c.RemoteAddr().String(); l != local || r != remote {
				t.Errorf("addresses %s, %s, want %s, %s", l, r, local, remote)
			}
			if err := client.Close(4321, "why not"); err != nil {
				t.Error(err)
			}
			err = mustReceive(t, ended)
			if cause := context.Cause(before); cause != err || CloseCode(err) != 4321 {
				t.Errorf("Trace.Close was told %v, the cause is %v", err, cause)
			}
			mu.Lock()
			defer mu.Unlock()
			if got, want := fmt.Sprint(log), "[<text >text <text >text <text >text <ping >pong <close >close]"; got != want {
				t.Errorf("frames %v, want %v", got, want)
			}
		})
	}
}
