package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// page is the other end of a connection.
type page struct {
	t    *testing.T
	conn *websocket.Conn
}

// visit serves one end of a pipe and returns the other. It is for tests in a
// synctest bubble.
func visit(t *testing.T, h *hub) *page {
	near, far := websocket.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(far, h)
		far.Close(websocket.StatusNormalClosure, "")
	}()
	t.Cleanup(func() {
		near.CloseNow()
		<-done
	})
	return &page{t, near}
}

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

func (p *page) join(room, name string) event {
	p.t.Helper()
	p.send(incoming{Type: "join", Room: room, Name: name, Key: key(name)})
	return p.expect("welcome")
}

// next returns the next event.
func (p *page) next() event {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatalf("reading: %v", err)
	}
	return decodeEvent(p.t, data)
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

// expectClose reads until the server closes, and checks the code.
func (p *page) expectClose(code websocket.StatusCode, reason string) (events []event) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	for {
		_, data, err := p.conn.Read(ctx)
		if err == nil {
			events = append(events, decodeEvent(p.t, data))
			continue
		}
		ce, ok := err.(*websocket.CloseError)
		if !ok || ce.Code != code || ce.Reason != reason || !ce.Remote {
			p.t.Fatalf("the connection ended with %v", err)
		}
		return events
	}
}

func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(defaultLimits)
		ada, bo := visit(t, h), visit(t, h)
		ada.join(lobby, "Ada")
		id := bo.join(lobby, "Bo").You
		ada.expect("joined")
		bo.send(incoming{Type: "typing", On: true})
		if e := ada.expect("typing"); e.From != id || !e.On {
			t.Errorf("typing is %+v", e)
		}
		bo.send(incoming{Type: "say", ID: "1", Text: "hello"})
		if e := ada.expect("message"); e.Text != "hello" || e.From != id || e.ID != "1" {
			t.Errorf("message is %+v", e)
		}
		bo.expect("ack")
		bo.send(incoming{Type: "rename", Name: "Bob"})
		if e := ada.expect("renamed"); e.Name != "Bob" || e.Was != "Bo" {
			t.Errorf("renamed is %+v", e)
		}
		bo.send(incoming{Type: "ping", T: 1.25})
		if e := bo.expect("pong"); e.T != 1.25 {
			t.Errorf("pong is %+v", e)
		}
		bo.conn.Close(websocket.StatusGoingAway, "")
		if e := ada.expect("left"); e.From != id || e.Name != "Bob" {
			t.Errorf("left is %+v", e)
		}
	})
}

// The round trip that the server has measured is in the pong.
func TestServerRTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := websocket.Pipe()
		defer near.CloseNow()
		go serve(far, newHub(defaultLimits))
		p := &page{t, near}
		p.send(incoming{Type: "ping"})
		if e := p.expect("pong"); e.RTT != 0 {
			t.Errorf("a round trip of %v ms, before there was one", e.RTT)
		}
		// The server's ping waits until the page attends to its end of the
		// connection, which it does to get an answer of its own.
		synctest.Wait()
		go far.Ping(t.Context())
		time.Sleep(40 * time.Millisecond)
		if _, err := near.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.send(incoming{Type: "ping"})
		if e := p.expect("pong"); e.RTT != 40 {
			t.Errorf("a round trip of %v ms, not 40", e.RTT)
		}
	})
}

// Whatever a page sends, it gets an answer that says what is wrong, the
// connection goes on, and nobody else notices.
func TestNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(defaultLimits)
		ada, bo := visit(t, h), visit(t, h)
		ada.join(lobby, "Ada")
		bo.join(lobby, "Bo")
		for _, test := range []struct{ text, code string }{
			{`not JSON`, "bad-json"},
			{`[1]`, "bad-json"},
			{`{"type":7}`, "bad-json"},
			{`{"type":"say","id":"1","text":"x"} and more`, "bad-json"},
			{strings.Repeat("[", 10_000), "bad-json"},
			{`{}`, "bad-type"},
			{`{"type":"shout"}`, "bad-type"},
			{`{"type":"join","room":"a b","name":"Ada","key":"0123456789abcdef"}`, "bad-room"},
			{`{"type":"rename","name":""}`, "bad-name"},
			{`{"type":"say","text":"x"}`, "bad-id"},
		} {
			ada.sendText(test.text)
			if e := ada.expect("error"); e.Code != test.code || e.Text == "" {
				t.Errorf("%.40s: %+v, want %s", test.text, e, test.code)
			}
			time.Sleep(time.Second) // this is about sense, not about speed
		}
		if err := ada.conn.Write(t.Context(), websocket.Binary, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		if e := ada.expect("error"); e.Code != "bad-type" {
			t.Errorf("binary: %+v", e)
		}
		ada.send(incoming{Type: "say", ID: "9", Text: strings.Repeat("x", 2001)})
		if e := ada.expect("error"); e.Code != "text-too-long" || e.ID != "9" {
			t.Errorf("long text: %+v", e)
		}
		ada.send(incoming{Type: "say", ID: "10", Text: "sorry"})
		ada.expect("ack")
		if e := bo.expect("message"); e.Seq != 1 || e.Text != "sorry" {
			t.Errorf("message is %+v", e)
		}
	})
}

// Who sends too much is told to wait, and for how long; who does not listen is
// cut off.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := defaultLimits
		h := newHub(l)
		ada := visit(t, h)
		ada.join(lobby, "Ada")
		say := func(id string) { ada.send(incoming{Type: "say", ID: id, Text: "text"}) }
		for i := range l.burst - 1 { // joining was one
			say(fmt.Sprint(i))
			ada.expect("ack")
		}
		say("too much")
		e := ada.expect("error")
		if e.Code != "slow-down" || e.ID != "too much" || e.Wait < 1 || e.Wait > 1000 {
			t.Fatalf("error is %+v", e)
		}
		time.Sleep(time.Duration(e.Wait) * time.Millisecond)
		say("too much")
		if e := ada.expect("ack"); e.ID != "too much" {
			t.Errorf("ack is %+v", e)
		}

		for range l.strikes {
			ada.send(incoming{Type: "ping"})
			if e := ada.expect("error"); e.Code != "slow-down" || e.ID != "" {
				t.Fatalf("error is %+v", e)
			}
		}
		ada.send(incoming{Type: "ping"})
		ada.expectClose(errFlood.code, errFlood.reason)
	})
}

// A page that does not read is dropped with 1013, having got whole messages
// without a gap, and the others lose nothing and wait for nothing.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := defaultLimits
		l.queue = 20
		l.rate, l.burst = 1e6, 1e6
		h := newHub(l)
		slow, ada, bo := visit(t, h), visit(t, h), visit(t, h)
		slow.join(lobby, "Slow")
		ada.join(lobby, "Ada")
		bo.join(lobby, "Bo")

		// The pipe holds some, the queue holds some, this is more than both.
		start := time.Now()
		text := strings.Repeat("slow ", 400)
		left := false
		for i := range 200 {
			ada.send(incoming{Type: "say", ID: fmt.Sprint(i), Text: text})
			ada.expect("ack")
			e := bo.next()
			for ; e.Type != "message"; e = bo.next() {
				left = left || e.Type == "left" && e.Name == "Slow"
			}
			if e.Seq != i+1 || len(e.Text) < 1999 {
				t.Fatalf("message %d is number %d, with %d characters", i+1, e.Seq, len(e.Text))
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the others have waited %v", took)
		}
		if !left {
			t.Error("the slow reader is still there")
		}

		// The close frame is behind what was sent before.
		seq := 0
		for _, e := range slow.expectClose(errSlow.code, errSlow.reason) {
			if e.Type != "message" {
				continue
			}
			if seq++; e.Seq != seq {
				t.Fatalf("message %d comes after %d", e.Seq, seq-1)
			}
		}
		if seq == 0 || seq >= 200 {
			t.Errorf("the slow reader got %d messages", seq)
		}

		// Back again, it gets the last ones as history.
		again := visit(t, h)
		if w := again.join(lobby, "Slow"); len(w.History) != l.history || w.History[l.history-1].Seq != 200 {
			t.Errorf("history has %d messages", len(w.History))
		}
	})
}

// A page that never reads again cannot keep its connection open.
func TestDeafReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := defaultLimits
		l.queue = 5
		l.rate, l.burst = 1e6, 1e6
		h := newHub(l)
		near, far := websocket.Pipe()
		defer near.CloseNow()
		served := make(chan struct{})
		go func() {
			serve(far, h)
			close(served)
		}()
		deaf := &page{t, near}
		deaf.join(lobby, "Deaf")
		ada := visit(t, h)
		ada.join(lobby, "Ada")
		for i := range 100 {
			ada.send(incoming{Type: "say", ID: fmt.Sprint(i), Text: strings.Repeat("deaf ", 400)})
			ada.expect("ack")
		}
		start := time.Now()
		<-served
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("it took %v to get rid of it", took)
		}
	})
}
