package hub

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// engine makes connections to a server, of one kind.
type engine func(t *testing.T) (client, server *websocket.Conn)

// overEngines runs f with every kind of connection. Over TCP the sockets of
// both ends are small.
func overEngines(t *testing.T, f func(t *testing.T, connect engine)) {
	t.Run("pipe", func(t *testing.T) { f(t, pipe) })
	t.Run("tcp", func(t *testing.T) {
		accepted := make(chan *websocket.Conn, 1)
		f(t, dialer(t, accepted, &websocket.Server{Handler: func(c *websocket.Conn) {
			accepted <- c
			c.Read(bg) // up to the end
		}}))
	})
	t.Run("loop", func(t *testing.T) {
		loop, err := websocket.NewLoop(&websocket.LoopOptions{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { loop.Close() })
		accepted := make(chan *websocket.Conn, 1)
		f(t, dialer(t, accepted, &websocket.Server{Loop: loop, Events: events(accepted)}))
	})
}

func pipe(t *testing.T) (client, server *websocket.Conn) {
	client, server = websocket.Pipe()
	t.Cleanup(func() { client.CloseNow(); server.CloseNow() })
	go server.Read(bg)
	return client, server
}

// events passes on the connections that a Loop has opened.
type events chan *websocket.Conn

func (e events) OnOpen(c *websocket.Conn)                                 { e <- c }
func (e events) OnMessage(*websocket.Conn, websocket.MessageType, []byte) {}
func (e events) OnClose(*websocket.Conn, error)                           {}

// small makes the sockets of a server small.
type small struct{ net.Listener }

func (l small) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return c, err
}

// dialer starts a server, which hands its connections to accepted, and returns
// how to connect to it.
func dialer(t *testing.T, accepted <-chan *websocket.Conn, ws *websocket.Server) engine {
	ws.SendBuffer = 16 << 10
	server := httptest.NewUnstartedServer(ws)
	server.Listener = small{server.Listener}
	server.Start()
	t.Cleanup(func() { ws.Close(); server.Close() })
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		return c, err
	}}
	opts := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}
	return func(t *testing.T) (client, server2 *websocket.Conn) {
		t.Helper()
		client, _, err := websocket.Dial(bg, "ws"+strings.TrimPrefix(server.URL, "http"), opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.CloseNow() })
		return client, <-accepted
	}
}

// reader reads messages that are numbers with padding, until the connection
// ends.
type reader struct {
	mu   sync.Mutex
	got  []int
	err  error
	more *sync.Cond
}

func read(c *websocket.Conn) *reader {
	r := new(reader)
	r.more = sync.NewCond(&r.mu)
	go func() {
		for err := error(nil); err == nil; {
			var p []byte
			_, p, err = c.Read(bg)
			r.mu.Lock()
			if err == nil {
				var n int
				fmt.Sscan(string(p), &n)
				r.got = append(r.got, n)
			}
			r.err = err
			r.more.Broadcast()
			r.mu.Unlock()
		}
	}()
	return r
}

// await waits until n messages have come, or the end, and returns all.
func (r *reader) await(n int) ([]int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.got) < n && r.err == nil {
		r.more.Wait()
	}
	return slices.Clone(r.got), r.err
}

// A subscriber that does not read does not affect another one, and gets the messages
// that its policy has kept when it reads.
func TestSlowReader(t *testing.T) {
	const keys, queue = 8, 4
	tests := []struct {
		opts  SubscribeOptions
		until func(Stats) bool // it has become slow
		check func(t *testing.T, got []int, last int)
	}{{
		SubscribeOptions{Policy: DropNewest},
		func(st Stats) bool { return st.Dropped > 5 },
		func(t *testing.T, got []int, last int) {
			for i, n := range got {
				if n != i {
					t.Fatalf("message %d is %d", i, n)
				}
			}
		},
	}, {
		SubscribeOptions{Policy: DropOldest, Queue: queue},
		func(st Stats) bool { return st.Dropped > 5 },
		func(t *testing.T, got []int, last int) {
			for i := range queue {
				if n := got[len(got)-1-i]; n != last-i {
					t.Errorf("message %d from the end is %d, of %d", i, n, last)
				}
			}
		},
	}, {
		SubscribeOptions{Policy: KeepLatest},
		func(st Stats) bool { return st.Conflated > 3*keys },
		func(t *testing.T, got []int, last int) {
			newest := map[int]int{}
			for _, n := range got {
				if before, ok := newest[n%keys]; ok && before >= n {
					t.Errorf("%d came behind %d", n, before)
				}
				newest[n%keys] = n
			}
			for i := range keys {
				if n := last - i; newest[n%keys] != n {
					t.Errorf("the newest with key %d is %d, not %d", n%keys, newest[n%keys], n)
				}
			}
		},
	}}
	for _, tt := range tests {
		t.Run(tt.opts.Policy.String(), func(t *testing.T) {
			overEngines(t, func(t *testing.T, connect engine) {
				h := newHub(t, nil)
				slowClient, slow := connect(t)
				healthyClient, healthy := connect(t)
				s, err := h.Subscribe("topic", slow, &tt.opts)
				if err != nil {
					t.Fatal(err)
				}
				healthySub, err := h.Subscribe("topic", healthy, &tt.opts)
				if err != nil {
					t.Fatal(err)
				}
				r := read(healthyClient)
				last := -1
				for !tt.until(s.Stats()) {
					if last++; last > 5000 {
						t.Fatalf("not slow after %d messages: %+v", last, s.Stats())
					}
					publishNumber(t, h, last, keys)
					if got, err := r.await(last + 1); err != nil || got[last] != last {
						t.Fatalf("the healthy one got %d, %v; want %d", got[last:], err, last)
					}
				}
				check(t, "the healthy one", healthySub.Stats(), Stats{Sent: uint64(last + 1)})
				slowReader := read(slowClient)
				eventually(t, "nothing is pending", func() bool { return s.Stats().Pending == 0 })
				st := s.Stats()
				got, err := slowReader.await(int(st.Sent))
				if err != nil || !slices.IsSorted(got) && tt.opts.Policy != KeepLatest {
					t.Fatalf("the slow one got %v, %v", got, err)
				}
				tt.check(t, got, last)
				check(t, "sent, dropped and conflated", st.Sent+st.Dropped+st.Conflated, uint64(last+1))

				// From then on it is like others.
				eventually(t, "nothing is buffered", func() bool { return slow.Buffered() == 0 })
				publishNumber(t, h, last+1, keys)
				if got, err := slowReader.await(int(st.Sent) + 1); err != nil || got[st.Sent] != last+1 {
					t.Errorf("then it got %v, %v", got[st.Sent:], err)
				}
			})
		})
	}
}

func publishNumber(t *testing.T, h *Hub, n, keys int) {
	t.Helper()
	p := fmt.Sprint(n, strings.Repeat(" ", 2<<10))
	if err := h.PublishKey("topic", fmt.Sprint(n%keys), websocket.Text, []byte(p)); err != nil {
		t.Fatal(err)
	}
}

func TestSlowReaderIsDisconnected(t *testing.T) {
	overEngines(t, func(t *testing.T, connect engine) {
		left := make(chan string, 1)
		h := newHub(t, &Options{OnLeave: func(_, member string) { left <- member }})
		slowClient, slow := connect(t)
		healthyClient, healthy := connect(t)
		opts := &SubscribeOptions{Policy: Disconnect, Member: "slow"}
		if _, err := h.Subscribe("topic", slow, opts); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Subscribe("topic", healthy, &SubscribeOptions{Policy: Disconnect}); err != nil {
			t.Fatal(err)
		}
		r := read(healthyClient)
		last := -1
		for h.Subscribers("topic") == 2 {
			if last++; last > 5000 {
				t.Fatal("not disconnected")
			}
			publishNumber(t, h, last, 1)
			if _, err := r.await(last + 1); err != nil {
				t.Fatal(err)
			}
		}
		check(t, "who left", <-left, "slow")
		got, err := read(slowClient).await(last + 2) // which is more than there are
		for i, n := range got {
			if n != i {
				t.Fatalf("message %d is %d", i, n)
			}
		}
		if websocket.CloseCode(err) != websocket.StatusTryAgainLater || !strings.Contains(err.Error(), "too slow") {
			t.Errorf("after %d messages: %v", len(got), err)
		}
		check(t, "disconnected", h.Stats().Disconnected, 1)
		publishNumber(t, h, last+1, 1)
		if got, err := r.await(last + 2); err != nil || len(got) != last+2 {
			t.Errorf("the healthy one got %d of %d: %v", len(got), last+2, err)
		}
	})
}

// A subscription ends with its connection, whichever end closes it, and there
// is none for a connection that is closed.
func TestClosedConnections(t *testing.T) {
	for name, end := range map[string]func(client, server *websocket.Conn){
		"by the client": func(client, server *websocket.Conn) { client.Close(websocket.StatusGoingAway, "") },
		"by the server": func(client, server *websocket.Conn) { go client.Read(bg); server.Close(websocket.StatusGoingAway, "") },
		"cut":           func(client, server *websocket.Conn) { server.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			overEngines(t, func(t *testing.T, connect engine) {
				h := newHub(t, nil)
				client, server := connect(t)
				for _, topic := range []string{"a", "a", "b"} {
					if _, err := h.Subscribe(topic, server, nil); err != nil {
						t.Fatal(err)
					}
				}
				end(client, server)
				eventually(t, "nobody has subscribed", func() bool { return h.Stats() == Totals{} })
				if _, err := h.Subscribe("a", server, nil); websocket.CloseCode(err) == 0 {
					t.Errorf("subscribed with the error %v", err)
				}
			})
		})
	}
}

// A handler may publish while it handles a message, to its own connection, too.
func TestPublishFromHandler(t *testing.T) {
	h := newHub(t, nil)
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	for name, ws := range map[string]*websocket.Server{
		"loop": {Loop: loop, Events: &echo{h}},
		"handler": {Handler: func(c *websocket.Conn) {
			e := &echo{h}
			e.OnOpen(c)
			for m, err := range c.Messages(bg) {
				if err != nil {
					t.Error(err)
					return
				}
				e.OnMessage(c, m.Type, m.Data)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(ws)
			t.Cleanup(func() { ws.Close(); server.Close() })
			client, _, err := websocket.Dial(bg, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { client.CloseNow() })
			r := read(client)
			const n = 300
			for i := range n { // many of which arrive together
				if err := client.Send(websocket.Text, []byte(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			got, err := r.await(2 * n)
			if err != nil {
				t.Fatal(err)
			}
			// By two subscriptions, each in order.
			slices.Sort(got)
			for i, v := range got {
				if v != i/2 {
					t.Fatalf("got %v", got)
				}
			}
			if err := client.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// echo publishes each message to its sender, by two policies.
type echo struct{ h *Hub }

func (e *echo) OnOpen(c *websocket.Conn) {
	for _, policy := range []Policy{DropNewest, DropOldest} {
		if _, err := e.h.Subscribe("topic", c, &SubscribeOptions{Policy: policy, Queue: 1000}); err != nil {
			panic(err)
		}
	}
}

func (e *echo) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	if err := e.h.Publish("topic", typ, p); err != nil {
		panic(err)
	}
}

func (e *echo) OnClose(*websocket.Conn, error) {}
