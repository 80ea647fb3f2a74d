package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestConversation(t *testing.T) {
	inBubble(t, defaultLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
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
	inBubble(t, defaultLimits, func(t *testing.T, s *Server) {
		near, far := websocket.Pipe()
		defer near.CloseNow()
		go s.serve(far)
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

// A page that sends an invalid message gets an answer that says what is wrong, the
// connection goes on, and nobody else notices.
func TestNonsense(t *testing.T) {
	inBubble(t, defaultLimits, func(t *testing.T, s *Server) {
		ada, bo := visit(t, s), visit(t, s)
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
		if e := bo.expect("message"); e.ID != "10" || e.Text != "sorry" {
			t.Errorf("message is %+v", e)
		}
	})
}

// A client that sends too much is told how long to wait; one that does not wait is cut
// off.
func TestRate(t *testing.T) {
	l := defaultLimits
	inBubble(t, l, func(t *testing.T, s *Server) {
		ada := visit(t, s)
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

		for range l.maxRefusals {
			ada.send(incoming{Type: "ping"})
			if e := ada.expect("error"); e.Code != "slow-down" || e.ID != "" {
				t.Fatalf("error is %+v", e)
			}
		}
		ada.send(incoming{Type: "ping"})
		ada.expectClose(websocket.StatusPolicyViolation, "too many messages")
	})
}

// A page that does not read is dropped with 1013, having got whole messages
// without a gap, and the others lose nothing and wait for nothing.
func TestSlowReader(t *testing.T) {
	l := defaultLimits
	l.rate, l.burst = 1e6, 1e6
	inBubble(t, l, func(t *testing.T, s *Server) {
		slow, ada, bo := visit(t, s), visit(t, s), visit(t, s)
		slow.join(lobby, "Slow")
		ada.join(lobby, "Ada")
		bo.join(lobby, "Bo")

		// The pipe holds some, the connection some more, this is more than both.
		const messages = 500
		start := time.Now()
		text := strings.Repeat("slow ", 400)
		left := false
		for i := range messages {
			ada.say(fmt.Sprint(i), text)
			ada.expect("ack")
			e := bo.next()
			for ; e.Type != "message"; e = bo.next() {
				left = left || e.Type == "left" && e.Name == "Slow"
			}
			if e.ID != fmt.Sprint(i) || len(e.Text) < 1999 {
				t.Fatalf("message %d is %s, with %d characters", i, e.ID, len(e.Text))
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the others have waited %v", took)
		}
		if !left {
			t.Error("the slow reader is still there")
		}

		// The close frame is behind what was sent before.
		n := 0
		for _, e := range slow.expectClose(websocket.StatusTryAgainLater, "too slow") {
			if e.Type != "message" {
				continue
			}
			if e.ID != fmt.Sprint(n) {
				t.Fatalf("message %s comes where %d should", e.ID, n)
			}
			n++
		}
		if n == 0 || n == messages {
			t.Errorf("the slow reader got %d messages", n)
		}

		// Back again, it gets the last ones as history.
		w := visit(t, s).join(lobby, "Slow")
		if n := len(w.History); n != l.history || w.History[n-1].ID != fmt.Sprint(messages-1) {
			t.Errorf("history has %d messages", n)
		}
	})
}

// A page that never reads again cannot keep its connection open, whether what it
// does not read is what others say, or answers to itself.
func TestDeafReader(t *testing.T) {
	l := defaultLimits
	l.rate, l.burst = 1e6, 1e6
	for name, disturb := range map[string]func(ada, deaf *page, i int){
		"others": func(ada, _ *page, i int) {
			ada.say(fmt.Sprint(i), strings.Repeat("deaf ", 400))
			ada.expect("ack")
		},
		"answers": func(_, deaf *page, _ int) {
			deaf.conn.Write(deaf.t.Context(), websocket.Text, []byte("{}")) // fails in the end
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, l, func(t *testing.T, s *Server) {
				near, far := websocket.Pipe()
				defer near.CloseNow()
				served := make(chan struct{})
				go func() {
					s.serve(far)
					close(served)
				}()
				deaf, ada := &page{t, near}, visit(t, s)
				deaf.join(lobby, "Deaf")
				ada.join(lobby, "Ada")
				for i := 0; far.Context().Err() == nil; i++ {
					if i == 20_000 {
						t.Fatal("it is still there")
					}
					disturb(ada, deaf, i)
				}
				start := time.Now()
				<-served
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %v to get rid of it", took)
				}
			})
		})
	}
}
