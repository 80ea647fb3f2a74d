package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// A slow reader that reads is never far behind, although messages are small: some
// thousand messages are between it and the hub, and not as many as fit into the
// system's buffers of a connection.
func TestSlowReaderIsNotFarBehind(t *testing.T) {
	const (
		rounds, published, reads = 300, 200, 5
		behind                   = 512 << 10 / 100 // messages of 100 bytes
	)
	loop, err := websocket.NewLoop(&websocket.LoopOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { loop.Close() })
	for _, policy := range []Policy{DropOldest, KeepLatest} {
		for _, on := range []string{"tcp", "loop", "tls"} {
			t.Run(policy.String()+" "+on, func(t *testing.T) {
				accepted := make(chan *websocket.Conn, 1)
				ws := &websocket.Server{Handler: func(c *websocket.Conn) {
					accepted <- c
					c.Read(bg) // up to the end
				}}
				if on == "loop" {
					ws = &websocket.Server{Loop: loop, Events: events(accepted)}
				}
				client := dialOrdinary(t, ws, on == "tls")
				h := newHub(t, nil)
				s, err := h.Subscribe("topic", <-accepted, &SubscribeOptions{Policy: policy, Queue: 1})
				if err != nil {
					t.Fatal(err)
				}
				read, last := 0, 0
				next := func() (n int) {
					_, p, err := client.Read(bg)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := fmt.Sscan(string(p), &n); err != nil {
						t.Fatal(err)
					}
					read++
					return n
				}
				for range rounds {
					for range published {
						last++
						publish(t, h, "topic", fmt.Sprintf("%-98d", last))
					}
					for i := 0; i < reads && int(s.Stats().Sent) > read; i++ {
						next() // it comes, since it was given to the connection
					}
					if n := int(s.Stats().Sent) - read; n > behind {
						t.Fatalf("%d messages lie between the hub and the reader", n)
					}
				}
				before := read
				for next() != last {
				}
				if read-before > behind {
					t.Errorf("the newest message comes behind %d others", read-before)
				}
			})
		}
	}
}

// dialOrdinary starts a server with the system's buffers for sending, and
// connects to it with one of a known size for receiving.
func dialOrdinary(t *testing.T, ws *websocket.Server, tls bool) *websocket.Conn {
	t.Helper()
	server := httptest.NewUnstartedServer(ws)
	if tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { ws.Close(); server.Close() })
	transport := server.Client().Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}
	client, _, err := websocket.Dial(bg, "ws"+strings.TrimPrefix(server.URL, "http"),
		&websocket.DialOptions{HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.CloseNow() })
	return client
}

// limited is a connection that records the argument of LimitUnsent.
type limited struct {
	*fake
	limit int
	err   error
}

func (l *limited) LimitUnsent(n int) error {
	l.limit = n
	return l.err
}

// The policies that queue call LimitUnsent, the others do not. A connection that
// cannot be limited is subscribed all the same.
func TestWhoIsLimited(t *testing.T) {
	var log bytes.Buffer
	h := newHub(t, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for policy, want := range map[Policy]int{DropNewest: 0, DropOldest: maxUnsent, KeepLatest: maxUnsent, Disconnect: 0} {
		for _, err := range []error{nil, errors.ErrUnsupported} {
			c := &limited{fake: newFake(), err: err}
			subscribe(t, h, "topic", c, &SubscribeOptions{Policy: policy})
			check(t, policy.String(), c.limit, want)
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged %q", &log)
	}
	subscribe(t, h, "topic", &limited{fake: newFake(), err: errors.New("strange")}, &SubscribeOptions{Policy: KeepLatest})
	if !strings.Contains(log.String(), "strange") {
		t.Errorf("logged %q", &log)
	}
	check(t, "subscribers", h.Subscribers("topic"), 9)
}
