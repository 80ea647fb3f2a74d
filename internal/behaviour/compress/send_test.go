package compress_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// TestCompressedSends: prepared messages, sends and writes on connections with
// and without takeover, while the peer keeps up and while it does not.
func TestCompressedSends(t *testing.T) {
	for _, p := range []extension.Deflate{
		{Level: 4, SendBits: 15, RecvBits: 15},
		{Level: 4, SendBits: 10, RecvBits: 10, SendTakeover: true, RecvTakeover: true},
		{Level: 1, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true},
	} {
		for _, k := range conntest.Kinds {
			for _, fromClient := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d bits/%v/%s/client=%v", p.SendBits, p.SendTakeover, k.Name, fromClient), func(t *testing.T) {
					a, b := k.Pair(t)
					wstest.SmallBuffers(t, a)
					wstest.SmallBuffers(t, b)
					opts := websocket.Options{SendBuffer: 20_000}
					from := compressing(t, a, fromClient, opts, p)
					to := compressing(t, b, !fromClient, opts, p)
					defer from.CloseNow()
					defer to.CloseNow()
					if k.Loop {
						conntest.ReadOnLoop(t, conntest.NewLoop(t, 1), from)
					}
					sent := make(chan []byte, 1000) // what to must receive
					done := make(chan struct{})
					receive := func() {
						defer close(done)
						for want := range sent {
							if _, got, err := to.Read(bg); !bytes.Equal(got, want) || err != nil {
								t.Errorf("%d bytes instead of %d, %v", len(got), len(want), err)
								to.CloseNow()
								return
							}
						}
					}
					rnd := rand.New(rand.NewPCG(1, 5))
					sendSome := func(n int, full func()) {
						for i := range n {
							msg := deflatetest.Text(100+rnd.IntN(10_000), i%50)
							m, err := websocket.NewPreparedMessage(websocket.Text, msg)
							if err != nil {
								t.Fatal(err)
							}
							send := func() error { return from.Send(websocket.Text, msg) }
							if i%2 == 0 {
								send = func() error { return from.SendPrepared(m) }
							}
							for err = send(); err == websocket.ErrBackpressure; err = send() {
								full()
							}
							if err != nil {
								t.Fatal(err)
							}
							sent <- msg
						}
					}
					// Nobody reads before the queue is full.
					var started sync.Once
					sendSome(200, func() {
						started.Do(func() { go receive() })
						wstest.Receive(t, from.Drained())
					})
					started.Do(func() { go receive() })
					last := []byte(strings.Repeat(`"symbol"`, 100))
					if err := from.Write(bg, websocket.Text, last); err != nil {
						t.Fatal(err)
					}
					sent <- last
					close(sent)
					wstest.Receive(t, done)
					wstest.Receive(t, from.Drained())
				})
			}
		}
	}
}
