package wstest

import (
	"fmt"
	"sync"
	"testing"
)

// Handler is an EventHandler of functions, each of which may be nil. C is the library's
// *Conn, and T is its MessageType.
type Handler[C, T any] struct {
	Open    func(C)
	Message func(C, T, []byte)
	Close   func(C, error)
}

func (h Handler[C, T]) OnOpen(c C) {
	if h.Open != nil {
		h.Open(c)
	}
}

func (h Handler[C, T]) OnMessage(c C, typ T, p []byte) {
	if h.Message != nil {
		h.Message(c, typ, p)
	}
}

func (h Handler[C, T]) OnClose(c C, err error) {
	if h.Close != nil {
		h.Close(c, err)
	}
}

// Never is a handler that must not be called.
func Never[C, T any](t testing.TB) Handler[C, T] {
	return Handler[C, T]{
		Open:    func(C) { t.Error("OnOpen was called") },
		Message: func(C, T, []byte) { t.Error("OnMessage was called") },
		Close:   func(C, error) { t.Error("OnClose was called") },
	}
}

// Recorder is a handler that notes its events, and complains if they overlap or
// something follows the end. It calls the functions of On in the middle of them.
type Recorder[C, T any] struct {
	T      testing.TB
	On     Handler[C, T]
	Closed chan error // what OnClose was told

	busy sync.Mutex
	log  []string
}

// Record returns a Recorder.
func Record[C, T any](t testing.TB, on Handler[C, T]) *Recorder[C, T] {
	return &Recorder[C, T]{T: t, On: on, Closed: make(chan error, 2)}
}

func (r *Recorder[C, T]) begin(event string) {
	if !r.busy.TryLock() {
		r.T.Errorf("%s while another method is under way", event)
		r.busy.Lock()
	}
	if first := len(r.log) == 0; first != (event == "open") || !first && r.log[len(r.log)-1] == "close" {
		r.T.Errorf("%s after %q", event, r.log)
	}
	r.log = append(r.log, event)
}

func (r *Recorder[C, T]) OnOpen(c C) {
	r.begin("open")
	defer r.busy.Unlock()
	r.On.OnOpen(c)
}

func (r *Recorder[C, T]) OnMessage(c C, typ T, p []byte) {
	r.begin(string(p))
	defer r.busy.Unlock()
	r.On.OnMessage(c, typ, p)
}

func (r *Recorder[C, T]) OnClose(c C, err error) {
	r.begin("close")
	defer r.busy.Unlock()
	r.On.OnClose(c, err)
	r.Closed <- err
}

// End waits for the end, compares the messages that came before, and returns what
// OnClose was told.
func (r *Recorder[C, T]) End(t testing.TB, messages ...string) error {
	t.Helper()
	err := Receive(t, r.Closed)
	r.busy.Lock()
	defer r.busy.Unlock()
	if got, want := fmt.Sprint(r.log), fmt.Sprint(append(append([]string{"open"}, messages...), "close")); got != want {
		t.Errorf("events %v, want %v", got, want)
	}
	return err
}
