package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/fullduplex-go/websocket"
)

var bg = context.Background()

// TestMain fails the run if the tests leave goroutines behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if left := leaked(); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "leaked goroutines:\n%s\n", strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// leaked waits until the goroutines of this module are gone, and returns those
// that are left after a while.
func leaked() (left []string) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left = nil
		buf := make([]byte, 8<<20)
		buf = buf[:runtime.Stack(buf, true)]
		for i, g := range strings.Split(string(buf), "\n\n") {
			if i > 0 && strings.Contains(g, "fullduplex-go/websocket") {
				left = append(left, g)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// eventually waits until a condition holds, which a background goroutine causes.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

// joined has the messages of which each value of websocket.JoinPrepared consists, by
// weak pointer.
var joined sync.Map

func init() {
	joinPrepared = func(ms ...*websocket.PreparedMessage) (*websocket.PreparedMessage, error) {
		m, err := websocket.JoinPrepared(ms...)
		if len(ms) > 1 && err == nil {
			w := weak.Make(m)
			joined.Store(w, slices.Clone(ms))
			runtime.AddCleanup(m, func(w weak.Pointer[websocket.PreparedMessage]) { joined.Delete(w) }, w)
		}
		return m, err
	}
}

// messagesIn returns the messages that the hub has joined to m, or m.
func messagesIn(m *websocket.PreparedMessage) []*websocket.PreparedMessage {
	if all, ok := joined.Load(weak.Make(m)); ok {
		return all.([]*websocket.PreparedMessage)
	}
	return []*websocket.PreparedMessage{m}
}

// fake is a connection that records its messages. While it is stalled it takes room
// more messages and sends none.
type fake struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	sent    []*websocket.PreparedMessage // and what is queued, at the end
	stalled bool
	room    int
	queued  int
	others  int // bytes that others have queued; with room 0 they leave no room
	drained chan struct{}
	ended   error
	closes  []string      // calls of Close
	sends   int           // successful calls of SendPrepared
	block   chan struct{} // SendPrepared waits for it, which no real connection does
	blocked chan struct{} // closed when it does
}

// fakeSize is how many bytes a fake says that a message takes in its queue.
const fakeSize = keepUpBytes + 1

func newFake() *fake {
	f := new(fake)
	f.ctx, f.cancel = context.WithCancelCause(bg)
	return f
}

// newStalled returns a fake that takes room messages before it is full.
func newStalled(room int) *fake {
	f := newFake()
	f.stalled, f.room = true, room
	if room == 0 {
		f.others = 1
	}
	return f
}

func (f *fake) SendPrepared(m *websocket.PreparedMessage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.block != nil {
		close(f.blocked)
		<-f.block
		f.block = nil
	}
	all := messagesIn(m)
	switch {
	case f.ended != nil:
		return f.ended
	case f.stalled && f.queued+len(all) > f.room:
		return websocket.ErrBackpressure
	case f.stalled:
		f.queued += len(all)
	}
	f.sent = append(f.sent, all...)
	f.sends++
	return nil
}

func (f *fake) Buffered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queued*fakeSize + f.others
}

func (f *fake) Drained() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained == nil {
		f.drained = make(chan struct{})
	}
	d := f.drained
	f.tellLocked()
	return d
}

func (f *fake) tellLocked() {
	if f.drained != nil && (f.queued+f.others == 0 || f.ended != nil) {
		close(f.drained)
		f.drained = nil
	}
}

func (f *fake) LimitUnsent(int) error    { return errors.ErrUnsupported }
func (f *fake) Context() context.Context { return f.ctx }

func (f *fake) AfterClose(g func()) (stop func() bool, err error) { return afterClose(f.ctx, g) }

// afterClose is AfterClose for a connection with that context.
func afterClose(ctx context.Context, f func()) (stop func() bool, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return context.AfterFunc(ctx, f), nil
}

func (f *fake) Close(code websocket.StatusCode, reason string) error {
	f.mu.Lock()
	f.closes = append(f.closes, fmt.Sprintf("%d %s", code, reason))
	f.mu.Unlock()
	f.end()
	return nil
}

// end ends the connection.
func (f *fake) end() {
	err := &websocket.CloseError{Code: websocket.StatusGoingAway}
	f.mu.Lock()
	f.ended = err
	f.tellLocked()
	f.mu.Unlock()
	f.cancel(err)
}

// read makes the peer read the queued messages; with on it goes on to read.
func (f *fake) read(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued, f.others = 0, 0
	f.stalled = !on
	f.tellLocked()
}

func (f *fake) prepared() []*websocket.PreparedMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// got returns the contents of the messages that the fake was given.
func (f *fake) got(t *testing.T) []string {
	t.Helper()
	all := []string{}
	for _, m := range f.prepared() {
		all = append(all, content(t, m))
	}
	return all
}

// content returns the content of a message, by sending it.
func content(t *testing.T, m *websocket.PreparedMessage) string {
	t.Helper()
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	if err := server.WritePrepared(bg, m); err != nil {
		t.Fatal(err)
	}
	_, p, err := client.Read(bg)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func newHub(t *testing.T, opts *Options) *Hub {
	h := New(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(bg, 10*time.Second)
		defer cancel()
		h.Shutdown(ctx)
	})
	return h
}

func subscribe(t *testing.T, h *Hub, topic string, c conn, opts *SubscribeOptions) *Subscription {
	t.Helper()
	s, err := h.subscribe(topic, c, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func publish(t *testing.T, h *Hub, topic string, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := h.Publish(topic, websocket.Text, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

func publishKey(t *testing.T, h *Hub, topic, key, m string) {
	t.Helper()
	if err := h.PublishKey(topic, key, websocket.Text, []byte(m)); err != nil {
		t.Fatal(err)
	}
}

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

func words(s string) []string { return strings.Fields(s) }
