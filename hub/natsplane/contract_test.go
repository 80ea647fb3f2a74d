package natsplane

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fullduplex-go/websocket/hub/internal/planetest"
)

func TestContract(t *testing.T) {
	s := startBroker(t)
	planetest.Run(t, func(t *testing.T) planetest.Plane { return connect(t, s, nil) })
}

// Very many topics take no goroutine each, neither idle nor with messages for all.
func TestGoroutines(t *testing.T) {
	topics := 100_000
	if testing.Short() {
		topics = 5_000
	}
	s := startBroker(t)
	here, there := connect(t, s, nil), connect(t, s, nil)
	flush(t, here)
	flush(t, there)
	before := runtime.NumGoroutine()
	var got, most atomic.Int64
	ends := make([]func() error, topics)
	var wg sync.WaitGroup
	const subscribers = 50
	for i := range subscribers {
		wg.Go(func() {
			for j := i; j < topics; j += subscribers {
				var err error
				if ends[j], err = here.Subscribe(fmt.Sprint("topic ", j), func([]byte) {
					if n := int64(runtime.NumGoroutine()); n > most.Load() {
						most.Store(n) // about
					}
					got.Add(1)
				}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	const few = maxWorkers + 5 // the receiver, and the goroutines of nats.go
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+few }, "only %d goroutines", before+few)
	for i := range topics {
		publish(t, there, fmt.Sprint("topic ", i), "hello")
	}
	eventually(t, func() bool { return got.Load() == int64(topics) }, "a message for each topic")
	if n := int(most.Load()); n > before+few {
		t.Errorf("%d goroutines while messages arrive, %d before", n, before)
	}
	for _, end := range ends {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= before }, "no goroutine more than before")
}

// A topic that takes long holds up no other one, as long as there are workers.
func TestSlowTopic(t *testing.T) {
	s := startBroker(t)
	here, there := connect(t, s, nil), connect(t, s, nil)
	release := make(chan struct{})
	done := make(chan bool, 2*maxWorkers)
	for i := range maxWorkers - 1 {
		if _, err := here.Subscribe(fmt.Sprint("slow ", i), func([]byte) { <-release; done <- true }); err != nil {
			t.Fatal(err)
		}
		publish(t, there, fmt.Sprint("slow ", i), "1")
		publish(t, there, fmt.Sprint("slow ", i), "2")
	}
	in, _ := subscribe(t, here, "quick")
	for i := range 100 {
		publish(t, there, "quick", fmt.Sprint(i))
		if got := in.next(t); got != fmt.Sprint(i) {
			t.Fatalf("got %q", got)
		}
	}
	close(release)
	for range 2 * (maxWorkers - 1) {
		<-done
	}
}

// The receiver ends with the connection, and there is another one for another
// subscription after all have ended.
func TestReceiverEnds(t *testing.T) {
	s := startBroker(t)
	here, there := connect(t, s, nil), connect(t, s, nil)
	receiving := func() bool {
		here.dispatch.mu.Lock()
		defer here.dispatch.mu.Unlock()
		return here.dispatch.channel != nil
	}
	for i := range 100 {
		in, unsubscribe := subscribe(t, here, "topic")
		publish(t, there, "topic", fmt.Sprint(i))
		if got := in.next(t); got != fmt.Sprint(i) {
			t.Fatalf("got %q", got)
		}
		if err := unsubscribe(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			eventually(t, func() bool { return !receiving() }, "no receiver")
		}
	}
	_, unsubscribe := subscribe(t, here, "topic")
	here.nc.Close()
	eventually(t, func() bool { return !receiving() }, "no receiver")
	if err := unsubscribe(); err != nil {
		t.Error(err)
	}
	if _, err := here.Subscribe("topic", nil); err == nil {
		t.Error("subscribed on a connection that is closed")
	}
	eventually(t, func() bool { return !receiving() }, "no receiver")
}

// Messages that arrive before Subscribe knows the subscription are not lost, and
// come in order, but for those of others.
func TestEarlyMessages(t *testing.T) {
	var d dispatcher
	d.limit = 1 << 20
	closed := make(chan nats.Status)
	d.watchClosed = func() (<-chan nats.Status, func()) { return closed, func() {} }
	defer close(closed)
	in := make(inbox, 10)
	sub, other := new(nats.Subscription), new(nats.Subscription)
	if _, err := d.subscribe(in.deliver, func(ch chan *nats.Msg) (*nats.Subscription, error) {
		for i, to := range []*nats.Subscription{other, sub, other, sub} {
			ch <- &nats.Msg{Sub: to, Data: fmt.Append(nil, i)}
		}
		eventually(t, func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.early) == 4
		}, "four messages")
		return sub, nil
	}); err != nil {
		t.Fatal(err)
	}
	d.channel <- &nats.Msg{Sub: sub, Data: []byte("4")}
	for _, want := range []string{"1", "3", "4"} {
		if got := in.next(t); got != want {
			t.Errorf("got %q, not %q", got, want)
		}
	}
	if d.early != nil {
		t.Error("messages of others are kept")
	}
}

// Calls that wait at the same time share a round trip, which begins after them.
func TestFlushIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flusher
		begun := 0
		f.flushOnce = func() error {
			begun++
			time.Sleep(time.Second)
			return nil
		}
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				came := time.Since(start)
				if err := f.flush(); err != nil {
					t.Error(err)
				}
				if began := time.Since(start) - time.Second; began < came {
					t.Errorf("came at %v, and a trip from %v is to do", came, began)
				}
			})
		}
		wg.Wait()
		if begun != 2 {
			t.Errorf("%d round trips", begun)
		}
	})
}

// A connection that is lost while a subscription is to be confirmed is no news:
// that is logged as such.
func TestUnconfirmedLost(t *testing.T) {
	s := startBroker(t)
	var j logBuffer
	p := connect(t, s, &Options{Logger: j.logger()})
	flush(t, p)
	for err, logged := range map[error]bool{nats.ErrConnectionClosed: false, nats.ErrTimeout: true} {
		j.text.Reset()
		p.flusher.flushOnce = func() error { return err }
		if _, err := p.Subscribe("topic", func([]byte) {}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(j.text.String(), "does not confirm"); got != logged {
			t.Errorf("%v: logged %q", err, j.text.String())
		}
	}
}

// startSilentBroker starts a broker that sends nothing after its greeting.
func startSilentBroker(t *testing.T) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { nc.Close() })
			fmt.Fprint(nc, "INFO {\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n")
			buf := make([]byte, 4096)
			for all := ""; !strings.Contains(all, "PING"); {
				n, err := nc.Read(buf)
				if err != nil {
					return
				}
				all += string(buf[:n])
			}
			fmt.Fprint(nc, "PONG\r\n")
		}
	})
	return "nats://" + ln.Addr().String()
}

// A broker that does not confirm a subscription holds it up for a while, and that
// is logged.
func TestUnconfirmed(t *testing.T) {
	url := startSilentBroker(t)
	nc, err := Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	var j logBuffer
	p := New(nc, &Options{Logger: j.logger()})
	eventually(t, nc.IsConnected, "a connection")
	start := time.Now()
	unsubscribe, err := p.Subscribe("topic", func([]byte) {})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < flushTimeout {
		t.Errorf("subscribed after %v", took)
	}
	j.waitFor(t, "does not confirm")
	if err := unsubscribe(); err != nil {
		t.Error(err)
	}
}
