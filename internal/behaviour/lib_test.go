package behaviour_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// program is the behaviour of the library's side of a connection, the same on every
// engine. Its functions may be nil.
type program struct {
	open func(l *lib)
	// message is called with each message. If it returns false the handler
	// returns, as it does behind the last message; an engine with a loop calls
	// CloseNow there.
	message func(l *lib, msg string) bool
	// hold keeps the handler, of an engine that reads by calls, from returning
	// behind the end until letGo is called, so that its CloseNow does not come
	// before what others do at the end.
	hold bool
}

// echo is the commonest handler.
var echo = program{message: func(l *lib, msg string) bool { return l.write(msg) == nil }}

// lib is the library's side of a connection.
type lib struct {
	site   *site
	peer   *peer // nil if the other side is a Conn
	conn   atomic.Pointer[websocket.Conn]
	opened chan struct{} // closed when the connection is there
	done   chan struct{} // closed when the handler has returned, or OnClose
	letGo  func()        // releases a handler that holds
	held   chan struct{} // closed by letGo

	mu     sync.Mutex
	got    []string // messages, in order
	sent   []string // messages accepted without an error, in order
	err    error    // how reading ended; nil if the handler left before
	traced []error  // the arguments of Trace.Close
}

func newLib(s *site) *lib {
	l := &lib{site: s, opened: make(chan struct{}), done: make(chan struct{}), held: make(chan struct{})}
	l.letGo = sync.OnceFunc(func() { close(l.held) })
	return l
}

func (l *lib) c() *websocket.Conn { return l.conn.Load() }

type readFunc func(ctx context.Context) (websocket.MessageType, []byte, error)

// run is the handler of engines that read by calls.
func (l *lib) run(c *websocket.Conn, read readFunc) {
	defer close(l.done)
	l.open(c)
	for {
		_, p, err := read(l.site.ctx)
		if err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			if l.site.program.hold {
				<-l.held
			}
			return
		}
		if !l.message(string(p)) {
			return
		}
	}
}

func (l *lib) open(c *websocket.Conn) {
	l.conn.Store(c)
	close(l.opened)
	if f := l.site.program.open; f != nil {
		f(l)
	}
}

func (l *lib) message(msg string) bool {
	l.mu.Lock()
	l.got = append(l.got, msg)
	l.mu.Unlock()
	f := l.site.program.message
	return f == nil || f(l, msg)
}

// recover swallows the panics that a program makes on purpose, where net/http
// would.
func (l *lib) recover() {
	if v := recover(); v != nil && v != http.ErrAbortHandler && v != errPanic {
		panic(v)
	}
}

// errPanic is the value with which programs panic.
var errPanic = errors.New("a panic on purpose")

// readMessages reads by Conn.Messages, one message per call.
func readMessages(c *websocket.Conn) readFunc {
	return func(ctx context.Context) (websocket.MessageType, []byte, error) {
		for m, err := range c.Messages(ctx) {
			return m.Type, bytes.Clone(m.Data), err // which is on loan up to here
		}
		return c.Read(ctx) // the peer has closed normally, and this says so
	}
}

// events is the handler of engines with a loop.
type events struct{ s *site }

func (e events) OnOpen(c *websocket.Conn) { e.s.find(c).open(c) }

func (e events) OnMessage(c *websocket.Conn, _ websocket.MessageType, p []byte) {
	v, _ := e.s.conns.Load(c)
	if !v.(*lib).message(string(p)) {
		c.CloseNow()
	}
}

func (e events) OnClose(c *websocket.Conn, err error) {
	v, ok := e.s.conns.Load(c)
	if !ok {
		v = e.s.find(c)
	}
	l := v.(*lib)
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	close(l.done)
}

// write writes a text message and notes it if that succeeds. The programs that
// use it write from one goroutine at a time.
func (l *lib) write(msg string) error {
	return l.note(msg, l.c().Write(context.Background(), websocket.Text, []byte(msg)))
}

func (l *lib) send(msg string) error {
	return l.note(msg, l.c().Send(websocket.Text, []byte(msg)))
}

func (l *lib) note(msg string, err error) error {
	if err == nil {
		l.mu.Lock()
		l.sent = append(l.sent, msg)
		l.mu.Unlock()
	}
	return err
}

// messages returns the received messages, after the handler has ended.
func (l *lib) messages(t testing.TB) []string {
	t.Helper()
	wait(t, "the end of the handler", l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// accepted returns the messages that were written without an error.
func (l *lib) accepted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// cause waits for the end of the connection and returns its cause, after a look
// whether all that tells it says the same.
func (l *lib) cause(t testing.TB) *websocket.CloseError {
	t.Helper()
	wait(t, "the end of the handler", l.done)
	wait(t, "the end of Conn.Context", l.c().Context().Done())
	cause := context.Cause(l.c().Context())
	var ce *websocket.CloseError
	if !errors.As(cause, &ce) {
		t.Errorf("the cause is no CloseError: %v", cause)
		return &websocket.CloseError{}
	}
	if !errors.Is(cause, net.ErrClosed) {
		t.Errorf("the cause does not match net.ErrClosed: %v", cause)
	}
	if l.site.opts.Trace == nil {
		return ce // of a Pipe
	}
	var traced []error
	until(t, "Trace.Close is called", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		traced = l.traced
		return len(traced) > 0
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(traced) != 1 || !same(traced[0], ce) {
		t.Errorf("Trace.Close was called with %v, the cause is %v", traced, ce)
	}
	if l.err != nil && !same(l.err, ce) {
		t.Errorf("reading ended with %v, the cause is %v", l.err, ce)
	}
	err := l.c().Write(context.Background(), websocket.Text, []byte("late"))
	if !same(err, ce) {
		t.Errorf("a late Write returns %v, the cause is %v", err, ce)
	}
	return ce
}

func same(err error, ce *websocket.CloseError) bool {
	var got *websocket.CloseError
	return errors.As(err, &got) && got.Code == ce.Code && got.Reason == ce.Reason && got.Remote == ce.Remote &&
		fmt.Sprint(got.Err) == fmt.Sprint(ce.Err)
}
