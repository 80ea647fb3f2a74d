package hub

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/fullduplex-go/websocket"
)

// Each step of these tests is "publish", as KEY=CONTENT or CONTENT, or
// something that the peer does.
func TestPolicies(t *testing.T) {
	tests := []struct {
		name   string
		opts   SubscribeOptions
		room   int // messages that the connection itself queues
		steps  string
		got    string // all messages given to the connection
		stats  Stats
		closes string
	}{{
		name:  "drop newest",
		opts:  SubscribeOptions{Policy: DropNewest},
		room:  2,
		steps: "1 2 3 4 read 5 6 7 resume 8",
		got:   "1 2 5 6 8",
		stats: Stats{Sent: 5, Dropped: 3},
	}, {
		name:  "drop oldest keeps the newest",
		opts:  SubscribeOptions{Policy: DropOldest, Queue: 3},
		room:  10,
		steps: "1 2 3 4 5 6 resume 7",
		got:   "1 4 5 6 7", // 1 was queued by the connection
		stats: Stats{Sent: 5, Dropped: 2},
	}, {
		name:  "drop oldest, read a little at a time",
		opts:  SubscribeOptions{Policy: DropOldest, Queue: 3},
		room:  10,
		steps: "1 2 3 4 read 5 6 read 7 read 8 9 10 resume",
		got:   "1 2 4 5 8 9 10", // the fake counts as slow after one message
		stats: Stats{Sent: 7, Dropped: 3},
	}, {
		name:  "drop oldest, pending",
		opts:  SubscribeOptions{Policy: DropOldest},
		room:  10,
		steps: "1 2 3 4",
		got:   "1",
		stats: Stats{Sent: 1, Pending: 3},
	}, {
		name:  "drop oldest, refused although little is buffered",
		opts:  SubscribeOptions{Policy: DropOldest, Queue: 1},
		room:  0,
		steps: "1 2",
		got:   "",
		stats: Stats{Dropped: 1, Pending: 1},
	}, {
		name:  "keep latest",
		opts:  SubscribeOptions{Policy: KeepLatest},
		room:  10,
		steps: "a=1 a=2 b=1 a=3 b=2 c=1 resume b=3",
		got:   "1 3 2 1 3",
		stats: Stats{Sent: 5, Conflated: 2},
	}, {
		name:  "keep latest, without keys",
		opts:  SubscribeOptions{Policy: KeepLatest},
		room:  10,
		steps: "1 2 3 4 resume",
		got:   "1 4",
		stats: Stats{Sent: 2, Conflated: 2},
	}, {
		name:  "keep latest, pending",
		opts:  SubscribeOptions{Policy: KeepLatest},
		room:  10,
		steps: "x=0 a=1 b=1 a=2",
		got:   "0",
		stats: Stats{Sent: 1, Conflated: 1, Pending: 2},
	}, {
		name:  "keep latest, more keys than are kept",
		opts:  SubscribeOptions{Policy: KeepLatest, Queue: 2},
		room:  10,
		steps: "x=0 a=1 b=2 a=3 c=4 a=5 resume",
		got:   "0 4 5", // c=4 drops a=3, which has waited longest, and a=5 drops b=2
		stats: Stats{Sent: 3, Conflated: 1, Dropped: 2},
	}, {
		name:  "keep latest, a key that changes all the time",
		opts:  SubscribeOptions{Policy: KeepLatest},
		room:  10,
		steps: "x=0 a=1 b=1 a=2 read a=3 c=1 a=4 read a=5 read resume",
		got:   "0 2 1 5 1", // a, b, a, c: each gets its turn
		stats: Stats{Sent: 5, Conflated: 3},
	}, {
		name:   "disconnect",
		opts:   SubscribeOptions{Policy: Disconnect},
		room:   2,
		steps:  "1 2 3 4 5",
		got:    "1 2",
		stats:  Stats{Sent: 2},
		closes: "1013 too slow",
	}, {
		name:   "disconnect, as told",
		opts:   SubscribeOptions{Policy: Disconnect, Code: 4001, Reason: "keep up"},
		room:   0,
		steps:  "1 2",
		closes: "4001 keep up",
	}, {
		name:  "disconnect, in time",
		opts:  SubscribeOptions{Policy: Disconnect},
		room:  2,
		steps: "1 2 read 3 4 resume 5",
		got:   "1 2 3 4 5",
		stats: Stats{Sent: 5},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(nil)
				healthy, slow := newFake(), newStalled(tt.room)
				defer healthy.cancel(nil)
				defer slow.cancel(nil)
				subscribe(t, h, "topic", healthy, &tt.opts)
				s := subscribe(t, h, "topic", slow, &tt.opts)
				var all []string
				for _, step := range words(tt.steps) {
					switch step {
					case "read", "resume":
						slow.read(step == "resume")
					default:
						all = append(all, step[keyEnd(step):])
						publishKey(t, h, "topic", step[:max(0, keyEnd(step)-1)], step[keyEnd(step):])
						check(t, "a healthy subscriber at once", len(healthy.prepared()), len(all))
					}
					synctest.Wait()
				}
				check(t, "the healthy subscriber", healthy.got(t), all)
				check(t, "the slow one", slow.got(t), words(tt.got))
				check(t, "its statistics", s.Stats(), tt.stats)
				if closes := fmt.Sprintf("%s", slow.closes); closes != "["+tt.closes+"]" {
					t.Errorf("closed with %s, want %q", closes, tt.closes)
				}
				gone := 0
				if tt.closes != "" {
					gone = 1
				}
				check(t, "subscribers", h.Subscribers("topic"), 2-gone)
				n := uint64(len(all))
				check(t, "totals", h.Stats(), Totals{
					Topics: 1, Subscriptions: 2 - gone, Published: n, Delivered: n + tt.stats.Sent,
					Dropped: tt.stats.Dropped, Conflated: tt.stats.Conflated, Disconnected: uint64(gone),
				})
				slow.read(true)
				synctest.Wait()
				check(t, "pending in the end", s.Stats().Pending, 0)
			})
		})
	}
}

// keyEnd returns where the content begins in KEY=CONTENT.
func keyEnd(step string) int {
	for i := range step {
		if step[i] == '=' {
			return i + 1
		}
	}
	return 0
}

// A connection may have subscriptions with different policies, and the messages that
// wait for one of them are sent in order whatever becomes of the others.
func TestSeveralPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(nil)
		c := newStalled(4)
		defer c.cancel(nil)
		newest := subscribe(t, h, "newest", c, nil)
		oldest := subscribe(t, h, "oldest", c, &SubscribeOptions{Policy: DropOldest, Queue: 2})
		latest := subscribe(t, h, "latest", c, &SubscribeOptions{Policy: KeepLatest})
		publish(t, h, "newest", "n1", "n2", "n3")
		publish(t, h, "oldest", "o1", "o2", "o3")
		publish(t, h, "latest", "l1", "l2")
		publish(t, h, "newest", "n4", "n5", "n6")
		check(t, "newest", newest.Stats(), Stats{Sent: 4, Dropped: 2})
		check(t, "oldest", oldest.Stats(), Stats{Dropped: 1, Pending: 2})
		check(t, "latest", latest.Stats(), Stats{Conflated: 1, Pending: 1})
		c.read(true)
		synctest.Wait()
		check(t, "oldest", oldest.Stats(), Stats{Sent: 2, Dropped: 1})
		check(t, "latest", latest.Stats(), Stats{Sent: 1, Conflated: 1})
		got := c.got(t)
		check(t, "the first four", got[:4], words("n1 n2 n3 n4"))
		rank := map[string]int{}
		for i, m := range got {
			rank[m] = i
		}
		if len(got) != 7 || rank["o2"] < 4 || rank["o3"] < rank["o2"] || rank["l2"] < 4 {
			t.Errorf("got %v", got)
		}
	})
}

// Messages that wait for a slow reader are dropped, with their goroutine, when the
// subscription ends, however it ends.
func TestPendingIsForgotten(t *testing.T) {
	for name, end := range map[string]func(*Subscription, *fake){
		"unsubscribed": func(s *Subscription, c *fake) { s.Unsubscribe() },
		"closed":       func(s *Subscription, c *fake) { c.end() },
		"closed unheard": func(s *Subscription, c *fake) { // by the context
			c.mu.Lock()
			defer c.mu.Unlock()
			c.ended = &websocket.CloseError{Code: websocket.StatusAbnormalClosure}
			c.tellLocked()
		},
	} {
		for _, policy := range []Policy{DropOldest, KeepLatest} {
			t.Run(fmt.Sprint(name, " ", policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { // which waits for all goroutines
					h := New(nil)
					c := newStalled(1)
					defer c.cancel(nil)
					s := subscribe(t, h, "topic", c, &SubscribeOptions{Policy: policy})
					publish(t, h, "topic", "1", "2", "3")
					end(s, c)
					synctest.Wait()
					check(t, "pending", s.Stats().Pending, 0)
					check(t, "totals", h.Stats().Subscriptions, 0)
					c.read(true)
					synctest.Wait()
					check(t, "sent", c.got(t), words("1"))
				})
			})
		}
	}
}

// An error of the connection itself ends the subscription, and one about the
// message does not.
func TestSendErrors(t *testing.T) {
	tooBig := fmt.Errorf("test: %w", websocket.ErrMessageTooBig)
	tests := []struct {
		name  string
		err   error
		ends  bool // the subscription, but with Disconnect
		stats Stats
	}{
		{"too big", tooBig, false, Stats{TooBig: 1}},
		{"backpressure, wrapped", fmt.Errorf("test: %w", websocket.ErrBackpressure), false, Stats{Dropped: 1}},
		{"closed", &websocket.CloseError{Code: websocket.StatusGoingAway}, true, Stats{}},
		{"closed since the peer sent too much", &websocket.CloseError{Code: websocket.StatusMessageTooBig, Err: tooBig}, true, Stats{}},
		{"closed transport", net.ErrClosed, true, Stats{}},
		{"whatever", io.ErrUnexpectedEOF, true, Stats{}},
	}
	for _, tt := range tests {
		for _, policy := range []Policy{DropNewest, Disconnect} {
			t.Run(fmt.Sprint(tt.name, " ", policy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := New(nil)
					c := newFake()
					defer c.cancel(nil)
					s := subscribe(t, h, "topic", c, &SubscribeOptions{Policy: policy})
					c.ended = tt.err
					publish(t, h, "topic", "1")
					synctest.Wait()
					ends, stats, closes := tt.ends, tt.stats, 0
					if policy == Disconnect && !tt.ends {
						ends, stats.Dropped, closes = true, 0, 1
					}
					check(t, "statistics", s.Stats(), stats)
					check(t, "ended", h.Subscribers("topic") == 0, ends)
					check(t, "closes", len(c.closes), closes)
				})
			})
		}
	}
}

// While messages wait, one that is too big for the connection is left out, and
// the others are not held up by it.
func TestTooBigWhilePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(nil)
		c := &bigFake{fake: newStalled(1)}
		defer c.cancel(nil)
		s := subscribe(t, h, "topic", c, &SubscribeOptions{Policy: DropOldest})
		publish(t, h, "topic", "1", "2", "3", "4")
		c.refuse = 1
		c.read(true)
		synctest.Wait()
		check(t, "sent", c.got(t), words("1 3 4"))
		check(t, "statistics", s.Stats(), Stats{Sent: 3, TooBig: 1})
	})
}

// bigFake refuses some messages as too big.
type bigFake struct {
	*fake
	refuse int
}

func (b *bigFake) SendPrepared(m *websocket.PreparedMessage) error {
	if b.refuse > 0 {
		b.refuse--
		return errors.Join(websocket.ErrMessageTooBig)
	}
	return b.fake.SendPrepared(m)
}
