package hub

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
)

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		o := d.options()
		plane := new(post)
		o.Backplane, o.Replay = plane, 2
		h := New(o)
		fast, slow := newFake(), newStalled(1)
		s := subscribe(t, h, "a", fast, &SubscribeOptions{Member: "ada"})
		subscribe(t, h, "b", slow, &SubscribeOptions{Member: "bo", Policy: DropOldest})
		publish(t, h, "a", "1")
		publish(t, h, "b", "1", "2", "3")
		done := make(chan error, 2)
		for range 2 { // repeatedly and concurrently
			go func() { done <- h.Shutdown(t.Context()) }()
		}
		synctest.Wait()
		d.read()

		// It waits for pending messages, and refuses new calls.
		if err := h.Publish("a", websocket.Text, nil); !errors.Is(err, ErrClosed) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("published: %v", err)
		}
		if _, err := h.subscribe("a", fast, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("subscribed: %v", err)
		}
		plane.Publish("a", appendEnvelope(nil, &envelope{typ: websocket.Text}))
		synctest.Wait()
		check(t, "still there", h.Stats().Subscriptions, 2)
		slow.read(true)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("shut down: %v", err)
			}
		}
		check(t, "fast", fast.got(t), words("1"))
		check(t, "slow", slow.got(t), words("1 2 3"))
		check(t, "totals", h.Stats(), Totals{Published: 4, Delivered: 4})
		check(t, "at the backplane", plane.counts(), "2 2")
		if events := d.read(); events != "a-ada b-bo" && events != "b-bo a-ada" {
			t.Errorf("events: %s", events)
		}
		check(t, "closed", len(fast.closes)+len(slow.closes), 0)
		s.Unsubscribe()
		if err := h.Shutdown(t.Context()); err != nil {
			t.Errorf("once more: %v", err)
		}
		time.Sleep(time.Hour) // nothing is left to be done
	})
}

// When the context ends Shutdown does not wait for a slow reader.
func TestShutdownOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(nil)
		slow := newStalled(1)
		s := subscribe(t, h, "topic", slow, &SubscribeOptions{Policy: KeepLatest})
		publish(t, h, "topic", "1", "2")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := h.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("shut down: %v", err)
		}
		check(t, "subscription", s.Stats(), Stats{Sent: 1})
		check(t, "totals", h.Stats().Subscriptions, 0)
	})
}

// Neither a backplane that hangs nor a callback that does keeps Shutdown.
func TestShutdownHangs(t *testing.T) {
	for _, what := range []string{"backplane", "subscriber at the backplane", "callback"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				plane := new(post)
				o := &Options{Backplane: plane}
				if what == "callback" {
					o.OnLeave = func(string, string) { <-hang }
				}
				h := New(o)
				c := newFake()
				defer c.cancel(nil)
				subscribe(t, h, "topic", c, &SubscribeOptions{Member: "ada"})
				if what != "callback" {
					plane.set(nil, hang)
				}
				subscribed := make(chan error, 1)
				if what == "subscriber at the backplane" {
					go func() {
						_, err := h.subscribe("another topic", c, &SubscribeOptions{Member: "ada"})
						subscribed <- err
					}()
					synctest.Wait()
				} else {
					subscribed <- ErrClosed
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := h.Shutdown(ctx); err != context.Canceled {
					t.Errorf("shut down: %v", err)
				}
				check(t, "subscriptions", h.Stats().Subscriptions, 0)
				close(hang)
				synctest.Wait()
				if err := <-subscribed; !errors.Is(err, ErrClosed) {
					t.Errorf("subscribed: %v", err)
				}
				// In the end all is released.
				if err := h.Shutdown(t.Context()); err != nil {
					t.Errorf("once more: %v", err)
				}
				check(t, "subscriptions", h.Stats().Subscriptions, 0)
				plane.mu.Lock()
				defer plane.mu.Unlock()
				check(t, "left at the backplane", plane.subscribed-plane.ended, 0)
			})
		})
	}
}

// Shutdown comes while everything else is going on: accepted messages are delivered
// to all, and no subscription is left.
func TestShutdownConcurrently(t *testing.T) {
	for range 20 {
		h := New(&Options{Replay: 3, Backplane: new(Memory)})
		conns := []*fake{newFake(), newFake()}
		for _, c := range conns {
			subscribe(t, h, "topic", c, nil)
		}
		var wg sync.WaitGroup
		accepted := 0
		started := make(chan struct{})
		wg.Go(func() {
			for h.Publish("topic", websocket.Text, nil) == nil {
				if accepted++; accepted == 100 {
					close(started)
				}
			}
		})
		for range 2 {
			wg.Go(func() {
				for {
					s, err := h.subscribe("topic", newFake(), &SubscribeOptions{Replay: true, Member: "ada"})
					if err != nil {
						if err != ErrClosed {
							t.Error(err)
						}
						return
					}
					s.Unsubscribe()
				}
			})
		}
		<-started
		if err := h.Shutdown(bg); err != nil {
			t.Fatal(err)
		}
		check(t, "subscriptions", h.Stats().Subscriptions, 0)
		wg.Wait()
		for _, c := range conns {
			check(t, "messages", len(c.prepared()), accepted)
		}
		check(t, "subscriptions", h.Stats().Subscriptions, 0)
	}
}
