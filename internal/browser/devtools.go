package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/fullduplex-go/websocket"
)

// devtools is the connection to Chromium: calls with a number go out, answers
// with that number and events come in. One connection serves all tabs; the
// session in each message tells which tab it is about.
type devtools struct {
	conn *websocket.Conn
	done chan struct{} // closed when no more answers come
	err  error         // why; set before done is closed

	mu      sync.Mutex // guards what follows
	lastID  int
	pending map[int]chan<- answer
	tabs    map[string]*Tab // by session
}

// wireMessage is any message of the protocol: a call, an answer or an event.
type wireMessage struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
		Data    string `json:"data"`
	} `json:"error,omitempty"`
}

// Why calls fail after the browser has closed the connection in the regular
// way, and after a tab has been closed.
var (
	errClosed    = errors.New("the browser is closed")
	errTabClosed = errors.New("the tab is closed")
)

// answer is the result of a call.
type answer struct {
	result json.RawMessage
	err    error
}

func (d *devtools) start(conn *websocket.Conn) {
	d.conn = conn
	d.done = make(chan struct{})
	d.pending = make(map[int]chan<- answer)
	d.tabs = make(map[string]*Tab)
	go d.read()
}

// stop ends the connection and waits for its reader.
func (d *devtools) stop() {
	d.conn.CloseNow() // the browser is gone, there is nobody to say goodbye to
	<-d.done
}

// read hands out what comes in.
func (d *devtools) read() {
	defer close(d.done)
	for msg, err := range d.conn.Messages(context.Background()) {
		if err != nil {
			d.err = err
			return
		}
		var m wireMessage
		if err := json.Unmarshal(msg.Data, &m); err != nil {
			d.err = fmt.Errorf("browser: DevTools sent no JSON: %w", err)
			return
		}
		switch {
		case m.ID != 0:
			d.answer(m)
		case m.Method == "Target.detachedFromTarget":
			d.detached(m.Params)
		default:
			if tab := d.tab(m.SessionID); tab != nil {
				tab.event(m.Method, m.Params)
			}
		}
	}
	d.err = errClosed
}

func (d *devtools) answer(m wireMessage) {
	d.mu.Lock()
	reply := d.pending[m.ID]
	delete(d.pending, m.ID)
	d.mu.Unlock()
	if reply == nil {
		return // the caller has given up
	}
	a := answer{result: m.Result}
	if m.Error != nil {
		a.err = fmt.Errorf("browser: %s %s", m.Error.Message, m.Error.Data)
	}
	reply <- a // has room for one
}

func (d *devtools) tab(session string) *Tab {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tabs[session]
}

// detached ends a tab that is no more. Calls to it would not be answered.
func (d *devtools) detached(params json.RawMessage) {
	var p struct{ SessionID string }
	json.Unmarshal(params, &p) // without a session there is no such tab
	d.mu.Lock()
	defer d.mu.Unlock()
	if tab := d.tabs[p.SessionID]; tab != nil {
		delete(d.tabs, p.SessionID)
		close(tab.gone)
	}
}

// call calls a method of the browser as a whole, and decodes its result into
// result, if that is not nil.
func (d *devtools) call(ctx context.Context, method string, params, result any) error {
	return d.callIn(ctx, "", nil, method, params, result)
}

// callIn calls a method in a session; gone is closed when that ends.
func (d *devtools) callIn(ctx context.Context, session string, gone <-chan struct{}, method string, params, result any) error {
	m := wireMessage{SessionID: session, Method: method}
	if params != nil {
		b, err := json.Marshal(params)
		if err != nil {
			return err
		}
		m.Params = b
	}
	reply := make(chan answer, 1)
	d.mu.Lock()
	d.lastID++
	m.ID = d.lastID
	d.pending[m.ID] = reply
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.pending, m.ID)
		d.mu.Unlock()
	}()

	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := d.conn.Write(ctx, websocket.Text, b); err != nil {
		return fmt.Errorf("browser: %s: %w", method, err)
	}
	select {
	case a := <-reply:
		if a.err != nil {
			return fmt.Errorf("%s: %w", method, a.err)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.result, result)
	case <-gone:
		return fmt.Errorf("browser: %s: %w", method, errTabClosed)
	case <-d.done:
		return fmt.Errorf("browser: %s: %w", method, d.err)
	case <-ctx.Done():
		return fmt.Errorf("browser: %s: %w", method, context.Cause(ctx))
	}
}
