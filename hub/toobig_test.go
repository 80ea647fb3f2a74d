package hub

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// withQueue returns the two ends of a connection whose server queues at most n bytes.
func withQueue(t *testing.T, n int) (client, server *websocket.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client, err = websocket.NewConn(a, &websocket.ConnOptions{Client: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.CloseNow() })
	server, err = websocket.NewConn(b, &websocket.ConnOptions{Options: websocket.Options{SendBuffer: n}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.CloseNow() })
	return client, server
}

// expect reads one message.
func expect(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	_, p, err := c.Read(bg)
	if err != nil {
		t.Fatal(err)
	}
	if string(p) != want {
		t.Errorf("got a message of %d bytes, want one of %d", len(p), len(want))
	}
}

// Publish refuses a message that no connection with the default queue can take. Nobody
// is closed, and a newcomer gets the replay. The largest message that is not refused
// reaches everybody.
func TestPublishTooBig(t *testing.T) {
	for limit, most := range map[int]int{0: 256 << 10, 1000: 1000, 300 << 10: 300 << 10} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			plane := new(Memory)
			h := newHub(t, &Options{MaxMessage: limit, Replay: 10, Backplane: plane})
			var log bytes.Buffer
			far := newHub(t, &Options{MaxMessage: -1, Backplane: plane})
			small := newHub(t, &Options{MaxMessage: most - 1, Backplane: plane, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			client, server := withQueue(t, most)
			s, err := h.Subscribe("topic", server, &SubscribeOptions{Policy: Disconnect})
			if err != nil {
				t.Fatal(err)
			}
			remote := newFake()
			subscribe(t, small, "topic", remote, nil)
			largest := strings.Repeat("x", most-maxHeader)
			err = h.Publish("topic", websocket.Text, []byte(largest+"x"))
			if !errors.Is(err, websocket.ErrMessageTooBig) || !strings.Contains(err.Error(), "MaxMessage") {
				t.Errorf("a message that is too big: %v", err)
			}
			check(t, "published", h.Stats().Published, 0)
			if err := far.Publish("topic", websocket.Text, []byte(largest+"x")); err != nil {
				t.Errorf("without a limit: %v", err)
			}
			check(t, "from another hub", h.Stats(), Totals{Topics: 1, Subscriptions: 1, Invalid: 1})
			publish(t, h, "topic", largest, "end")
			expect(t, client, largest)
			expect(t, client, "end")
			check(t, "statistics", s.Stats(), Stats{Sent: 2})
			check(t, "at a hub with a lower limit", remote.got(t), words("end"))
			check(t, "its totals", small.Stats(), Totals{Topics: 1, Subscriptions: 1, Received: 1, Invalid: 2, Delivered: 1})
			if !strings.Contains(log.String(), "MaxMessage") {
				t.Errorf("logged %q", &log)
			}
			newcomer, server := withQueue(t, most)
			if _, err := h.Subscribe("topic", server, &SubscribeOptions{Policy: Disconnect, Replay: true}); err != nil {
				t.Fatal(err)
			}
			expect(t, newcomer, largest)
			expect(t, newcomer, "end")
		})
	}
}

// A message that is larger than the queue of one connection concerns that connection
// alone, and a newcomer gets the replay without it.
func TestTooBigForOne(t *testing.T) {
	large := strings.Repeat("x", 10_000)
	for policy := range Policy(len(policies)) {
		t.Run(policy.String(), func(t *testing.T) {
			h := newHub(t, &Options{Replay: 10})
			opts := &SubscribeOptions{Policy: policy, Replay: true}
			subscribeTo := func(server *websocket.Conn) *Subscription {
				t.Helper()
				s, err := h.Subscribe("topic", server, opts)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			client, server := withQueue(t, 20_000)
			s := subscribeTo(server)
			smallClient, small := withQueue(t, 5_000)
			one := subscribeTo(small)
			publish(t, h, "topic", large)
			publishKey(t, h, "topic", "key", "next") // with KeepLatest it does not replace the other
			expect(t, client, large)
			expect(t, client, "next")
			check(t, "the statistics of others", s.Stats(), Stats{Sent: 2})
			if policy != Disconnect {
				expect(t, smallClient, "next")
				check(t, "its statistics", one.Stats(), Stats{Sent: 1, TooBig: 1})
			} else {
				var closed *websocket.CloseError
				if _, _, err := smallClient.Read(bg); !errors.As(err, &closed) || closed.Code != websocket.StatusTryAgainLater || closed.Reason != "message too big" {
					t.Errorf("it reads %v", err)
				}
				check(t, "its statistics", one.Stats(), Stats{TooBig: 1})
			}
			newClient, newServer := withQueue(t, 5_000)
			newcomer := subscribeTo(newServer)
			expect(t, newClient, "next")
			check(t, "the statistics of a newcomer", newcomer.Stats(), Stats{Sent: 1, TooBig: 1})
			check(t, "in all", h.Stats().TooBig, 2)
			check(t, "dropped in all", h.Stats().Dropped, 0)
		})
	}
}
