package wstest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Conn is what the library's Conn has for LoopReader. T is its MessageType.
type Conn[T any] interface {
	Read(ctx context.Context) (T, []byte, error)
	Context() context.Context
	CloseNow() error
}

// LoopReader is a handler of a Loop that has its messages taken away by Read. As
// long as nobody does so it is stuck, as a connection is that nobody reads. It checks
// that events come in order, one at a time.
type LoopReader[C Conn[T], T any] struct {
	t        testing.TB
	c        C
	messages chan message[T]
	closed   chan struct{} // by OnClose

	busy   sync.Mutex // held in every method; guards what follows
	opened bool
	ended  bool
}

type message[T any] struct {
	typ  T
	data []byte
}

// ReadOnLoop makes a LoopReader for c, which attach attaches to a loop. The test's
// cleanup ends the connection.
func ReadOnLoop[C Conn[T], T any](t testing.TB, c C, attach func(*LoopReader[C, T]) error) *LoopReader[C, T] {
	t.Helper()
	r := &LoopReader[C, T]{t: t, c: c, messages: make(chan message[T]), closed: make(chan struct{})}
	if err := attach(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		select {
		case <-r.closed:
		case <-time.After(patience):
			t.Error("OnClose was not called")
		}
	})
	return r
}

func (r *LoopReader[C, T]) enter(event string, ok func() bool) {
	if !r.busy.TryLock() {
		r.t.Errorf("%s while another method is under way", event)
		r.busy.Lock()
	}
	if !ok() {
		r.t.Errorf("%s out of order: opened %v, ended %v", event, r.opened, r.ended)
	}
}

func (r *LoopReader[C, T]) OnOpen(C) {
	r.enter("OnOpen", func() bool { return !r.opened && !r.ended })
	defer r.busy.Unlock()
	r.opened = true
}

func (r *LoopReader[C, T]) OnMessage(c C, typ T, p []byte) {
	r.enter("OnMessage", func() bool { return r.opened && !r.ended })
	defer r.busy.Unlock()
	select {
	case r.messages <- message[T]{typ, append([]byte{}, p...)}:
	case <-c.Context().Done():
	}
}

func (r *LoopReader[C, T]) OnClose(c C, err error) {
	r.enter("OnClose", func() bool { return r.opened && !r.ended })
	defer r.busy.Unlock()
	r.ended = true
	if again := Third(c.Read(context.Background())); again != err {
		r.t.Errorf("OnClose was told %v, Read returns %v", err, again)
	}
	if cause := context.Cause(c.Context()); cause != err {
		r.t.Errorf("OnClose was told %v, the cause is %v", err, cause)
	}
	close(r.closed)
}

// Read returns the next message.
func (r *LoopReader[C, T]) Read(ctx context.Context) (typ T, p []byte, err error) {
	if ctx.Err() != nil {
		return typ, nil, contextError(ctx)
	}
	select {
	case m := <-r.messages:
		return m.typ, m.data, nil
	case <-r.c.Context().Done(): // OnClose comes later, when the transport is closed
		return typ, nil, context.Cause(r.c.Context())
	case <-ctx.Done():
		return typ, nil, contextError(ctx)
	}
}

func contextError(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
}
