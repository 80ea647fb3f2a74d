//go:build !ws_unix && !ws_plain

package websocket

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// attached returns a client and a server's connection that l reads for h.
func attached(t testing.TB, l *Loop, h EventHandler, opts Options) (client, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	client = newConn(a, connConfig{client: true, opts: opts.withDefaults()})
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	t.Cleanup(func() { client.CloseNow() })
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// bareAttached is attached with a client that a test drives by hand.
func bareAttached(t testing.TB, l *Loop, h EventHandler, opts Options) (peer *net.TCPConn, server *Conn) {
	t.Helper()
	a, b := tcpPair(t)
	t.Cleanup(func() { a.Close() })
	a.SetDeadline(time.Now().Add(20 * time.Second))
	server = newConn(b, connConfig{opts: opts.withDefaults()})
	if err := l.Attach(server, h); err != nil {
		t.Fatal(err)
	}
	return a.(*net.TCPConn), server
}

// untilNoneIn waits until no goroutine is in the function with that name.
func untilNoneIn(t testing.TB, function string) {
	t.Helper()
	until(t, "no goroutine in "+function, func() bool {
		return !strings.Contains(strings.Join(ourGoroutines(), "\n"), function)
	})
}

// Whoever closes a loop, and however often: it is released once, and who is
// late does not write to a descriptor that is somebody else's by then.
func TestLoopReleasedOnce(t *testing.T) {
	l := newTestLoop(t, 2)
	_, server := attached(t, l, funcHandler{}, Options{})
	late := server.loopTransport()
	go server.CloseNow()
	for range 2 {
		if err := l.Shutdown(bg); err != nil {
			t.Error(err)
		}
	}
	l.Close()
	untilNoneIn(t, "(*runner).run")

	var pipes []*os.File
	for range 32 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		pipes = append(pipes, r, w)
	}
	late.checkInput()
	l.engine.stop()
	for i := 0; i < len(pipes); i += 2 {
		pipes[i+1].Close()
		if got, err := io.ReadAll(pipes[i]); err != nil || len(got) > 0 {
			t.Errorf("a pipe that was opened afterwards brings %x, %v", got, err)
		}
	}
}

// journal is a handler that writes down what it is told, and notices calls that
// overlap.
type journal struct {
	t       testing.TB
	inside  atomic.Int32
	events  chan string
	message func(c *Conn, p string) // or nil
}

func newJournal(t testing.TB) *journal { return &journal{t: t, events: make(chan string, 1000)} }

func (j *journal) enter(event string) {
	if j.inside.Add(1) != 1 {
		j.t.Errorf("%q while another call is under way", event)
	}
	j.events <- event
}

func (j *journal) OnOpen(*Conn) {
	j.enter("open")
	j.inside.Add(-1)
}

func (j *journal) OnMessage(c *Conn, _ MessageType, p []byte) {
	defer j.inside.Add(-1)
	j.enter(string(p))
	if j.message != nil {
		j.message(c, string(p))
	}
}

func (j *journal) OnClose(*Conn, error) {
	j.enter("close")
	j.inside.Add(-1)
}

func (j *journal) want(events ...string) {
	j.t.Helper()
	for _, want := range events {
		select {
		case got := <-j.events:
			if got != want {
				j.t.Fatalf("event %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			j.t.Fatalf("no event, want %q", want)
		}
	}
	select {
	case got := <-j.events:
		j.t.Fatalf("event %q, want no more", got)
	default:
	}
}

// halfAttach is what Attach does up to the moment that c is the loop's; start is
// the rest.
func halfAttach(t testing.TB, l *Loop, c *Conn, h EventHandler) (start func()) {
	t.Helper()
	s := &loopHandler{loop: l, handler: h}
	if err := l.enter(); err != nil {
		t.Fatal(err)
	}
	if err := c.beginRead(bg); err != nil {
		t.Fatal(err)
	}
	ahead, _, err := c.beginWrite(bg, nil, new(outFrame), false)
	if err != nil {
		t.Fatal(err)
	}
	lt, err := l.engine.register(c, s)
	if err != nil {
		t.Fatal(err)
	}
	c.switchTransport(lt)
	c.abandonWrite(ahead)
	c.releaseRead()
	return func() { l.start(c, s) }
}

// settle waits until the loop's one worker has seen all that it was told.
func settle(t testing.TB, l *Loop) {
	t.Helper()
	client, _ := attached(t, l, funcHandler{Message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }}, Options{})
	for range 3 {
		if err := client.Write(bg, Text, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Read(bg); err != nil {
			t.Fatal(err)
		}
	}
	client.CloseNow()
}

// What happens to a connection while it is being attached is told after OnOpen.
func TestLoopOpenComesFirst(t *testing.T) {
	l := newTestLoop(t, 1)
	for _, tr := range loopTransports {
		for name, meanwhile := range map[string]func(*Conn){
			"cut":   func(c *Conn) { c.CloseNow() },
			"input": func(c *Conn) { c.startControlReader() },
		} {
			t.Run(tr.name+"/"+name, func(t *testing.T) {
				a, b := tr.pair(t)
				client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
				defer client.CloseNow()
				server := newConn(b, connConfig{opts: Options{}.withDefaults()})
				client.Write(bg, Text, []byte("hello"))
				j := newJournal(t)
				start := halfAttach(t, l, server, j)
				meanwhile(server)
				settle(t, l)
				j.want()
				start()
				if name == "input" {
					j.want("open", "hello")
					server.CloseNow()
					j.want("close")
				} else {
					j.want("open", "close")
				}
			})
		}
	}
}

// An event that a worker got for a descriptor that has become another worker's
// connection does not bring that to two workers at a time.
func TestLoopStaleEvent(t *testing.T) {
	l := newTestLoop(t, 2)
	for range 20 {
		j := newJournal(t)
		var peer *net.TCPConn
		var p *pollConn
		var stale *epoll.Poller
		ready := make(chan struct{})
		j.message = func(c *Conn, msg string) {
			if msg == "1" {
				<-ready
				stale.Add(int(p.fd), epoll.In)
				peer.Write(frame(OpText, true, true, "2"))
				for j.inside.Load() == 1 && !p.state.has(pollBusy) {
					runtime.Gosched()
				}
			}
		}
		peer, server := bareAttached(t, l, j, Options{})
		p = pollConnOf(server.loopTransport())
		for _, w := range l.engine.workers {
			if w != p.worker {
				stale = w.poll
			}
		}
		close(ready)
		peer.Write(frame(OpText, true, true, "1"))
		j.want("open", "1", "2")
		stale.Remove(int(p.fd))
		server.CloseNow()
		j.want("close")
	}
}

// One of several runners that were replaced at a connection ends: the others
// are still there.
func TestLoopBusyWithSeveral(t *testing.T) {
	l := newTestLoop(t, 1)
	j := newJournal(t)
	release := make(chan struct{})
	j.message = func(*Conn, string) { <-release }
	peer, server := bareAttached(t, l, j, Options{})
	p := pollConnOf(server.loopTransport())
	peer.Write(frame(OpText, true, true, "1"))
	until(t, "the runner is replaced", func() bool { return p.state.has(pollBusy) })
	p.setBusy() // as if another one were replaced while it reads control frames
	p.finishDetached()
	peer.Write(frame(OpText, true, true, "2"))
	settle(t, l)
	j.want("open", "1")
	server.CloseNow()
	settle(t, l)
	j.want()
	release <- struct{}{}
	j.want("close")
}

// The control reader is a goroutine that was started before Attach, and comes after
// it.
func TestLoopLateControlReader(t *testing.T) {
	l := newTestLoop(t, 1)
	j := newJournal(t)
	peer, server := bareAttached(t, l, j, Options{})
	p := pollConnOf(server.loopTransport())
	j.want("open")
	settle(t, l)
	p.mu.Lock()
	p.watchLocked(false, false)
	p.mu.Unlock()
	server.in.wanted.Add(1) // as if for a Ping
	peer.Write(frame(OpText, true, true, "hello"))
	settle(t, l) // it has arrived
	server.readControl(false)
	p.mu.Lock()
	p.watchLocked(true, false)
	p.mu.Unlock()
	j.want("hello")
}

// A reading call that comes while Attach is at work may find the door open for a
// moment. The loop comes back after it.
func TestLoopLateReader(t *testing.T) {
	l := newTestLoop(t, 1)
	for _, tr := range loopTransports {
		t.Run(tr.name, func(t *testing.T) {
			a, b := tr.pair(t)
			defer a.Close()
			server := newConn(b, connConfig{opts: Options{}.withDefaults(), early: frame(OpText, true, true, "early")})
			j := newJournal(t)
			start := halfAttach(t, l, server, j)
			if !server.in.readLock.tryLock() { // what such a call does
				t.Fatal("the read lock is held")
			}
			start()
			settle(t, l)
			j.want("open")
			server.releaseRead()
			j.want("early")
			server.CloseNow()
			j.want("close")
		})
	}
}

// A pong that has arrived behind a message is seen while the handler has that.
func TestLoopPongBehindMessage(t *testing.T) {
	l := newTestLoop(t, 1)
	for _, first := range []string{"", "1"} { // what the handler is at when the ping is sent
		t.Run("handling "+first, func(t *testing.T) {
			j := newJournal(t)
			sent, ponged := make(chan struct{}), make(chan struct{})
			j.message = func(_ *Conn, msg string) {
				wait := ponged
				if msg == "1" {
					wait = sent
				}
				select {
				case <-wait:
				case <-time.After(10 * time.Second):
					t.Error("Ping does not return")
				}
			}
			peer, server := bareAttached(t, l, j, Options{})
			j.want("open")
			if first != "" {
				peer.Write(frame(OpText, true, true, first))
				until(t, "the runner is replaced", func() bool { return pollConnOf(server.loopTransport()).state.has(pollBusy) })
				j.want(first)
			}
			go func() {
				server.Ping(bg)
				close(ponged)
			}()
			ping, err := (&frameReader{nc: peer}).next()
			if err != nil || ping.Opcode != OpPing {
				t.Fatal(ping, err)
			}
			peer.Write(append(frame(OpText, true, true, "2"), frame(OpPong, true, true, ping.payload)...))
			settle(t, l)
			close(sent)
			j.want("2")
			<-ponged
			server.CloseNow()
			j.want("close")
		})
	}
}
