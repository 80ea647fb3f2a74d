package hub

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// gate is a connection each of whose sends waits for a value of open.
type gate struct {
	*fake
	open    chan struct{}
	entered chan struct{} // gets a value when a send begins
}

func newGate() *gate {
	return &gate{fake: newFake(), open: make(chan struct{}), entered: make(chan struct{}, 1000)}
}

func (g *gate) SendPrepared(m *websocket.PreparedMessage) error {
	g.entered <- struct{}{}
	<-g.open
	return g.fake.SendPrepared(m)
}

// publishing publishes messages, each on a goroutine of its own and one after the other,
// and returns the channels that are closed when Publish has returned.
func publishing(t *testing.T, h *Hub, messages ...string) (returned []chan struct{}) {
	t.Helper()
	for _, m := range messages {
		done := make(chan struct{})
		returned = append(returned, done)
		go func() {
			defer close(done)
			if err := h.Publish("topic", websocket.Text, []byte(m)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
	}
	return returned
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Messages that are published during a delivery leave in one call of SendPrepared, in
// order, and a publisher returns when its own message was given to all, whatever
// others publish.
func TestPublishedDuringDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(nil)
		other, slow := newFake(), newGate()
		defer other.cancel(nil)
		defer slow.cancel(nil)
		subscribe(t, h, "topic", other, nil)
		subscribe(t, h, "topic", slow, nil)
		first := publishing(t, h, "1")
		second := publishing(t, h, "2", "3", "4", "5")
		slow.open <- struct{}{}
		synctest.Wait()
		check(t, "the first publisher has returned", isClosed(first[0]), true)
		third := publishing(t, h, "6") // while the second batch is on its way
		for i, done := range second {
			check(t, fmt.Sprint("publisher ", i, " waits"), isClosed(done), false)
		}
		slow.open <- struct{}{}
		synctest.Wait()
		for i, done := range second {
			check(t, fmt.Sprint("publisher ", i, " has returned"), isClosed(done), true)
		}
		check(t, "the third waits", isClosed(third[0]), false)
		slow.open <- struct{}{}
		<-third[0]
		for _, c := range []*fake{other, slow.fake} {
			check(t, "messages", c.got(t), words("1 2 3 4 5 6"))
			check(t, "calls", c.sends, 3)
		}
		check(t, "delivered", h.Stats().Delivered, 12)
		check(t, "nothing is left", h.topics["topic"].delivery == nil, true)
	})
}

// A batch has a bound, in messages and in bytes.
func TestBatchIsBounded(t *testing.T) {
	large := strings.Repeat("x", maxBatchBytes/3)
	for name, tt := range map[string]struct {
		messages []string
		sends    int
	}{
		"messages": {strings.Fields(strings.Repeat("m ", 2*maxBatch+1)), 3},
		"bytes":    {[]string{large, large, large, large + large + large + large, "m"}, 4}, // 2, 1, 1 alone, 1
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(nil)
				c := newGate()
				defer c.cancel(nil)
				subscribe(t, h, "topic", c, nil)
				publishing(t, h, "first")
				returned := publishing(t, h, tt.messages...)
				close(c.open)
				for _, done := range returned {
					<-done
				}
				check(t, "messages", c.got(t), append([]string{"first"}, tt.messages...))
				check(t, "calls", c.sends, 1+tt.sends)
			})
		})
	}
}

// With Collect a burst of one goroutine leaves in one call, that time after its first
// message, and a full batch leaves at once.
func TestCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const collect = 5 * time.Millisecond
		h := New(&Options{Collect: collect})
		c := newFake()
		defer c.cancel(nil)
		s := subscribe(t, h, "topic", c, nil)
		publish(t, h, "topic", words("1 2 3")...)
		time.Sleep(collect - time.Nanosecond)
		publish(t, h, "topic", "4")
		check(t, "before the time", s.Stats().Sent, 0)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		check(t, "after the time", s.Stats().Sent, 4)
		check(t, "calls", c.sends, 1)

		for range maxBatch - 1 {
			publish(t, h, "topic", "m")
		}
		check(t, "before the batch is full", s.Stats().Sent, 4)
		publish(t, h, "topic", "m")
		check(t, "when the batch is full", s.Stats().Sent, 4+maxBatch)
		publish(t, h, "topic", strings.Repeat("m", maxBatchBytes))
		check(t, "when its bytes are", s.Stats().Sent, 5+maxBatch)
		time.Sleep(collect)
		synctest.Wait()
		check(t, "calls", c.sends, 3)
		check(t, "nothing is left", h.topics["topic"].delivery == nil, true)
		check(t, "nothing is pending", h.pending.Count(), 0)
		time.Sleep(time.Hour)
		publish(t, h, "topic", "last")
		if err := h.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		check(t, "Shutdown waits for it", s.Stats().Sent, 6+maxBatch)
	})
}

// A message belongs to those that had subscribed when it was published, although it is
// delivered later.
func TestCollectRange(t *testing.T) {
	for _, spread := range []int{1, 3 * chunkSize} { // in the first chunk, and in others
		t.Run(fmt.Sprint(spread), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(&Options{Collect: time.Second, Replay: 2})
				for range spread {
					subscribe(t, h, "topic", newFake(), nil)
				}
				stays, leaves, late, replayed := newFake(), newFake(), newFake(), newFake()
				subscribe(t, h, "topic", stays, nil)
				s := subscribe(t, h, "topic", leaves, nil)
				publish(t, h, "topic", words("1 2 3")...)
				subscribe(t, h, "topic", late, nil)
				subscribe(t, h, "topic", replayed, &SubscribeOptions{Replay: true})
				s.Unsubscribe()
				check(t, "before it left", leaves.got(t), words("1 2 3"))
				again := subscribe(t, h, "topic", leaves, nil)
				publish(t, h, "topic", "4")
				time.Sleep(2 * time.Second)
				synctest.Wait()
				check(t, "a subscriber", stays.got(t), words("1 2 3 4"))
				check(t, "one that has left and come again", leaves.got(t), words("1 2 3 4"))
				check(t, "its second subscription", again.Stats().Sent, 1)
				check(t, "a newcomer", late.got(t), words("4"))
				check(t, "one with a replay", replayed.got(t), words("2 3 4"))
				if err := h.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// When the last subscriber leaves before the time is over, nothing is lost or left.
func TestCollectForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(&Options{Collect: time.Second})
		c := newFake()
		defer c.cancel(nil)
		s := subscribe(t, h, "topic", c, nil)
		publish(t, h, "topic", "1")
		s.Unsubscribe()
		check(t, "messages", c.got(t), words("1"))
		check(t, "topics", h.Stats().Topics, 0)
		subscribe(t, h, "topic", c, nil) // a new topic of that name
		publish(t, h, "topic", "2")
		time.Sleep(time.Second)
		synctest.Wait()
		check(t, "messages", c.got(t), words("1 2"))
		check(t, "pending", h.pending.Count(), 0)
	})
}

// The policies apply to each message of a batch.
func TestPoliciesInBatches(t *testing.T) {
	for _, tt := range []struct {
		opts   SubscribeOptions
		room   int
		bursts string // separated by commas
		got    string
		stats  Stats
		closes int
	}{
		{SubscribeOptions{Policy: DropNewest}, 3, "1 2 3 4 5", "1 2 3", Stats{Sent: 3, Dropped: 2}, 0},
		{SubscribeOptions{Policy: DropNewest}, 3, "1 2,3 4", "1 2 3", Stats{Sent: 3, Dropped: 1}, 0},
		{SubscribeOptions{Policy: Disconnect}, 3, "1 2 3 4 5", "1 2 3", Stats{Sent: 3}, 1},
		{SubscribeOptions{Policy: Disconnect}, 5, "1 2 3 4 5", "1 2 3 4 5", Stats{Sent: 5}, 0},
		{SubscribeOptions{Policy: DropOldest, Queue: 2}, 9, "1 2,3 4 5", "1 2 4 5", Stats{Sent: 4, Dropped: 1}, 0},
		{SubscribeOptions{Policy: DropOldest, Queue: 2}, 0, "1 2 3", "2 3", Stats{Sent: 2, Dropped: 1}, 0},
		{SubscribeOptions{Policy: KeepLatest}, 9, "a=1 b=2,a=3 b=4 a=5", "1 2 5 4", Stats{Sent: 4, Conflated: 1}, 0},
		{SubscribeOptions{Policy: KeepLatest}, 9, "a=1 a=2", "1 2", Stats{Sent: 2}, 0}, // it keeps up
	} {
		t.Run(fmt.Sprint(tt.opts.Policy, " ", tt.bursts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := New(&Options{Collect: time.Millisecond})
				c := newStalled(tt.room)
				defer c.cancel(nil)
				s := subscribe(t, h, "topic", c, &tt.opts)
				for burst := range strings.SplitSeq(tt.bursts, ",") {
					for _, m := range words(burst) {
						publishKey(t, h, "topic", m[:max(0, keyEnd(m)-1)], m[keyEnd(m):])
					}
					time.Sleep(time.Millisecond)
					synctest.Wait()
				}
				c.read(true)
				synctest.Wait()
				check(t, "messages", c.got(t), words(tt.got))
				check(t, "statistics", s.Stats(), tt.stats)
				check(t, "closes", len(c.closes), tt.closes)
				check(t, "delivered", h.Stats().Delivered, uint64(len(words(tt.got))))
			})
		})
	}
}

// A topic with many subscribers is delivered to by several goroutines: the sends to
// one chunk wait for those to another, whichever of the two comes first.
func TestSpread(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))))
	h := newHub(t, nil)
	var met sync.WaitGroup // of both ends
	met.Add(2)
	subscribeAll := func(n int, c func() conn) {
		for range n {
			subscribe(t, h, "topic", c(), nil)
		}
	}
	meeting := func() conn { return &meetingConn{nullConn{countingConn{ctx: bg}}, &met, false} }
	null := func() conn { return &nullConn{countingConn{ctx: bg}} }
	subscribeAll(1, meeting)
	subscribeAll(spreadFrom*chunkSize-2, null)
	subscribeAll(1, meeting)
	done := make(chan struct{})
	go func() {
		defer close(done)
		publish(t, h, "topic", "1")
	}()
	eventually(t, "the two chunks are delivered to at the same time", func() bool { return isClosed(done) })
	check(t, "delivered", h.Stats().Delivered, spreadFrom*chunkSize)
	check(t, "helpers", h.helping.Load(), 0)
}

// meetingConn waits in its send for another one's.
type meetingConn struct {
	nullConn
	met    *sync.WaitGroup
	panics bool // then
}

func (m *meetingConn) SendPrepared(*websocket.PreparedMessage) error {
	m.met.Done()
	m.met.Wait()
	if m.panics {
		panic("a hook")
	}
	return nil
}

// A panic in a hook of a connection reaches the publisher, on whichever goroutine it
// happens, and the hub goes on.
func TestPanicInDelivery(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))))
	h := newHub(t, nil)
	first, bad, last := &meetingConn{}, &meetingConn{panics: true}, newFake()
	first.ctx, bad.ctx = bg, bg
	subscribe(t, h, "topic", first, nil)
	for range spreadFrom * chunkSize {
		subscribe(t, h, "topic", &nullConn{countingConn{ctx: bg}}, nil)
	}
	subscribe(t, h, "topic", bad, nil)
	s := subscribe(t, h, "topic", last, nil)
	for range 10 {
		first.met = new(sync.WaitGroup) // so that two goroutines deliver
		first.met.Add(2)
		bad.met = first.met
		func() {
			defer func() {
				if v := recover(); v != "a hook" {
					t.Errorf("recovered %v", v)
				}
			}()
			publish(t, h, "topic", "1")
			t.Error("no panic")
		}()
	}
	first.met, bad.panics = new(sync.WaitGroup), false
	first.met.Add(2)
	bad.met = first.met
	publish(t, h, "topic", "2")
	check(t, "the last message", content(t, last.prepared()[s.Stats().Sent-1]), "2")
	check(t, "helpers", h.helping.Load(), 0)
}

// A connection that closes while it subscribes either gets the error or leaves again.
func TestSubscribeWhileClosing(t *testing.T) {
	h := newHub(t, nil)
	for range 500 {
		c := newFake()
		var all sync.WaitGroup
		all.Go(c.end)
		for i := range 3 {
			all.Go(func() {
				if s, err := h.subscribe(fmt.Sprint(i%2), c, nil); err == nil && i == 0 {
					s.Unsubscribe()
				} else if err != nil && websocket.CloseCode(err) == 0 {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	eventually(t, "all have left", func() bool { return h.Stats() == Totals{} })
	eventually(t, "no client is left", func() bool {
		h.clients.mu.Lock()
		defer h.clients.mu.Unlock()
		return len(h.clients.all) == 0
	})
}

// Whichever subscriptions of a connection end first, it ends the others when it
// closes.
func TestClientEndsTheRest(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newHub(t, nil)
		c := newFake()
		subs := make([]*Subscription, 30)
		for i := range subs {
			subs[i] = subscribe(t, h, fmt.Sprint(i%7), c, nil)
		}
		random.Shuffle(len(subs), func(i, j int) { subs[i], subs[j] = subs[j], subs[i] })
		for _, s := range subs[:20] {
			s.Unsubscribe()
		}
		check(t, "subscriptions", h.Stats().Subscriptions, 10)
		c.end()
		eventually(t, "all have left", func() bool { return h.Stats() == Totals{} })
	}
}
