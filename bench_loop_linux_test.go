//go:build !ws_unix && !ws_plain

package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// BenchmarkLoopEcho is the whole way of a message of 64 bytes: in by a loop, to
// a handler, and back, in batches as a pipelining peer sends them. One operation
// is one batch, both ends and the system's part included.
func BenchmarkLoopEcho(b *testing.B) {
	for _, batch := range []int{1, 16, 200} {
		b.Run(fmt.Sprintf("Batch=%d", batch), func(b *testing.B) {
			l := newTestLoop(b, 1)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go l.Serve(ln, nil, funcHandler{message: func(c *Conn, typ MessageType, p []byte) {
				c.Write(context.Background(), typ, p)
			}})
			c, _, err := Dial(context.Background(), "ws://"+ln.Addr().String(), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer c.CloseNow()
			nc := c.t.Writer()
			msg := bytes.Repeat(frame(OpBinary, true, true, strings.Repeat("a", 64)), batch)
			back := make([]byte, batch*66)
			b.ReportAllocs()
			for b.Loop() {
				nc.Write(msg)
				if _, err := io.ReadFull(nc, back); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/msg")
		})
	}
}
