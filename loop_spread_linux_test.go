//go:build !ws_unix && !ws_plain

package websocket

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// TestLoopSpreadEnds: a worker does not spread for long after the last handler
// has blocked, however many still do, and whatever others do.
func TestLoopSpreadEnds(t *testing.T) {
	l := newTestLoop(t, 1)
	w := l.engine.workers[0]
	release := make(chan struct{})
	var inside sync.WaitGroup
	var clients []*Conn
	for range 100 {
		c, _ := attached(t, l, funcHandler{Message: func(*Conn, MessageType, []byte) {
			inside.Done()
			<-release
		}}, Options{})
		clients = append(clients, c)
	}
	defer close(release)
	inside.Add(len(clients))
	w.spread.on.Store(true) // if it does not by itself yet
	for _, c := range clients {
		if err := c.Write(bg, Text, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	inside.Wait()
	echo, _ := attached(t, l, echoHandler, Options{})
	for deadline := time.Now().Add(10 * time.Second); w.spread.on.Load(); {
		mustEcho(t, echo, "beside") // handlers that do not block do not keep it going
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
}

// TestLoopSpreadOrder: handlers that block for a random time, panic, exit, close,
// and write hear of the messages of each connection in order, one at a time, each
// once, and of its end last; whether the worker spreads or not.
func TestLoopSpreadOrder(t *testing.T) {
	conns, messages := 300, 30
	if raceEnabled || testing.Short() {
		conns = 100
	}
	for _, k := range loopTransports {
		if k.name == "loop pipe" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			w := l.engine.workers[0]
			var spread, plain atomic.Int32
			var closed sync.WaitGroup
			closed.Add(conns)
			clients := make([]*Conn, conns)
			want := make([]int, conns)
			for i := range clients {
				var inside atomic.Int32
				next, opened, ended := 0, false, false
				enter := func() {
					if inside.Add(1) != 1 || ended {
						t.Errorf("connection %d: a call beside or behind another one", i)
					}
					if w.spread.on.Load() {
						spread.Add(1)
					} else {
						plain.Add(1)
					}
				}
				last := rand.IntN(2 * messages) // at which it ends by itself, if there are so many
				want[i] = min(last, messages)
				how := rand.IntN(5)
				clients[i], _ = loopConns(t, l, k.pair, funcHandler{
					Open: func(*Conn) {
						enter()
						defer inside.Add(-1)
						opened = true
					},
					Message: func(c *Conn, typ MessageType, p []byte) {
						enter()
						defer inside.Add(-1)
						if string(p) != fmt.Sprint(next) || !opened {
							t.Errorf("connection %d: message %q, want %d", i, p, next)
						}
						if rand.IntN(3) == 0 {
							time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond)
						}
						if next == last {
							switch how {
							case 0:
								panic(http.ErrAbortHandler)
							case 1:
								runtime.Goexit()
							case 2:
								c.Close(StatusNormalClosure, "")
								return
							case 3:
								c.CloseNow()
								return
							case 4:
								c.startClose(StatusNormalClosure, "")
								return
							}
						}
						if err := c.Write(bg, typ, p); err != nil {
							t.Errorf("connection %d: %v", i, err)
						}
						next++
					},
					Close: func(*Conn, error) {
						enter()
						ended = true
						inside.Add(-1)
						closed.Done()
					},
				}, Options{})
			}
			w.spread.on.Store(true) // as at some time it does by itself
			var clientsDone sync.WaitGroup
			for i, c := range clients {
				clientsDone.Go(func() {
					for m := range messages {
						if c.Write(bg, Text, fmt.Append(nil, m)) != nil {
							break
						}
					}
				})
				clientsDone.Go(func() {
					got := 0
					for ; got < want[i]; got++ {
						_, p, err := c.Read(bg)
						if err != nil {
							break
						}
						if string(p) != fmt.Sprint(got) {
							t.Errorf("connection %d answers %q, want %d", i, p, got)
						}
					}
					if want[i] == messages && got < messages { // the others may be cut
						t.Errorf("connection %d: %d answers, want %d", i, got, messages)
					}
					if want[i] == messages {
						c.Close(StatusNormalClosure, "")
					} else {
						for {
							if _, _, err := c.Read(bg); err != nil {
								break
							}
						}
					}
				})
			}
			clientsDone.Wait()
			closed.Wait()
			t.Logf("%d calls while it spreads, %d while not", spread.Load(), plain.Load())
			if spread.Load() == 0 || plain.Load() == 0 {
				t.Error("the test has not seen both")
			}
		})
	}
}

// TestLoopSpreadControlReader: what a control reader has read while a goroutine was busy
// with the connection, which no event will tell, is handled when that is done.
func TestLoopSpreadControlReader(t *testing.T) {
	l := newTestLoop(t, 1)
	j := newJournal(t)
	peer, server := bareAttached(t, l, j, Options{})
	settle(t, l)
	p := pollConnOf(server.loopTransport())
	if !p.detach(false) { // as the runner does before it starts the goroutine
		t.Fatal("the connection is busy")
	}
	ponged := make(chan error, 1)
	go func() {
		_, err := server.Ping(bg)
		ponged <- err
	}()
	ping, err := (&frameReader{nc: peer}).next()
	if err != nil || ping.Opcode != OpPing {
		t.Fatal(ping, err)
	}
	peer.Write(append(frame(OpPong, true, true, ping.payload), text("behind")...))
	if err := mustReceive(t, ponged); err != nil {
		t.Fatal(err)
	}
	settle(t, l)
	j.want("open")
	p.reattach()
	j.want("behind")
	server.CloseNow()
	j.want("close")
}

// newStarvedLoop returns a loop with one worker whose monitor does not get the
// processor: a handler that blocks holds up all.
func newStarvedLoop(t *testing.T) *Loop {
	t.Helper()
	l := &Loop{logger: slog.Default(), listeners: make(map[net.Listener]struct{})}
	e := &engine{loop: l}
	e.monitor.init(e)
	w := &worker{engine: e}
	var err error
	if w.poll, err = epoll.New(); err != nil {
		t.Fatal(err)
	}
	w.clock.Store(monotonic())
	e.workers = []*worker{w}
	l.engine = e
	w.replace()
	t.Cleanup(func() { l.Close() })
	return l
}

// TestLoopKeepaliveLooksFirst: a pong has come, but the worker does not get the
// processor to read it.
func TestLoopKeepaliveLooksFirst(t *testing.T) {
	opts := Options{PingInterval: time.Hour, PongTimeout: time.Hour}
	for _, k := range pollConnKinds {
		t.Run(k.name, func(t *testing.T) {
			k.loop = false
			l := newStarvedLoop(t)
			c, peer := k.raw(t, false, opts)
			attach(t, l, c, funcHandler{})
			in, out := make(chan struct{}), make(chan struct{})
			first, _ := attached(t, l, funcHandler{Message: func(*Conn, MessageType, []byte) { close(in); <-out }}, Options{})
			if err := first.Write(bg, Text, []byte("x")); err != nil {
				t.Fatal(err)
			}
			<-in
			tick := func() { c.sweep(monotonic()) }
			keepsWaiting(t, c, peer, tick)
			close(out)
			until(t, "the pong is read", func() bool { return c.RTT() > 0 })
			givesUp(t, c, tick)
		})
	}
}

// spinning reports whether a worker of l that has nothing to do waits again and
// again all the same.
func spinning(l *Loop) bool {
	time.Sleep(20 * time.Millisecond)
	turns, last := 0, int64(0)
	for range 50 {
		for _, w := range l.engine.workers {
			if now := w.clock.Load(); now > last {
				turns, last = turns+1, now
			}
		}
		time.Sleep(time.Millisecond)
	}
	return turns > 15
}

// Events that epoll reports again and again, asked or not, keep no worker busy.
func TestLoopDoesNotSpin(t *testing.T) {
	reset := func(peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }
	tests := []struct {
		name  string
		block bool // the handler has a message
		fill  int  // how much is to be queued
		then  func(peer *net.TCPConn, server *Conn)
		ends  bool // by itself
	}{
		{"half-closed", false, 1, func(peer *net.TCPConn, _ *Conn) { peer.CloseWrite() }, false},
		{"half-closed with a full queue", false, highWater, func(peer *net.TCPConn, _ *Conn) { peer.CloseWrite() }, false},
		{"pinged with a full queue", false, highWater, func(peer *net.TCPConn, server *Conn) {
			go server.Ping(bg)
			peer.Write(frame(OpPong, true, true, "?")[:1])
		}, false},
		{"pinged with a full queue, behind a message", false, highWater, func(peer *net.TCPConn, server *Conn) {
			go server.Ping(bg)
			peer.Write(frame(OpText, true, true, "2"))
		}, false},
		{"pinged and half-closed with a full queue", false, highWater, func(peer *net.TCPConn, server *Conn) {
			go server.Ping(bg)
			peer.CloseWrite()
		}, false},
		{"reset with a full queue", false, highWater, func(peer *net.TCPConn, _ *Conn) { reset(peer) }, true},
		{"reset while a handler blocks", true, 0, func(peer *net.TCPConn, _ *Conn) { reset(peer) }, false},
		{"half-closed while a handler blocks", true, 0, func(peer *net.TCPConn, _ *Conn) { peer.CloseWrite() }, false},
		{"input while a handler blocks", true, 0, func(peer *net.TCPConn, _ *Conn) { peer.Write(make([]byte, 1000)) }, false},
		{"reset with a full queue while a handler blocks", true, highWater, func(peer *net.TCPConn, _ *Conn) { reset(peer) }, false},
		{"closed with a queue", false, 1, func(peer *net.TCPConn, _ *Conn) {
			peer.Write(closeFrame(true, StatusNormalClosure, ""))
			peer.CloseWrite()
		}, false},
		{"closed and chattering with a queue", false, 1, func(peer *net.TCPConn, _ *Conn) {
			peer.Write(closeFrame(true, StatusNormalClosure, ""))
			time.Sleep(5 * time.Millisecond)
			peer.Write(make([]byte, 1000))
		}, false},
		{"closed by both, reset while a handler blocks", true, 0, func(peer *net.TCPConn, server *Conn) {
			server.startClose(StatusNormalClosure, "")
			peer.Write(closeFrame(true, StatusNormalClosure, ""))
			reset(peer)
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			release, closed := make(chan struct{}), make(chan struct{})
			peer, server := bareAttached(t, l, funcHandler{
				Message: func(*Conn, MessageType, []byte) { <-release },
				Close:   func(*Conn, error) { close(closed) },
			}, Options{CloseTimeout: time.Minute})
			p := pollConnOf(server.loopTransport())
			if tt.block {
				peer.Write(frame(OpText, true, true, "1"))
				until(t, "the runner is replaced", func() bool { return p.state.has(pollBusy) })
			}
			if tt.fill > 0 {
				for !p.state.has(pollOut) || server.loopTransport().(*pollConn).queued() < tt.fill {
					server.Write(bg, Binary, make([]byte, 8<<10))
				}
			}
			tt.then(peer, server)
			if spinning(l) {
				t.Error("the worker spins")
			}
			close(release)
			if !tt.ends {
				server.CloseNow()
				peer.Close() // a verdict on its input is there for it to read until then
			}
			select {
			case <-closed:
			case <-time.After(10 * time.Second):
				t.Error("OnClose was not called")
			}
		})
	}
}

// A descriptor that somebody else has, too, is not watched any more when the
// connection has ended.
func TestLoopSharedDescriptor(t *testing.T) {
	l := newTestLoop(t, 1)
	a, b := tcpPair(t)
	defer a.Close()
	shared, err := b.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	server := newConn(b, connConfig{opts: Options{}.withDefaults()})
	j := newJournal(t)
	if err := l.Attach(server, j); err != nil {
		t.Fatal(err)
	}
	j.want("open")
	settle(t, l)
	server.CloseNow()
	j.want("close")
	a.Write([]byte("hello"))
	if spinning(l) {
		t.Error("the worker spins")
	}
}
