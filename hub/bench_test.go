package hub

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
)

const receivers = 10_000

// The cost of a publish by itself, beside the same calls in a bare loop, on
// connections that cost nothing.
func BenchmarkPublish10000(b *testing.B) {
	conns := make([]conn, receivers)
	for i := range conns {
		conns[i] = &nullConn{countingConn{ctx: context.Background()}}
	}
	benchmarkPublish(b, conns)
}

// And on connections over TCP, to a peer that reads.
func BenchmarkPublishTCP(b *testing.B) {
	const n = 1000
	accepted := make(chan *websocket.Conn)
	server := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn) {
		accepted <- c
		c.Read(context.Background())
	}})
	defer server.Close()
	conns := make([]conn, n)
	for i := range conns {
		client, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer client.Close()
		io.WriteString(client, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		conns[i] = <-accepted
		go io.Copy(io.Discard, struct{ io.Reader }{client})
	}
	benchmarkPublish(b, conns)
}

func benchmarkPublish(b *testing.B, conns []conn) {
	p := []byte(strings.Repeat("x", 128))
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			m, err := websocket.NewPreparedMessage(websocket.Binary, p)
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range conns {
				c.SendPrepared(m)
			}
		}
		perReceiver(b, len(conns))
	})
	for policy := range Policy(len(policies)) {
		b.Run(strings.ReplaceAll(policy.String(), " ", "-"), func(b *testing.B) {
			h := New(nil)
			defer h.Shutdown(b.Context())
			for _, c := range conns {
				if _, err := h.subscribe("t", c, &SubscribeOptions{Policy: policy}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				if err := h.Publish("t", websocket.Binary, p); err != nil {
					b.Fatal(err)
				}
			}
			perReceiver(b, len(conns))
			if st := h.Stats(); st.Dropped > 0 {
				b.Logf("%d of %d dropped", st.Dropped, st.Dropped+st.Delivered)
			}
		})
	}
}

func perReceiver(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/receiver")
}
