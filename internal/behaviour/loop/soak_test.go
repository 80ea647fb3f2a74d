package loop_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// soakConn is one connection of the soak test, and the server's handler for it.
// Each message starts with the connection's number, its own number, and what is
// to be done with it.
type soakConn struct {
	t      *testing.T
	id     uint32
	rnd    *rand.Rand
	raw    net.Conn // under the client's TLS, if any
	client *websocket.Conn
	sent   uint32 // by the client

	// Of the handler.
	inside atomic.Int32
	opened atomic.Bool
	seen   uint32
	doomed atomic.Bool // it may end at any moment
	closed chan error
}

const soakHead = 9

// What a message asks of the handler.
const (
	soakEcho   = iota
	soakBlock  // for a while, then echo
	soakStream // echo by a Writer
	soakPing   // ping the client, then echo
	soakPanic  // and what follows ends the connection
	soakAbort
	soakGoexit
	soakClose
	soakCut
	soakStall // until the connection has ended
)

func (s *soakConn) enter() {
	if s.inside.Add(1) != 1 {
		s.t.Errorf("connection %d: calls overlap", s.id)
	}
}

func (s *soakConn) OnOpen(c *websocket.Conn) {
	s.enter()
	defer s.inside.Add(-1)
	s.opened.Store(true)
}

func (s *soakConn) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	s.enter()
	defer s.inside.Add(-1)
	if !s.opened.Load() {
		s.t.Errorf("connection %d: a message before OnOpen", s.id)
	}
	if id, n := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:]); id != s.id || n != s.seen {
		s.t.Errorf("connection %d: message %d of connection %d, want its own %d", s.id, n, id, s.seen)
	}
	s.seen++
	switch p[8] {
	case soakBlock:
		time.Sleep(time.Duration(s.seen%8) * time.Millisecond)
	case soakStream:
		w, err := c.Writer(bg, typ)
		for len(p) > 0 && err == nil {
			n := min(len(p), 5000)
			_, err = w.Write(p[:n])
			p = p[n:]
		}
		if err == nil {
			err = w.Close()
		}
		s.check("echo in parts", err)
		return
	case soakPing:
		_, err := c.Ping(bg)
		s.check("ping in a handler", err)
	case soakPanic:
		panic("soak")
	case soakAbort:
		panic(http.ErrAbortHandler)
	case soakGoexit:
		runtime.Goexit()
	case soakClose:
		c.Close(websocket.StatusNormalClosure, "soak")
	case soakCut:
		c.CloseNow()
	case soakStall:
		<-c.Context().Done()
	}
	s.check("echo", c.Write(bg, typ, p))
}

func (s *soakConn) OnClose(_ *websocket.Conn, err error) {
	s.enter()
	defer s.inside.Add(-1)
	if !s.opened.Load() {
		s.t.Errorf("connection %d: OnClose before OnOpen", s.id)
	}
	s.check("end", err)
	s.closed <- err // a second one would block
}

func (s *soakConn) check(what string, err error) {
	if err != nil && !s.doomed.Load() {
		s.t.Errorf("connection %d: %s: %v", s.id, what, err)
	}
}

// message makes the n-th message. What is in it can be told from its number.
func (s *soakConn) message(n uint32, op byte, size int) []byte {
	p := make([]byte, soakHead+size)
	binary.BigEndian.PutUint32(p, s.id)
	binary.BigEndian.PutUint32(p[4:], n)
	p[8] = op
	copy(p[soakHead:], soakContent()[n%1000:])
	return p
}

var soakContent = sync.OnceValue(func() []byte {
	p := make([]byte, 1<<20+1000)
	for i := range p {
		p[i] = byte(i>>4) ^ byte(i*i>>12)
	}
	return p
})

func (s *soakConn) size() int {
	if s.rnd.IntN(40) == 0 {
		return s.rnd.IntN(1<<20 - soakHead)
	}
	return s.rnd.IntN(1 << s.rnd.IntN(16))
}

// send sends messages, and tells what to expect.
func (s *soakConn) send(ops ...byte) (sent <-chan error, want [][]byte) {
	want = make([][]byte, len(ops))
	parts := s.rnd.IntN(4) == 0
	for i, op := range ops {
		want[i] = s.message(s.sent, op, s.size())
		s.sent++
	}
	result := make(chan error, 1)
	go func() {
		defer close(result)
		var err error
		for _, p := range want {
			if !parts {
				err = s.client.Write(bg, websocket.Binary, p)
			} else {
				var w io.WriteCloser
				if w, err = s.client.Writer(bg, websocket.Binary); err == nil {
					for len(p) > 0 && err == nil {
						n := min(len(p), 3000)
						_, err = w.Write(p[:n])
						p = p[n:]
					}
					if err == nil {
						err = w.Close()
					}
				}
			}
			if err != nil {
				break
			}
		}
		result <- err
	}()
	return result, want
}

// receive reads what is wanted, and reports whether it came.
func (s *soakConn) receive(want [][]byte, slow bool) bool {
	for _, p := range want {
		if slow {
			time.Sleep(time.Millisecond)
		}
		_, got, err := s.client.Read(bg)
		s.check("read", err)
		if err != nil {
			return false
		}
		if !bytes.Equal(got, p) {
			s.t.Errorf("connection %d: %d bytes that start with %x, want %d with %x", s.id, len(got), got[:min(len(got), soakHead)], len(p), p[:soakHead])
			return false
		}
	}
	return true
}

// exchange has messages sent back.
func (s *soakConn) exchange(slow bool, ops ...byte) bool {
	sent, want := s.send(ops...)
	ok := s.receive(want, slow)
	if !ok {
		s.client.CloseNow()
	}
	s.check("write", <-sent)
	return ok
}

// act does something that the connection survives.
func (s *soakConn) act() bool {
	switch s.rnd.IntN(8) {
	case 0:
		return s.exchange(false, make([]byte, 1+s.rnd.IntN(40))...) // pipelined
	case 1:
		return s.exchange(true, make([]byte, 20)...) // by a slow reader
	case 2:
		return s.exchange(false, soakEcho, soakBlock, soakEcho)
	case 3:
		return s.exchange(false, soakStream, soakEcho)
	case 4:
		pinged := make(chan error)
		go func() {
			_, err := s.client.Ping(bg)
			pinged <- err
		}()
		ok := s.exchange(false, soakEcho, soakBlock)
		s.check("ping", <-pinged)
		return ok
	case 5:
		return s.exchange(false, soakPing)
	}
	return s.exchange(false, soakEcho)
}

// finish ends the connection in some way, while echoes are on their way.
func (s *soakConn) finish(server *websocket.Conn) {
	s.doomed.Store(true)
	ops := make([]byte, s.rnd.IntN(10))
	if s.rnd.IntN(2) == 0 {
		op := soakPanic + byte(s.rnd.IntN(soakStall-soakPanic))
		if s.rnd.IntN(30) == 0 {
			op = soakStall // takes a few seconds
		}
		ops = append(ops, op, soakEcho)
	}
	sent, want := s.send(ops...)
	how := s.rnd.IntN(8)
	switch how {
	case 0:
		go s.client.Close(websocket.StatusNormalClosure, "")
	case 1:
		go server.Close(websocket.StatusGoingAway, "")
	case 2:
		s.client.CloseNow()
	case 3:
		server.CloseNow()
	case 4, 5:
		if raw, ok := s.raw.(*net.TCPConn); ok {
			if how == 4 {
				raw.SetLinger(0)
				raw.Close()
			} else {
				raw.CloseWrite()
			}
			break
		}
		go s.client.Close(websocket.StatusNormalClosure, "")
	case 6:
		go func() {
			runtime.Gosched()
			server.CloseNow()
		}()
	default:
		go func() {
			select {
			case <-sent:
			case <-time.After(2 * time.Second): // a handler that stalls takes nothing
			}
			s.client.Close(websocket.StatusNormalClosure, "")
		}()
	}
	if s.receive(want, false) {
		s.client.Read(bg) // up to the end
	}
	s.client.CloseNow()
	<-sent
}

func (s *soakConn) run(l *websocket.Loop, server *websocket.Conn) {
	if err := l.Attach(server, s); err != nil {
		s.t.Errorf("connection %d: %v", s.id, err)
		return
	}
	ok := true
	for n := s.rnd.IntN(12); ok && n > 0; n-- {
		ok = s.act()
	}
	s.finish(server)
	select {
	case <-s.closed:
	case <-time.After(time.Minute):
		s.t.Errorf("connection %d: OnClose was not called", s.id)
	}
}

// TestLoopSoak has many connections do at random what connections do.
func TestLoopSoak(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	stop := make(chan struct{})
	time.AfterFunc(soakTime(t), func() { close(stop) })
	quiet := slog.New(slog.DiscardHandler)
	l, err := websocket.NewLoop(&websocket.LoopOptions{Workers: 2, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var made atomic.Uint32
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for rnd := rand.New(rand.NewPCG(seed, uint64(i))); !t.Failed(); {
				select {
				case <-stop:
					return
				default:
				}
				server, s := newSoakConn(t, rnd, made.Add(1), quiet)
				s.run(l, server)
				s.client.CloseNow()
				server.CloseNow()
			}
		})
	}
	wg.Wait()

	// The last ones are in the middle of something when the loop ends.
	var last []*soakConn
	for i := range 30 {
		rnd := rand.New(rand.NewPCG(seed, 1000+uint64(i)))
		server, s := newSoakConn(t, rnd, made.Add(1), quiet)
		if err := l.Attach(server, s); err != nil {
			t.Fatal(err)
		}
		last = append(last, s)
		s.doomed.Store(true)
		wg.Go(func() {
			for s.act() {
			}
			s.client.CloseNow()
		})
	}
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for _, s := range last {
		if len(s.closed) != 1 {
			t.Errorf("connection %d: %d times OnClose", s.id, len(s.closed))
		}
	}
	t.Logf("%d connections", made.Load())
}
