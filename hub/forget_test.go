package hub

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// TestForget: a topic without subscribers is forgotten, and no other.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var plane Memory
		h := New(&Options{Backplane: &plane, Replay: 3, Linger: time.Hour})
		near, far := websocket.Pipe()
		t.Cleanup(func() {
			near.CloseNow()
			far.CloseNow()
			h.Shutdown(context.Background())
		})
		publish := func(text string) {
			t.Helper()
			if err := h.Publish("topic", websocket.Text, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		subscribe := func() *Subscription {
			t.Helper()
			s, err := h.Subscribe("topic", far, &SubscribeOptions{Replay: true})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		forget := func() {
			t.Helper()
			if err := h.Forget("topic"); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(want string) {
			t.Helper()
			if _, got, err := near.Read(t.Context()); err != nil || string(got) != want {
				t.Errorf("got %q, %v, not %q", got, err, want)
			}
		}

		forget() // there is nothing
		publish("1")
		s := subscribe()
		expect("1")
		forget() // the topic has a subscriber
		publish("2")
		expect("2")
		s.Unsubscribe()
		if n := len(plane.topics); n != 1 || h.Stats().Topics != 1 {
			t.Errorf("%d topics linger, %d at the backplane", h.Stats().Topics, n)
		}
		forget()
		if n := len(plane.topics); n != 0 || h.Stats().Topics != 0 {
			t.Errorf("%d topics are left, %d at the backplane", h.Stats().Topics, n)
		}

		// A topic of that name begins anew, and lingers as long as any.
		s = subscribe()
		publish("3")
		expect("3")
		s.Unsubscribe()
		time.Sleep(time.Hour / 2)
		s = subscribe()
		expect("3")
		s.Unsubscribe()
		time.Sleep(3 * time.Hour)
		if n := len(plane.topics); n != 0 || h.Stats().Topics != 0 {
			t.Errorf("%d topics are left in the end, %d at the backplane", h.Stats().Topics, n)
		}
	})
}
