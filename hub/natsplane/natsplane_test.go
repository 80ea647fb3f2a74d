package natsplane

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Messages of concurrent publishers arrive in the order of each, once, and not at
// the publisher.
func TestOrder(t *testing.T) {
	s := startBroker(t)
	const writers, each = 3, 2000
	planes := make([]*Plane, writers+1) // the last one only reads
	inboxes := make([]inbox, len(planes))
	for i := range planes {
		planes[i] = connect(t, s, nil)
		inboxes[i], _ = subscribe(t, planes[i], "topic")
	}
	var wg sync.WaitGroup
	for w, p := range planes[:writers] {
		wg.Go(func() {
			for n := range each {
				if err := p.Publish("topic", fmt.Append(nil, w, " ", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, in := range inboxes {
		var next [writers]int
		if i < writers {
			next[i] = each
		}
		for next != [writers]int{each, each, each} {
			var w, n int
			if _, err := fmt.Sscan(in.next(t), &w, &n); err != nil {
				t.Fatal(err)
			}
			if n != next[w] {
				t.Fatalf("%d of writer %d comes to %d where %d should", n, w, i, next[w])
			}
			next[w]++
		}
		flush(t, planes[i])
		if len(in) > 0 {
			t.Errorf("%d gets %q, too", i, <-in)
		}
	}
}

// Any string is a topic, and different ones are different topics.
func TestOddTopics(t *testing.T) {
	s := startBroker(t)
	here, there := connect(t, s, nil), connect(t, s, nil)
	inboxes := make([]inbox, len(subjects))
	for i, test := range subjects {
		inboxes[i], _ = subscribe(t, there, test.topic)
	}
	for _, test := range subjects {
		publish(t, here, test.topic, test.topic)
	}
	for _, test := range subjects {
		publish(t, here, test.topic, "end")
	}
	for i, test := range subjects {
		if got := inboxes[i].next(t); got != test.topic {
			t.Errorf("%.50q arrives at the topic %.50q", got, test.topic)
		}
		if got := inboxes[i].next(t); got != "end" {
			t.Errorf("%.50q arrives at the topic %.50q, too", got, test.topic)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	s := startBroker(t)
	here, there := connect(t, s, nil), connect(t, s, nil)
	in, unsubscribe := subscribe(t, there, "a")
	other, _ := subscribe(t, there, "b")
	publish(t, here, "a", "1")
	if got := in.next(t); got != "1" {
		t.Errorf("got %q", got)
	}
	if err := unsubscribe(); err != nil {
		t.Error(err)
	}
	flush(t, there)
	publish(t, here, "a", "2")
	publish(t, here, "b", "3")
	other.next(t)
	if len(in) > 0 {
		t.Errorf("%q arrives after the end", <-in)
	}
	if n := there.nc.NumSubscriptions(); n != 1 {
		t.Errorf("%d subscriptions are left", n)
	}
}

func TestPrefix(t *testing.T) {
	s := startBroker(t)
	odd := &Options{Prefix: "my app.>"}
	here, there, elsewhere := connect(t, s, odd), connect(t, s, odd), connect(t, s, nil)
	in, _ := subscribe(t, there, "topic")
	foreign, _ := subscribe(t, elsewhere, "topic")
	raw := make(chan *nats.Msg, 1)
	if _, err := elsewhere.nc.ChanSubscribe(">", raw); err != nil {
		t.Fatal(err)
	}
	flush(t, elsewhere)
	publish(t, here, "topic", "hello")
	if got := in.next(t); got != "hello" {
		t.Errorf("got %q", got)
	}
	select {
	case m := <-raw:
		if m.Subject != "my%20app.%3E.topic" {
			t.Errorf("the subject is %q", m.Subject)
		}
	case <-time.After(testTimeout):
		t.Error("nothing arrives")
	}
	flush(t, elsewhere)
	if len(foreign) > 0 {
		t.Errorf("another prefix gets %q", <-foreign)
	}
}

func TestErrors(t *testing.T) {
	s := startBroker(t)
	p := connect(t, s, nil)
	unsubscribe, err := p.Subscribe("topic", func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	is := func(err, want error, words ...string) {
		t.Helper()
		if !errors.Is(err, want) || !containsAll(err.Error(), append(words, "natsplane: ")) {
			t.Errorf("got %v", err)
		}
	}
	is(p.Publish("topic", make([]byte, 1<<20+1)), nats.ErrMaxPayload, `publish to "topic"`)
	p.nc.Close()
	is(p.Publish("topic", nil), nats.ErrConnectionClosed)
	_, err = p.Subscribe("topic", func([]byte) {})
	is(err, nats.ErrConnectionClosed, `subscribe to "topic"`)
	if err := unsubscribe(); err != nil { // there is nothing left to end
		t.Error(err)
	}
	is(New(nil, nil).Publish("topic", nil), nats.ErrInvalidConnection)
	_, err = New(nil, nil).Subscribe("topic", func([]byte) {})
	is(err, nats.ErrInvalidConnection)
	if _, err := Connect("nats://%zz"); err == nil {
		t.Error("connected to an address that is none")
	}
}

// Without a broker messages wait, up to a bound.
func TestOutage(t *testing.T) {
	s := startBroker(t)
	var j logBuffer
	p := connect(t, s, &Options{Logger: j.logger()}, nats.ReconnectBufSize(1000))
	flush(t, p)
	s.Shutdown()
	s.WaitForShutdown()
	j.waitFor(t, "is lost")
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = p.Publish("topic", make([]byte, 100))
	}
	if !errors.Is(err, nats.ErrReconnectBufExceeded) || n < 5 {
		t.Errorf("message %d: %v", n, err)
	}
}

// A connection waits for a late broker, which then gets the earlier calls.
func TestLateBroker(t *testing.T) {
	s := startBroker(t)
	url, port := s.ClientURL(), s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	nc, err := Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	there := New(nc, nil)
	in := make(inbox, 1)
	there.flusher.flushOnce = func() error {
		t.Error("Subscribe waits for a broker that is not there")
		return nil
	}
	if _, err := there.Subscribe("topic", in.deliver); err != nil {
		t.Fatal(err)
	}
	if nc.IsConnected() {
		t.Fatal("connected to nobody")
	}
	if s, err = newBroker(port); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	flush(t, there)
	here := connect(t, s, nil)
	publish(t, here, "topic", "hello")
	if got := in.next(t); got != "hello" {
		t.Errorf("got %q", got)
	}
}

// Messages that a hub does not take are dropped, and that is logged. Handlers that
// were there before are called as well.
func TestSlowConsumer(t *testing.T) {
	s := startBroker(t)
	var j logBuffer
	handled := make(chan error, 1)
	p := connect(t, s, &Options{Pending: 10_000, Logger: j.logger()},
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { handled <- err }))
	begun, goOn := make(chan bool, 1), make(chan bool)
	got := 0
	if _, err := p.Subscribe("slow topic", func(msg []byte) {
		if got++; got == 1 {
			begun <- true
			<-goOn
		}
		if string(msg) == "end" {
			begun <- true
		}
	}); err != nil {
		t.Fatal(err)
	}
	flush(t, p)
	here := connect(t, s, nil)
	publish(t, here, "slow topic", "first")
	<-begun
	for range 100 {
		publish(t, here, "slow topic", strings.Repeat("x", 1000))
	}
	j.waitFor(t, "slow consumer", "hub.slow%20topic")
	if err := <-handled; !errors.Is(err, nats.ErrSlowConsumer) {
		t.Errorf("the handler gets %v", err)
	}
	flush(t, here)
	flush(t, p)
	close(goOn)
	eventually(t, func() bool { // until there is room again
		publish(t, here, "slow topic", "end")
		select {
		case <-begun:
			return true
		default:
			return false
		}
	}, "a message after those that were dropped")
}

// A client that is not allowed to publish or to subscribe gets an error.
func TestPermissions(t *testing.T) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"hub.rooms.>"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"hub.rooms.>"}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(testTimeout) {
		t.Fatal("the broker does not start")
	}
	var j logBuffer
	p := connect(t, s, &Options{Logger: j.logger()}, nats.UserInfo("u", "p"))
	publish(t, p, "rooms.tea", "hello")
	publish(t, p, "secrets", "hello")
	j.waitFor(t, "permissions violation", "Publish to", "hub.secrets")
	if _, err := p.Subscribe("secrets", func([]byte) {}); err != nil {
		t.Fatal(err)
	}
	j.waitFor(t, "permissions violation", "Subscription to", "hub.secrets")

	old := slog.Default()
	defer slog.SetDefault(old)
	slog.SetDefault(j.logger())
	nc, err := Connect(s.ClientURL(), nats.UserInfo("u", "wrong"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	j.waitFor(t, "cannot connect", "Authorization Violation")
	if nc.IsClosed() {
		t.Error("given up")
	}
}

func TestDelay(t *testing.T) {
	for _, test := range []struct {
		tries    int
		min, max time.Duration
	}{
		{0, 50 * time.Millisecond, 100 * time.Millisecond},
		{1, 50 * time.Millisecond, 100 * time.Millisecond},
		{3, 200 * time.Millisecond, 400 * time.Millisecond},
		{7, 2500 * time.Millisecond, 5 * time.Second},
		{1 << 40, 2500 * time.Millisecond, 5 * time.Second},
	} {
		for range 100 {
			if d := delay(test.tries); d < test.min || d > test.max {
				t.Fatalf("try %d waits %v", test.tries, d)
			}
		}
	}
}
