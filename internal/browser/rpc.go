package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/fullduplex-go/websocket"
)

// rpc is the connection to a browser. Calls with a number go out; answers with
// that number and events come in, with DevTools and with WebDriver BiDi. One
// connection serves all pages.
type rpc struct {
	conn  *websocket.Conn
	event func(wireMessage) // called by the reader, so it must not wait for a call
	done  chan struct{}     // closed when no more answers come
	err   error             // the cause; set before done is closed

	mu      sync.Mutex // guards the fields below
	lastID  int
	pending map[int]chan<- answer
}

// wireMessage is any message of the protocols: a call, an answer or an event.
type wireMessage struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"` // of DevTools
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     json.RawMessage `json:"error,omitempty"`
	Message   string          `json:"message,omitempty"` // of an error of BiDi
}

// failure is the error of an answer, or nil.
func (m *wireMessage) failure() error {
	if m.Error == nil {
		return nil
	}
	var devtools struct{ Message, Data string }
	if json.Unmarshal(m.Error, &devtools) == nil {
		return errors.New(strings.TrimSpace(devtools.Message + " " + devtools.Data))
	}
	return fmt.Errorf("%s: %s", m.Error, m.Message) // in BiDi it is a string
}

// errClosed is the error of calls after the browser has closed the connection with a
// closing handshake.
var errClosed = errors.New("the browser is closed")

// answer is the result of a call.
type answer struct {
	result json.RawMessage
	err    error
}

func newRPC(conn *websocket.Conn, event func(wireMessage)) *rpc {
	r := &rpc{conn: conn, event: event, done: make(chan struct{}), pending: make(map[int]chan<- answer)}
	go r.read()
	return r
}

// stop ends the connection and waits for its reader.
func (r *rpc) stop() {
	r.conn.CloseNow() // the browser is gone, so no closing handshake
	<-r.done
}

// read hands answers to their callers, and events to r.event.
func (r *rpc) read() {
	defer close(r.done)
	for msg, err := range r.conn.Messages(context.Background()) {
		if err != nil {
			r.err = err
			return
		}
		var m wireMessage
		if err := json.Unmarshal(msg.Data, &m); err != nil {
			r.err = fmt.Errorf("browser: a message is no JSON: %w", err)
			return
		}
		if m.ID != 0 {
			r.answer(m)
		} else {
			r.event(m)
		}
	}
	r.err = errClosed
}

func (r *rpc) answer(m wireMessage) {
	r.mu.Lock()
	reply := r.pending[m.ID]
	delete(r.pending, m.ID)
	r.mu.Unlock()
	if reply != nil { // otherwise the caller has given up
		reply <- answer{m.Result, m.failure()} // has room for one
	}
}

// call calls a method of the browser as a whole, and decodes its result into
// result, if that is not nil.
func (r *rpc) call(ctx context.Context, method string, params, result any) error {
	return r.callIn(ctx, "", nil, method, params, result)
}

// callIn calls a method in a session of DevTools; gone is closed when that ends.
func (r *rpc) callIn(ctx context.Context, session string, gone <-chan struct{}, method string, params, result any) error {
	if params == nil {
		params = obj{} // BiDi wants parameters in every call
	}
	m := wireMessage{SessionID: session, Method: method}
	var err error
	if m.Params, err = json.Marshal(params); err != nil {
		return err
	}
	reply := make(chan answer, 1)
	r.mu.Lock()
	r.lastID++
	m.ID = r.lastID
	r.pending[m.ID] = reply
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.pending, m.ID)
		r.mu.Unlock()
	}()

	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := r.conn.Write(ctx, websocket.Text, b); err != nil {
		return fmt.Errorf("browser: %s: %w", method, err)
	}
	select {
	case a := <-reply:
		if a.err != nil {
			return fmt.Errorf("browser: %s: %w", method, a.err)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.result, result)
	case <-gone:
		return fmt.Errorf("browser: %s: %w", method, errTabClosed)
	case <-r.done:
		return fmt.Errorf("browser: %s: %w", method, r.err)
	case <-ctx.Done():
		return fmt.Errorf("browser: %s: %w", method, context.Cause(ctx))
	}
}
