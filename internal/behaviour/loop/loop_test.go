package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// A connection that is attached while the loop ends is refused, or has its
// events from the first to the last.
func TestLoopAttachWhileEnding(t *testing.T) {
	for i := range 40 {
		l := conntest.NewLoop(t, 2)
		tr := conntest.LoopKinds[i%len(conntest.LoopKinds)]
		var wg sync.WaitGroup
		var opened, closed, attached atomic.Int32
		begin := make(chan struct{})
		for range 8 {
			a, b := tr.Pair(t)
			client := conntest.New(t, a, true, websocket.Options{})
			server := conntest.New(t, b, false, websocket.Options{})
			go func() {
				for {
					if _, _, err := client.Read(bg); err != nil {
						return
					}
				}
			}()
			wg.Go(func() {
				var state atomic.Int32
				<-begin
				err := l.Attach(server, conntest.Funcs(
					func(*websocket.Conn) { opened.Add(1); state.Store(1) },
					nil,
					func(*websocket.Conn, error) {
						if closed.Add(1); state.Load() != 1 {
							t.Error("OnClose before OnOpen")
						}
					},
				))
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					server.CloseNow()
					return
				}
				attached.Add(1)
				<-server.Context().Done()
			})
		}
		close(begin)
		if i%2 == 0 {
			runtime.Gosched()
		}
		if i%4 < 2 {
			ctx, cancel := context.WithTimeout(bg, 10*time.Second)
			if err := l.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			cancel()
		} else {
			l.Close()
		}
		wg.Wait()
		wstest.Until(t, "OnClose of all", func() bool { return closed.Load() == attached.Load() })
		if opened.Load() != attached.Load() {
			t.Errorf("%d attached, %d opened", attached.Load(), opened.Load())
		}
	}
}

func TestLoopEcho(t *testing.T) {
	for _, tr := range conntest.LoopKinds {
		t.Run(tr.Name, func(t *testing.T) {
			l := conntest.NewLoop(t, 1)
			a, b := tr.Pair(t)
			client := conntest.New(t, a, true, websocket.Options{ReadLimit: 8 << 20})
			server := conntest.New(t, b, false, websocket.Options{ReadLimit: 8 << 20})
			defer client.CloseNow()
			var events []string
			closed := make(chan error, 1)
			err := l.Attach(server, conntest.Funcs(
				func(*websocket.Conn) { events = append(events, "open") },
				func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
					events = append(events, fmt.Sprint(len(p)))
					if err := c.Write(bg, typ, p); err != nil {
						t.Error(err)
					}
				},
				func(c *websocket.Conn, err error) { events = append(events, "close"); closed <- err },
			))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{0, 1, 125, 1000, 70_000, 5, 5 << 20, 1000} {
				msg := bytes.Repeat([]byte{'a'}, n)
				go func() {
					if err := client.Write(bg, websocket.Text, msg); err != nil {
						t.Error(err)
					}
				}()
				_, got, err := client.Read(bg)
				if err != nil || !bytes.Equal(got, msg) {
					t.Fatalf("%d bytes came back as %d: %v", n, len(got), err)
				}
			}
			if err := client.Close(websocket.StatusNormalClosure, "bye"); err != nil {
				t.Error(err)
			}
			select {
			case err := <-closed:
				if websocket.CloseCode(err) != websocket.StatusNormalClosure {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("OnClose was not called")
			}
			if got, want := fmt.Sprint(events), "[open 0 1 125 1000 70000 5 5242880 1000 close]"; got != want {
				t.Errorf("events %v, want %v", got, want)
			}
		})
	}
}
