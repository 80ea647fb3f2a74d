//go:build !ws_unix && !ws_plain

package websocket

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// TestLoopPausedApart: a handler in a goroutine of its own has queued so much that
// its connection pauses, before it has seen all messages of its input. The queue
// leaves before the connection goes back to its worker. The messages that are left
// are in the input buffer, or in that of TLS, where no event reports them.
func TestLoopPausedApart(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			pair := tcpPair
			if secure {
				pair = pollableTLSPair
			}
			client, nc := pair(t)
			defer client.Close()
			c := newConn(nc, connConfig{opts: Options{}.withDefaults()})
			big := make([]byte, 8<<20)
			queued := make(chan *pollConn, 1)
			l := newTestLoop(t, 1)
			spread := &l.engine.workers[0].spread
			spread.calm = -1 << 30 // for the whole test
			spread.on.Store(true)
			err := l.Attach(c, funcHandler{
				Message: func(c *Conn, typ MessageType, p []byte) {
					if string(p) != "one" {
						if err := c.Write(bg, typ, p); err != nil {
							t.Error(err)
						}
						return
					}
					if err := c.Write(bg, Binary, big); err != nil {
						t.Error(err)
					}
					q := pollConnOf(c.t.(loopTransport))
					q.mu.Lock() // unlocked when the test has written the queue, as the runner would
					if !q.state.has(pollPaused) || !q.state.has(pollBusy) {
						t.Error("the connection is not paused, or not apart")
					}
					if err := q.worker.poll.Modify(int(q.fd), epoll.Off); err != nil {
						t.Error(err)
					}
					queued <- q
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			client.SetDeadline(time.Now().Add(20 * time.Second))
			in := append(text("one"), text("two")...)
			if _, err := client.Write(in); err != nil {
				t.Fatal(err)
			}
			q := mustReceive(t, queued)
			got := make(chan error, 1)
			go func() {
				_, err := io.CopyN(io.Discard, client, int64(len(big))+10)
				got <- err
			}()
			for q.queue != nil {
				if err := q.flushLocked(nil, nil, false); err != nil {
					t.Error(err)
					break
				}
				time.Sleep(time.Millisecond)
			}
			q.mu.Unlock()
			if err := mustReceive(t, got); err != nil {
				t.Fatal(err)
			}
			want := string(frame(OpText, true, false, "two"))
			p := make([]byte, len(want))
			if _, err := io.ReadFull(client, p); string(p) != want {
				t.Fatalf("%q, %v", p, err)
			}
		})
	}
}
