package websocket

import (
	"fmt"
	"io"
	"net"
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
