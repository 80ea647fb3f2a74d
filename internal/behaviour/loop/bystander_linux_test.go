//go:build !ws_unix && !ws_plain

package loop_test

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// bystander measures the longest round trip of a connection on l, or the longest
// that a newcomer takes from Attach to its first answer, until end is called.
func bystander(t *testing.T, l *websocket.Loop, newcomers bool) (end func() time.Duration) {
	client, _ := conntest.Attach(t, l, wstest.TCPPair, conntest.Echo, websocket.Options{})
	conntest.MustEcho(t, client, "first")
	round := func() time.Duration {
		begin := time.Now()
		conntest.MustEcho(t, client, "still there?")
		return time.Since(begin)
	}
	if newcomers {
		round = func() time.Duration {
			a, b := wstest.TCPPair(t)
			c := conntest.New(t, a, true, websocket.Options{})
			defer c.CloseNow()
			begin := time.Now()
			if err := l.Attach(conntest.New(t, b, false, websocket.Options{}), conntest.Echo); err != nil {
				t.Error(err)
			}
			conntest.MustEcho(t, c, "first")
			return time.Since(begin)
		}
	}
	var over atomic.Bool
	longest := make(chan time.Duration, 1)
	go func() {
		var most time.Duration
		for !over.Load() {
			most = max(most, round())
			time.Sleep(100 * time.Microsecond)
		}
		longest <- most
	}()
	return func() time.Duration {
		over.Store(true)
		most := wstest.Receive(t, longest)
		client.CloseNow()
		return most
	}
}

// blockTogether has n handlers of one worker called at a time, in the method
// that is named, and returns the longest round trip of a bystander until all
// are inside and for a moment after. With block they stay inside until then.
func blockTogether(t *testing.T, n int, method string, block bool) time.Duration {
	l := conntest.NewLoop(t, 1)
	release := make(chan struct{})
	var inside, closed sync.WaitGroup
	inside.Add(n)
	closed.Add(n)
	in := func(where string) {
		if where == method {
			inside.Done()
			if block {
				<-release
			}
		}
	}
	h := conntest.Funcs(
		func(*websocket.Conn) { in("OnOpen") },
		func(*websocket.Conn, websocket.MessageType, []byte) { in("OnMessage") },
		func(*websocket.Conn, error) { in("OnClose"); closed.Done() },
	)
	peers, conns := make([]net.Conn, n), make([]*websocket.Conn, n)
	for i := range n {
		a, b := wstest.TCPPair(t)
		peers[i], conns[i] = a, conntest.New(t, b, false, websocket.Options{})
	}
	attachAll := func() {
		for _, c := range conns {
			if err := l.Attach(c, h); err != nil {
				t.Fatal(err)
			}
		}
	}
	if method != "OnOpen" {
		attachAll()
	}
	end := bystander(t, l, method != "OnMessage")
	switch method {
	case "OnOpen":
		attachAll()
	case "OnMessage":
		for _, peer := range peers {
			if _, err := peer.Write(conntest.Frame(websocket.OpText, true, true, "x")); err != nil {
				t.Fatal(err)
			}
		}
	case "OnClose":
		for _, peer := range peers {
			peer.Close()
		}
	}
	inside.Wait()
	time.Sleep(50 * time.Millisecond)
	most := end()
	close(release)
	for _, peer := range peers {
		peer.Close()
	}
	closed.Wait()
	return most
}

// TestLoopBystander: however many handlers of a worker block together, another
// connection of that worker is answered within 100 ms, and a newcomer, too,
// unless the machine itself takes long: there is a control whose handlers do not
// block.
func TestLoopBystander(t *testing.T) {
	const bound = 100 * time.Millisecond
	n := 3000
	if wstest.Race {
		n = 500 // to make so many takes long
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur < 10_000 {
		n = int(limit.Cur) / 4
	}
	for _, method := range []string{"OnMessage", "OnOpen", "OnClose"} {
		t.Run(method, func(t *testing.T) {
			for try := 1; ; try++ {
				blocked := blockTogether(t, n, method, true)
				t.Logf("a bystander waits at most %v beside %d handlers that block", blocked, n)
				if blocked < bound {
					return
				}
				control := blockTogether(t, n, method, false)
				t.Logf("a bystander waits at most %v beside %d handlers that do not block", control, n)
				if blocked < 5*control {
					return
				}
				if try == 3 {
					t.Fatalf("%v, want less than %v", blocked, bound)
				}
			}
		})
	}
}
