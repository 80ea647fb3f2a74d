package hub

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// countingConn is a connection that counts its messages, and costs nothing.
type countingConn struct {
	ctx context.Context
	n   atomic.Uint64
}

func (s *countingConn) SendPrepared(m *websocket.PreparedMessage) error {
	s.n.Add(uint64(len(messagesIn(m))))
	return nil
}
func (s *countingConn) Buffered() int                                   { return 0 }
func (s *countingConn) Drained() <-chan struct{}                        { panic("nothing is ever buffered") }
func (s *countingConn) LimitUnsent(int) error                           { return nil }
func (s *countingConn) Context() context.Context                        { return s.ctx }
func (s *countingConn) AfterClose(f func()) (func() bool, error)        { return afterClose(s.ctx, f) }
func (s *countingConn) Close(code websocket.StatusCode, _ string) error { return nil }

// nullConn is a countingConn that does not count, and allocates nothing.
type nullConn struct{ countingConn }

func (*nullConn) SendPrepared(*websocket.PreparedMessage) error { return nil }

// checkSet checks the invariants of a set while no call changes it.
func checkSet(t *testing.T, s *set) {
	t.Helper()
	all := []*chunk{&s.first}
	more := chunks{}
	if s.more != nil {
		more = *s.more
		all = append(all, more.all...)
	}
	size, empty := int32(0), 0
	free := map[*chunk]bool{}
	for _, c := range more.free {
		if free[c] {
			t.Fatal("a chunk is free twice")
		}
		free[c] = true
	}
	for i, c := range all {
		if len(c.subs) != int(c.taken) || c.taken > chunkSize || cap(c.subs) > chunkSize {
			t.Fatalf("%d of %d places are taken, with room for %d", len(c.subs), c.taken, cap(c.subs))
		}
		for i, sub := range c.subs {
			if int(sub.at) != i || sub.chunk != c {
				t.Fatalf("a subscriber does not know its place")
			}
		}
		size += int32(c.taken)
		if i == 0 {
			continue
		}
		if free[c] != (c.taken < chunkSize) {
			t.Fatalf("free is %v with %d taken", free[c], c.taken)
		}
		delete(free, c)
		if c.taken == 0 {
			empty++
		}
	}
	if size != s.size || empty != more.empty || len(free) > 0 {
		t.Fatalf("counted %d subscribers, %d empty chunks and %d strange ones; the set says %d and %d",
			size, empty, len(free), s.size, more.empty)
	}
	if more.empty > max(8, len(more.all)/2) || s.more != nil && more.empty == len(more.all) {
		t.Fatalf("%d of %d chunks are empty", more.empty, len(more.all))
	}
}

func TestSet(t *testing.T) {
	var s set
	var subs []*Subscription
	random := rand.New(rand.NewPCG(1, 2))
	add := func() {
		sub := &Subscription{chunk: s.reserve()}
		sub.chunk.addLocked(sub)
		subs = append(subs, sub)
	}
	remove := func(i int) {
		sub := subs[i]
		sub.chunk.removeLocked(sub)
		s.giveBack(sub.chunk)
		subs = slices.Delete(subs, i, i+1)
	}
	for _, target := range []int{1, 0, 5000, 3000, 6000, 10, 300, 0, 129, 0} {
		for len(subs) != target {
			// Three steps ahead, and two back.
			if up := len(subs) < target; random.IntN(5) < 3 == up || len(subs) == 0 {
				add()
			} else {
				remove(random.IntN(len(subs)))
			}
		}
		checkSet(t, &s)
		check(t, "subscribers", int(s.size), target)
	}
	if s.more != nil || s.first.subs != nil {
		t.Error("an empty set has memory")
	}
}

// A hundred thousand subscribers, of which a tenth join and leave while messages go
// to all: the others get each message once, and nothing is left in the end.
func TestChurn(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	h := newHub(t, nil)
	before := heap()
	conns := make([]countingConn, n)
	subs := make([]*Subscription, n)
	for i := range conns {
		conns[i].ctx = bg
		subs[i] = subscribe(t, h, "topic", &conns[i], nil)
	}
	if each := (heap() - before) / n; each > 350 {
		t.Errorf("an idle subscription takes %d bytes", each)
	}
	const publishes = 10
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := w; i < n/10; i += 2 { // over and over the same chunks, and all over the set
				subs[i].Unsubscribe()
				subs[n-1-i*7].Unsubscribe()
				subs[i] = subscribe(t, h, "topic", &conns[i], nil)
				subs[n-1-i*7] = subscribe(t, h, "topic", &conns[n-1-i*7], nil)
			}
		})
	}
	for range publishes {
		publish(t, h, "topic", "to all")
	}
	wg.Wait()
	check(t, "subscribers", h.Subscribers("topic"), n)
	checkSet(t, &h.topics["topic"].set)
	for i := n / 10; i < n; i++ {
		if got := conns[i].n.Load(); got != publishes && (n-1-i)%7 != 0 {
			t.Fatalf("number %d got %d messages of %d", i, got, publishes)
		}
		if got := conns[i].n.Load(); got > publishes {
			t.Fatalf("number %d got %d messages of %d", i, got, publishes)
		}
	}
	for _, s := range subs {
		s.Unsubscribe()
	}
	check(t, "totals", h.Stats().Subscriptions, 0)
	check(t, "topics", h.Stats().Topics, 0)
	runtime.KeepAlive(conns)
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// While a message is on its way to very many, others subscribe and leave: they
// wait for a chunk at most, not for the message.
func TestNobodyWaitsForAPublish(t *testing.T) {
	h := newHub(t, &Options{Replay: 1})
	const n = 3*chunkSize + 1
	conns := make([]*fake, n)
	subs := make([]*Subscription, n)
	for i := range conns {
		conns[i] = newFake()
		subs[i] = subscribe(t, h, "topic", conns[i], &SubscribeOptions{Member: fmt.Sprint(i)})
	}
	stuck := conns[0]
	stuck.block, stuck.blocked = make(chan struct{}), make(chan struct{})
	release := stuck.block
	published := make(chan error)
	go func() { published <- h.Publish("topic", websocket.Text, []byte("1")) }()
	<-stuck.blocked

	// If one of these had to wait, it would forever.
	newcomer := newFake()
	s := subscribe(t, h, "topic", newcomer, &SubscribeOptions{Replay: true})
	subs[n-1].Unsubscribe()
	subs[2*chunkSize].Unsubscribe()
	subs[2*chunkSize] = subscribe(t, h, "topic", conns[2*chunkSize], nil)
	check(t, "members", len(h.Members("topic")), n-2)
	check(t, "subscribers", h.Subscribers("topic"), n)
	check(t, "newcomer", s.Stats().Sent, 1)
	publish(t, h, "another topic", "2")

	close(release)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	check(t, "the newcomer got it once", newcomer.got(t), words("1"))
	check(t, "and who has left got it with that", conns[n-1].got(t), words("1"))
	check(t, "and who has left and come again, too", conns[2*chunkSize].got(t), words("1"))
	check(t, "and all others did", conns[n-2].got(t), words("1"))
}

// The allocations of Publish do not depend on the number of subscribers.
func TestPublishAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops items on purpose")
	}
	p := []byte("a message")
	few := 0.0
	for _, n := range []int{0, 1, 1000, 5000} {
		h := newHub(t, nil)
		for range n {
			for policy := range Policy(len(policies)) {
				subscribe(t, h, "topic", &nullConn{countingConn{ctx: bg}}, &SubscribeOptions{Policy: policy})
			}
		}
		allocs := testing.AllocsPerRun(20, func() {
			if err := h.Publish("topic", websocket.Text, p); err != nil {
				t.Fatal(err)
			}
		})
		if n == 0 {
			few = allocs
		}
		if allocs != few || allocs > 4 {
			t.Errorf("%v allocations for %d receivers, %v for none", allocs, 4*n, few)
		}
	}
}

// All subscribers get the messages of concurrent publishers in the same order.
func TestOrder(t *testing.T) {
	h := newHub(t, nil)
	conns := make([]*fake, 300)
	for i := range conns {
		conns[i] = newFake()
		subscribe(t, h, "topic", conns[i], nil)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 50 {
				publish(t, h, "topic", fmt.Sprint(i, j))
			}
		})
	}
	wg.Wait()
	want := conns[0].prepared()
	check(t, "messages", len(want), 200)
	for i, c := range conns {
		if !slices.Equal(c.prepared(), want) {
			t.Errorf("number %d got them in another order", i)
		}
	}
	next := [4]int{}
	for _, m := range conns[0].got(t) {
		var i, j int
		fmt.Sscan(m, &i, &j)
		if next[i] != j {
			t.Fatalf("publisher %d: got %d, want %d", i, j, next[i])
		}
		next[i]++
	}
}

// Topics without subscribers take no memory, even after there were very many.
func TestTopicsAreForgotten(t *testing.T) {
	h := newHub(t, nil)
	before := heap()
	const n = 20_000
	subs := make([]*Subscription, n)
	c := &countingConn{ctx: bg}
	for i := range subs {
		subs[i] = subscribe(t, h, fmt.Sprint("topic ", i), c, &SubscribeOptions{Member: "somebody"})
	}
	check(t, "topics", h.Stats().Topics, n)
	for _, s := range subs {
		s.Unsubscribe()
	}
	check(t, "topics", h.Stats().Topics, 0)
	clear(subs)
	if left := heap() - before; left > 200<<10 {
		t.Errorf("%d bytes are left", left)
	}
	publish(t, h, "topic 1", "to nobody")
	check(t, "topics", h.Stats().Topics, 0)
	check(t, "members", h.Members("topic 1"), nil)
	check(t, "subscribers", h.Subscribers("topic 1"), 0)
	runtime.KeepAlive(subs)
}

func TestSubscribeErrors(t *testing.T) {
	h := newHub(t, nil)
	_, err := h.Subscribe("topic", nil, nil)
	if err == nil {
		t.Error("subscribed without a connection")
	}
	long := string(make([]byte, 124))
	for _, o := range []SubscribeOptions{
		{Policy: 4}, {Queue: -1}, {Code: 999}, {Code: 1005}, {Code: 1006}, {Code: 1015}, {Code: 2999}, {Code: 5000},
		{Reason: long}, {Reason: "\xff"},
	} {
		if _, err := h.subscribe("topic", newFake(), &o); err == nil {
			t.Errorf("subscribed with %+v", o)
		}
	}
	for _, code := range []websocket.StatusCode{1000, 1003, 1007, 1014, 3000, 4999} {
		// Conn.Close must accept each code that the hub accepts.
		c, peer := websocket.Pipe()
		s, err := h.Subscribe("topic", c, &SubscribeOptions{Policy: Disconnect, Code: code, Reason: long[1:]})
		if err != nil {
			t.Errorf("status code %d: %v", code, err)
			continue
		}
		go peer.Read(bg)
		if err := c.Close(s.closing().code, s.closing().reason); err != nil {
			t.Errorf("status code %d: %v", code, err)
		}
		peer.CloseNow()
	}
	ended := newFake()
	ended.end()
	var closed *websocket.CloseError
	if _, err := h.subscribe("topic", ended, nil); !errors.As(err, &closed) {
		t.Errorf("subscribed a connection that has ended: %v", err)
	}
	eventually(t, "nobody has subscribed", func() bool { return h.Stats().Topics == 0 })
	if s := Policy(9).String() + KeepLatest.String(); s != "policy 9keep latest" {
		t.Errorf("policies are called %s", s)
	}
}

// A message that cannot be prepared is refused, and neither sent nor kept.
func TestPublishErrors(t *testing.T) {
	h := newHub(t, &Options{Replay: 1})
	c := newFake()
	subscribe(t, h, "topic", c, nil)
	for typ, p := range map[websocket.MessageType]string{websocket.Text: "\xff", 8: "", 0: ""} {
		_, want := websocket.NewPreparedMessage(typ, []byte(p))
		if want == nil {
			continue
		}
		if err := h.Publish("topic", typ, []byte(p)); err == nil || err.Error() != want.Error() {
			t.Errorf("published %q with type %d: %v, want %v", p, typ, err, want)
		}
	}
	publish(t, h, "topic", "")
	check(t, "messages", len(c.prepared()), 1)
	check(t, "published", h.Stats().Published, 1)
}
