package natsplane

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// client is a WebSocket connection to one of the hubs, from the beginning of
// the test to its end.
type client struct {
	hub  int // which one
	conn *websocket.Conn
	in   chan note
	err  error // why no more arrives; set before in is closed

	next [3]int // number of the next note from each hub, at least
}

// note is a message of the test: the number-th that hub has published.
type note struct{ hub, number int }

// join returns a client that has subscribed.
func join(t *testing.T, hub int, url string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url+"?topic=a+topic", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	c := &client{hub: hub, conn: conn, in: make(chan note, 1<<16)}
	subscribed := make(chan bool, 1)
	go func() {
		defer close(c.in)
		for {
			_, data, err := conn.Read(context.Background())
			if err == nil && string(data) == subscribedWord {
				subscribed <- true
				continue
			}
			var n note
			if err == nil {
				_, err = fmt.Sscan(string(data), &n.hub, &n.number)
			}
			if err != nil {
				c.err = err
				return
			}
			c.in <- n
		}
	}()
	select {
	case <-subscribed:
	case <-time.After(testTimeout):
		t.Fatalf("a client of hub %d is not subscribed", hub)
	}
	return c
}

// take returns the next note. One that came before, or before one that came
// already, fails the test.
func (c *client) take(t *testing.T) note {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	select {
	case n, ok := <-c.in:
		if !ok {
			t.Fatalf("a client of hub %d has lost its connection: %v", c.hub, c.err)
		}
		if n.number < c.next[n.hub] {
			t.Fatalf("a client of hub %d gets note %d of hub %d after note %d", c.hub, n.number, n.hub, c.next[n.hub]-1)
		}
		c.next[n.hub] = n.number + 1
		return n
	case <-ctx.Done():
		t.Fatalf("nothing arrives at a client of hub %d", c.hub)
		panic("unreachable")
	}
}

// hubs holds three hubs in processes of their own, with two clients each.
type hubs struct {
	*testing.T
	processes []*process
	clients   []*client
	published [3]int // how many notes each has published
}

// publish publishes a note on each hub, through its first client.
func (h *hubs) publish() {
	h.Helper()
	for hub := range h.processes {
		msg := fmt.Appendf(nil, "%d %d", hub, h.published[hub])
		if err := h.clients[2*hub].conn.Write(h.Context(), websocket.Text, msg); err != nil {
			h.Fatalf("hub %d: %v", hub, err)
		}
		h.published[hub]++
	}
}

// waitUntilConnected publishes until every client gets the notes of all hubs.
func (h *hubs) waitUntilConnected() {
	h.Helper()
	since := h.published
	for deadline, all := time.Now().Add(testTimeout), false; !all; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatal("not every client gets the notes of all hubs")
		}
		h.publish()
		all = true
		for _, c := range h.clients {
			// The others' notes may come or not, those of its own hub do.
			for c.next[c.hub] < h.published[c.hub] {
				c.take(h.T)
			}
			for hub, n := range since {
				all = all && c.next[hub] > n
			}
		}
	}
}

// publishToAll publishes n notes on each hub, and checks that every client gets all of
// them, in order.
func (h *hubs) publishToAll(n int) {
	h.Helper()
	for range n {
		h.publish()
	}
	for _, c := range h.clients {
		for c.next != h.published {
			before := c.next
			if n := c.take(h.T); n.number != before[n.hub] {
				h.Fatalf("a client of hub %d misses notes %d to %d of hub %d", c.hub, before[n.hub], n.number-1, n.hub)
			}
		}
	}
}

// publishLocally publishes n notes on each hub, and checks that the clients of that hub
// get all of them, and nothing else.
func (h *hubs) publishLocally(n int) {
	h.Helper()
	for range n {
		h.publish()
	}
	for _, c := range h.clients {
		for c.next[c.hub] != h.published[c.hub] {
			want := note{c.hub, c.next[c.hub]}
			if got := c.take(h.T); got != want {
				h.Fatalf("a client of hub %d gets %v, and not %v", c.hub, got, want)
			}
		}
	}
}

// Three hubs in three processes, and a broker in a fourth. Messages that are published
// on one arrive at the clients of all. When the broker crashes all connections of
// clients stay, and each hub goes on for its own clients; when there is a broker
// again, messages reach all clients again.
func TestHubs(t *testing.T) {
	broker := startProcess(t, "broker", "0")
	u, err := url.Parse(broker.url)
	if err != nil {
		t.Fatal(err)
	}
	h := &hubs{T: t}
	for i := range h.published {
		p := startProcess(t, "hub", broker.url)
		h.processes = append(h.processes, p)
		h.clients = append(h.clients, join(t, i, p.url), join(t, i, p.url))
	}
	h.waitUntilConnected()
	h.publishToAll(300)

	for range 2 {
		broker.kill(t)
		h.publishLocally(50)
		broker = startProcess(t, "broker", u.Port())
		h.waitUntilConnected()
		h.publishToAll(300)
	}

	for _, p := range h.processes {
		p.end()
	}
	for _, p := range h.processes {
		if err := p.ended(); err != nil {
			t.Error("a hub:", err)
		}
	}
	for _, c := range h.clients {
		for n := range c.in {
			t.Errorf("a client of hub %d gets %v, too", c.hub, n)
		}
		if websocket.CloseCode(c.err) != websocket.StatusGoingAway {
			t.Errorf("a client of hub %d ends with %v", c.hub, c.err)
		}
	}
}
