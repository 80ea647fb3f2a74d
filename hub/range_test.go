package hub

import (
	"fmt"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// stuckPublish starts to publish a message, which gets stuck at the last
// subscriber of the second chunk: those of the first have it, those of the third
// do not. It returns a function that lets it go on, and waits for it.
func stuckPublish(t *testing.T, h *Hub, conns []*fake, message string) (goOn func()) {
	t.Helper()
	stuck := conns[chunkSize] // a chunk is gone through backwards
	blocked, release := make(chan struct{}), make(chan struct{})
	stuck.mu.Lock()
	stuck.block, stuck.blocked = release, blocked
	stuck.mu.Unlock()
	published := make(chan error)
	go func() { published <- h.Publish("topic", websocket.Text, []byte(message)) }()
	<-blocked
	return func() {
		t.Helper()
		close(release)
		if err := <-published; err != nil {
			t.Fatal(err)
		}
	}
}

func threeChunks(t *testing.T, h *Hub) ([]*fake, []*Subscription) {
	t.Helper()
	conns := make([]*fake, 3*chunkSize)
	subs := make([]*Subscription, len(conns))
	for i := range conns {
		conns[i] = newFake()
		subs[i] = subscribe(t, h, "topic", conns[i], nil)
	}
	return conns, subs
}

// A newcomer gets nothing that was numbered before it subscribed, although its
// place is where the message is still to come.
func TestNewcomerDuringPublish(t *testing.T) {
	for _, replay := range []bool{false, true} {
		t.Run(fmt.Sprint("replay ", replay), func(t *testing.T) {
			h := newHub(t, &Options{Replay: 3})
			conns, _ := threeChunks(t, h)
			publish(t, h, "topic", "1")
			goOn := stuckPublish(t, h, conns, "2")
			newcomer := newFake() // all chunks are full, so it gets one that the message does not know
			another := newFake()
			subscribe(t, h, "topic", newcomer, &SubscribeOptions{Replay: replay})
			// And here is a place in a chunk that the message is still to come to.
			h.topics["topic"].set.more.all[1].subs[7].Unsubscribe()
			subscribe(t, h, "topic", another, &SubscribeOptions{Replay: replay})
			goOn()
			publish(t, h, "topic", "3")
			want := words("3")
			if replay {
				want = words("1 2 3")
			}
			check(t, "a newcomer", newcomer.got(t), want)
			check(t, "another one", another.got(t), want)
			check(t, "an old one", conns[2*chunkSize].got(t), words("1 2 3"))
		})
	}
}

// A connection that unsubscribes and subscribes again during a Publish gets the
// message once, whether it had come to its old place or is still to come to the
// new one.
func TestSubscribeAgainDuringPublish(t *testing.T) {
	h := newHub(t, nil)
	conns, subs := threeChunks(t, h)
	goOn := stuckPublish(t, h, conns, "1")
	subs[5].Unsubscribe()
	subs[2*chunkSize+5].Unsubscribe() // its place is the next to be taken
	subscribe(t, h, "topic", conns[5], nil)
	subscribe(t, h, "topic", conns[2*chunkSize+5], nil)
	goOn()
	publish(t, h, "topic", "2")
	for i, c := range conns {
		check(t, fmt.Sprint("number ", i), c.got(t), words("1 2"))
	}
}

// A message that Unsubscribe gives to a connection counts, and one that it cannot
// give ends only the subscription.
func TestUnsubscribeDuringPublish(t *testing.T) {
	h := newHub(t, nil)
	conns, subs := threeChunks(t, h)
	goOn := stuckPublish(t, h, conns, "1")
	full, slow, ended := conns[2*chunkSize], conns[2*chunkSize+1], conns[2*chunkSize+2]
	full.stalled, slow.stalled = true, true
	full.others = 1
	subs[2*chunkSize].policy, subs[2*chunkSize+1].policy = DropNewest, DropOldest
	ended.ended = &websocket.CloseError{Code: websocket.StatusGoingAway}
	for i := range 4 {
		subs[2*chunkSize+i].Unsubscribe()
		subs[2*chunkSize+i].Unsubscribe()
	}
	check(t, "one that is full", subs[2*chunkSize].Stats(), Stats{Dropped: 1})
	check(t, "one that is slow", subs[2*chunkSize+1].Stats(), Stats{})
	check(t, "one that has ended", subs[2*chunkSize+2].Stats(), Stats{})
	check(t, "one that is well", subs[2*chunkSize+3].Stats(), Stats{Sent: 1})
	goOn()
	check(t, "totals", h.Stats(), Totals{
		Topics: 1, Subscriptions: 3*chunkSize - 4, Published: 1, Delivered: 3*chunkSize - 3, Dropped: 1,
	})
}
