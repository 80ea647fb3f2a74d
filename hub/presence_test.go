package hub

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fullduplex-go/websocket"
)

// diary records joins and leaves.
type diary struct {
	mu   sync.Mutex
	text []string
}

func (d *diary) note(format string, a ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = append(d.text, fmt.Sprintf(format, a...))
}

// read returns the notes since the last call.
func (d *diary) read() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := strings.Join(d.text, " ")
	d.text = nil
	return text
}

func (d *diary) options() *Options {
	return &Options{
		OnJoin:  func(topic, member string) { d.note("%s+%s", topic, member) },
		OnLeave: func(topic, member string) { d.note("%s-%s", topic, member) },
	}
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		h := New(d.options())
		join := func(topic, member string) (*Subscription, *fake) {
			c := newFake()
			return subscribe(t, h, topic, c, &SubscribeOptions{Member: member}), c
		}
		expect := func(events, members string) {
			t.Helper()
			synctest.Wait()
			check(t, "events", d.read(), events)
			check(t, "members", h.Members("a"), words(members))
		}
		ada, _ := join("a", "ada")
		expect("a+ada", "ada")
		_, tab := join("a", "ada") // another tab
		expect("", "ada")
		bo, _ := join("a", "bo")
		nobody, _ := join("a", "")
		expect("a+bo", "ada bo")
		other, _ := join("b", "ada")
		expect("b+ada", "ada bo")
		ada.Unsubscribe()
		ada.Unsubscribe()
		expect("", "ada bo")
		tab.end() // the connection closes
		expect("a-ada", "bo")
		_, back := join("a", "ada")
		expect("a+ada", "ada bo")
		back.mu.Lock()
		back.ended = &websocket.CloseError{}
		back.mu.Unlock()
		publish(t, h, "a", "1") // which tells
		expect("a-ada", "bo")
		bo.Unsubscribe()
		nobody.Unsubscribe()
		expect("a-bo", "")
		other.Unsubscribe()
		expect("b-ada", "")
		check(t, "topics", h.Stats().Topics, 0)
	})
}

// OnJoin and OnLeave may call the hub, about the same topic, too.
func TestPresenceCallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *Hub
		var d diary
		echo := newFake() // subscribes from within the callback
		var s *Subscription
		h = New(&Options{
			OnJoin: func(topic, member string) {
				d.note("+%s", member)
				publish(t, h, topic, member+" came")
				if member == "ada" {
					s = subscribe(t, h, topic, echo, &SubscribeOptions{Member: "echo"})
				}
				d.note("%v", h.Members(topic))
			},
			OnLeave: func(topic, member string) {
				d.note("-%s", member)
				publish(t, h, topic, member+" left")
				if member == "ada" {
					s.Unsubscribe()
				}
			},
		})
		ada := newFake()
		sub := subscribe(t, h, "topic", ada, &SubscribeOptions{Member: "ada"})
		synctest.Wait()
		check(t, "who came hears it", ada.got(t), []string{"ada came", "echo came"})
		sub.Unsubscribe()
		synctest.Wait()
		check(t, "who left does not", ada.got(t), []string{"ada came", "echo came"})
		check(t, "the other one", echo.got(t), []string{"echo came", "ada left"})
		check(t, "events", d.read(), "+ada [ada echo] +echo [ada echo] -ada -echo")
		check(t, "topics", h.Stats().Topics, 0)
	})
}

// Events of a topic are told one at a time and in order, also of a topic that
// was forgotten in the meantime.
func TestPresenceIsOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		o := d.options()
		join, slow := o.OnJoin, make(chan struct{})
		o.OnJoin = func(topic, member string) {
			<-slow
			join(topic, member)
		}
		h := New(o)
		c := newFake()
		defer c.cancel(nil)
		for range 3 {
			subscribe(t, h, "a", c, &SubscribeOptions{Member: "ada"}).Unsubscribe()
		}
		last := subscribe(t, h, "b", c, &SubscribeOptions{Member: "bo"})
		synctest.Wait()
		check(t, "before", d.read(), "")
		close(slow)
		synctest.Wait()
		var a []string
		for _, e := range words(d.read()) {
			if e != "b+bo" {
				a = append(a, e)
			}
		}
		check(t, "after", a, words("a+ada a-ada a+ada a-ada a+ada a-ada"))
		last.Unsubscribe()
	})
}

func TestPresencePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var d diary
		o := d.options()
		o.OnJoin = func(topic, member string) { panic("oh no") }
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		h := New(o)
		c := newFake()
		defer c.cancel(nil)
		subscribe(t, h, "a", c, &SubscribeOptions{Member: "ada"}).Unsubscribe()
		synctest.Wait()
		check(t, "events", d.read(), "a-ada")
		if !strings.Contains(log.String(), "OnJoin") || !strings.Contains(log.String(), "oh no") {
			t.Errorf("logged %q", &log)
		}
	})
}

// Subscriptions come and go on all sides: joins and leaves alternate for each
// member, and all is well in the end.
func TestPresenceConcurrently(t *testing.T) {
	var mu sync.Mutex
	present := map[string]bool{}
	note := func(joins bool) func(topic, member string) {
		return func(topic, member string) {
			mu.Lock()
			defer mu.Unlock()
			if present[member] == joins {
				t.Errorf("%s: joins %v twice", member, joins)
			}
			present[member] = joins
		}
	}
	h := newHub(t, &Options{OnJoin: note(true), OnLeave: note(false)})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				c := newFake()
				s := subscribe(t, h, "topic", c, &SubscribeOptions{Member: fmt.Sprint(i % 3), Replay: true})
				if j%2 == 0 {
					c.end()
				} else {
					s.Unsubscribe()
				}
			}
		})
	}
	wg.Wait()
	if err := h.Shutdown(bg); err != nil {
		t.Fatal(err)
	}
	for member, is := range present {
		if is {
			t.Errorf("%s has not left", member)
		}
	}
	check(t, "members", len(present), 3)
}

// A connection is registered with once, whatever the number of its subscriptions, and
// nothing stays behind when they have ended.
func TestNothingStaysAtTheContext(t *testing.T) {
	ctx := &countingContext{Context: bg}
	c := &countingConn{ctx: ctx}
	h := newHub(t, nil)
	var subs []*Subscription
	for i := range 10 {
		subs = append(subs, subscribe(t, h, fmt.Sprint(i), c, nil))
	}
	check(t, "registered", ctx.n, 1)
	for _, s := range subs {
		check(t, "still registered", ctx.n, 1)
		s.Unsubscribe()
	}
	check(t, "left", ctx.n, 0)
}

// countingContext counts the functions that wait for its end.
type countingContext struct {
	context.Context
	n int
}

func (c *countingContext) Done() <-chan struct{} { return make(chan struct{}) }

func (c *countingContext) AfterFunc(func()) (stop func() bool) {
	c.n++
	return func() bool { c.n--; return true }
}
