package hub

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestReplay(t *testing.T) {
	tests := []struct {
		limit     int
		published string
		want      string
	}{
		{0, "1 2 3", ""},
		{1, "1 2 3", "3"},
		{2, "1 2 3", "2 3"},
		{5, "1 2 3", "1 2 3"},
		{5, "a=1 a=2 b=1 a=3", "1 3"},
		{5, "a=1 x b=1 y a=2", "x 1 y 2"},
		{2, "a=1 x a=2 a=3 a=4", "x 4"},
		{2, "a=1 x y a=2", "y 2"},
		{2, "a=1 b=2 c=3 a=4", "3 4"},
		{1, "a=1 a=2", "2"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.limit, " ", tt.published), func(t *testing.T) {
			h := newHub(t, &Options{Replay: tt.limit})
			for _, m := range words(tt.published) {
				publishKey(t, h, "topic", m[:max(0, keyEnd(m)-1)], m[keyEnd(m):])
			}
			with, without := newFake(), newFake()
			s := subscribe(t, h, "topic", with, &SubscribeOptions{Replay: true})
			subscribe(t, h, "topic", without, nil)
			check(t, "replay", with.got(t), words(tt.want))
			check(t, "statistics", s.Stats(), Stats{Sent: uint64(len(words(tt.want)))})
			publish(t, h, "topic", "new")
			check(t, "with a new one", with.got(t), words(tt.want+" new"))
			check(t, "without a replay", without.got(t), words("new"))
		})
	}
}

// The policy holds for the replay, too.
func TestReplayToSlowReader(t *testing.T) {
	tests := []struct {
		opts SubscribeOptions
		got  string
	}{
		{SubscribeOptions{Policy: DropNewest}, "1 2"},
		{SubscribeOptions{Policy: DropOldest, Queue: 3}, "1 4 5 6"},
		{SubscribeOptions{Policy: KeepLatest}, "1 6"},
	}
	for _, tt := range tests {
		t.Run(tt.opts.Policy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(&Options{Replay: 10})
				defer h.Shutdown(t.Context())
				publish(t, h, "topic", words("1 2 3 4 5 6")...)
				c := newStalled(2)
				defer c.cancel(nil)
				tt.opts.Replay = true
				subscribe(t, h, "topic", c, &tt.opts)
				c.read(true)
				synctest.Wait()
				check(t, "replay", c.got(t), words(tt.got))
			})
		})
	}
	t.Run("disconnect", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := New(&Options{Replay: 10})
			defer h.Shutdown(t.Context())
			publish(t, h, "topic", "1", "2", "3")
			c := newStalled(2)
			_, err := h.subscribe("topic", c, &SubscribeOptions{Policy: Disconnect, Replay: true})
			if err == nil {
				t.Error("subscribed")
			}
			synctest.Wait()
			check(t, "closes", len(c.closes), 1)
			check(t, "subscribers", h.Subscribers("topic"), 0)
		})
	})
}

// A subscriber that joins while messages are published gets each one once, and in
// order, from the oldest that is kept up to the last.
func TestReplayDuringPublish(t *testing.T) {
	const replay, messages, newcomers = 20, 3000, 60
	for policy := range Policy(len(policies)) {
		t.Run(policy.String(), func(t *testing.T) {
			h := newHub(t, &Options{Replay: replay})
			first := newFake()
			subscribe(t, h, "topic", first, nil)
			half := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range messages {
					publish(t, h, "topic", "message")
					if i == 2*replay {
						close(half)
					}
				}
			})
			<-half
			conns := make([]*fake, newcomers)
			for i := range conns {
				conns[i] = newFake()
				wg.Go(func() { subscribe(t, h, "topic", conns[i], &SubscribeOptions{Policy: policy, Replay: true}) })
			}
			wg.Wait()
			all := first.prepared()
			check(t, "messages", len(all), messages)
			for i, c := range conns {
				got := c.prepared()
				if len(got) < replay || !slices.Equal(got, all[len(all)-len(got):]) {
					t.Errorf("newcomer %d got %d messages, which are not the last ones", i, len(got))
				}
			}
		})
	}
}

// A topic's replay outlives its subscribers, for a while after the last of them
// or the last message.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const linger = time.Minute
		h := New(&Options{Replay: 1, Linger: linger})
		defer h.Shutdown(t.Context())
		replay := func() string {
			c := newFake()
			defer c.cancel(nil)
			s := subscribe(t, h, "topic", c, &SubscribeOptions{Replay: true})
			defer s.Unsubscribe()
			if got := c.got(t); len(got) > 0 {
				return got[0]
			}
			return ""
		}
		publish(t, h, "topic", "1")
		check(t, "at once", replay(), "1")
		time.Sleep(linger - time.Second)
		check(t, "a little later", replay(), "1")
		publish(t, h, "topic", "2")
		time.Sleep(linger - time.Second)
		check(t, "after the next", replay(), "2")

		c := newFake()
		defer c.cancel(nil)
		s := subscribe(t, h, "topic", c, nil)
		time.Sleep(5 * linger)
		check(t, "while somebody is there", replay(), "2")
		s.Unsubscribe()
		publish(t, h, "another topic", "3")
		time.Sleep(2*linger + time.Second)
		check(t, "topics", h.Stats().Topics, 0)
		check(t, "in the end", replay(), "")
	})
}

// With nothing to keep there is no timer, and with a negative Linger nothing
// is kept.
func TestNoLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, opts := range []*Options{nil, {Replay: 1, Linger: -1}, {Backplane: new(Memory), Linger: -1}} {
			h := New(opts)
			publish(t, h, "topic", "1")
			c := newFake()
			defer c.cancel(nil)
			s := subscribe(t, h, "topic", c, &SubscribeOptions{Replay: true})
			check(t, "replay", len(c.prepared()), 0)
			s.Unsubscribe()
			synctest.Wait()
			check(t, "topics", h.Stats().Topics, 0)
		}
	})
}

// The chain of messages in a replay does not keep those that have left it.
func TestReplayLetsGo(t *testing.T) {
	var r replay
	a, b, c := &message{key: "k"}, &message{}, &message{key: "k"}
	r.add(a, 5)
	r.add(b, 5)
	r.add(c, 5)
	if a.older != nil || a.newer != nil || r.oldest != b || r.newest != c || b.newer != c || c.older != b || r.keys["k"] != c {
		t.Error("a message that was replaced is still linked")
	}
}
