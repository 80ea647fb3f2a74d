package chat

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// testLimits are small, so that a test can reach them.
var testLimits = limits{
	name: 10, room: 8, text: 20,
	conns: 100, connsPerAddress: 100, joinTimeout: 10 * time.Second,
	rooms: 3, people: 3, history: 4, recent: 6, buffer: 1 << 20,
	rate: 1e6, burst: 1e6, maxRefusals: 10,
	keepEmpty: time.Hour,
}

// event is anything that the server sends.
type event struct {
	Type   string
	Room   string
	Server string
	You    string
	People []personInfo
	Rooms  []roomInfo
	Limits limitsInfo
	ID     string
	From   string
	Name   string
	Was    string
	Text   string
	At     int64
	On     bool
	T      float64
	RTT    float64
	Code   string
	Wait   int64

	Messages []event

	// Between welcome and ready; see join.
	History   []event // the messages
	Elsewhere []event // those of a history
}

func decodeEvent(t *testing.T, data []byte) event {
	t.Helper()
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return e
}

func mustServer(t *testing.T, o Options, l limits) *Server {
	t.Helper()
	s, err := newServer(o, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inBubble runs f with a server, in a synctest bubble.
func inBubble(t *testing.T, l limits, f func(t *testing.T, s *Server)) {
	synctest.Test(t, func(t *testing.T) {
		s := mustServer(t, Options{}, l)
		t.Cleanup(func() {
			if err := s.Shutdown(context.Background()); err != nil {
				t.Error("shutdown:", err)
			}
		})
		f(t, s)
	})
}

// page is the other end of a connection.
type page struct {
	t    *testing.T
	conn *websocket.Conn
}

// visit serves one end of a pipe and returns the other. It is for tests in a
// bubble.
func visit(t *testing.T, s *Server) *page {
	near, far := websocket.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve(far)
	}()
	t.Cleanup(func() {
		near.CloseNow()
		<-done
	})
	return &page{t, near}
}

// key returns a key that belongs to that name.
func key(name string) string { return "the secret key of " + name }

// send sends a message, or anything else that has a form in JSON.
func (p *page) send(v any) {
	p.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	p.sendText(string(data))
}

func (p *page) sendText(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.Text, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// join enters a room and returns the welcome, with the history.
func (p *page) join(room, name string) event {
	p.t.Helper()
	return p.joinAs(key(name), room, name)
}

func (p *page) joinAs(key, room, name string) event {
	p.t.Helper()
	p.send(incoming{Type: "join", Room: room, Name: name, Key: key})
	w := p.expect("welcome")
	for {
		switch e := p.next(); e.Type {
		case "message":
			w.History = append(w.History, e)
		case "history":
			w.Elsewhere = append(w.Elsewhere, e.Messages...)
		case "ready":
			if w.Room != room || e.Room != room {
				p.t.Fatalf("welcome is %+v, ready %+v", w, e)
			}
			return w
		}
	}
}

func (p *page) say(id, text string) {
	p.t.Helper()
	p.send(incoming{Type: "say", ID: id, Text: text})
}

// leave ends the connection, and returns when the server knows.
func (p *page) leave() {
	p.conn.CloseNow()
	synctest.Wait()
}

// read returns the next event.
func (p *page) read(patience time.Duration) (event, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	if err != nil {
		return event{}, err
	}
	return decodeEvent(p.t, data), nil
}

func (p *page) next() event {
	p.t.Helper()
	e, err := p.read(time.Minute)
	if err != nil {
		p.t.Fatalf("reading: %v", err)
	}
	return e
}

// expect reads until an event of that type comes. An error is never passed
// over.
func (p *page) expect(typ string) event {
	p.t.Helper()
	for {
		e := p.next()
		if e.Type == typ {
			return e
		}
		if e.Type == "error" {
			p.t.Fatalf("got %+v instead of %s", e, typ)
		}
	}
}

// follows reads the next event, which has to be of that type. The lists of
// rooms, which come at a time of their own, are passed over.
func (p *page) follows(typ string) event {
	p.t.Helper()
	for {
		e := p.next()
		if e.Type == typ {
			return e
		}
		if e.Type != "rooms" {
			p.t.Fatalf("got %+v instead of %s", e, typ)
		}
	}
}

// silent checks that nothing comes but lists of rooms, as long as nobody does
// anything.
func (p *page) silent() {
	p.t.Helper()
	for {
		synctest.Wait()
		e, err := p.read(time.Nanosecond)
		if err != nil {
			return
		}
		if e.Type != "rooms" {
			p.t.Fatalf("got %+v", e)
		}
	}
}

// refused reads the next event, which has to be a refusal with that code.
func (p *page) refused(code string) event {
	p.t.Helper()
	e := p.follows("error")
	if e.Code != code {
		p.t.Errorf("got %+v, not a refusal with %s", e, code)
	}
	return e
}

// expectClose reads until the server closes, and checks the code.
func (p *page) expectClose(code websocket.StatusCode, reason string) (events []event) {
	p.t.Helper()
	for {
		e, err := p.read(time.Minute)
		if err == nil {
			events = append(events, e)
			continue
		}
		ce, ok := err.(*websocket.CloseError)
		if !ok || ce.Code != code || ce.Reason != reason || !ce.Remote {
			p.t.Fatalf("the connection ended with %v", err)
		}
		return events
	}
}
