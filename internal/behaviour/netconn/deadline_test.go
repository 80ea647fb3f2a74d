package netconn_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// Deadlines of a NetConn, with the checks of golang.org/x/net/nettest.

func checkTimeout(t *testing.T, err error) {
	t.Helper()
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v is not a timeout", err)
	}
}

// TestNetConnDeadlineTakenBack: a deadline that is moved or taken back at the very
// moment when it passes, with many at that moment, holds for no later call.
func TestNetConnDeadlineTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const conns = 50
		var ends [conns][2]net.Conn
		for i := range ends {
			client, server := websocket.Pipe()
			defer client.CloseNow()
			defer server.CloseNow()
			ends[i] = [2]net.Conn{client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)}
			wstest.RoundTrip(t, ends[i][0], ends[i][1])
		}
		stuck := 0
		for round := range 40 {
			at := time.Now().Add(time.Second)
			moved := []time.Time{{}, at.Add(time.Hour)}[round%2]
			var all sync.WaitGroup
			for i := range ends {
				ends[i][0].SetDeadline(at)
				all.Go(func() {
					time.Sleep(time.Until(at))
					ends[i][0].SetDeadline(moved)
				})
			}
			all.Wait()
			synctest.Wait()
			for i := range ends {
				if _, err := ends[i][1].Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := ends[i][0].Read(make([]byte, 1)); err != nil {
					stuck++
					ends[i][0].SetDeadline(time.Time{})
					if _, err := ends[i][0].Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if stuck > 0 {
			t.Errorf("%d of %d deadlines were taken back and passed all the same", stuck, 40*conns)
		}
	})
}

// TestNetConnPastTimeout: a deadline of the past holds for calls of the future, and
// until it is moved.
func TestNetConnPastTimeout(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		for range 2 {
			a.SetDeadline(time.Unix(1, 0))
			n, err := a.Write(make([]byte, 100_000))
			if n != 0 {
				t.Errorf("wrote %d bytes", n)
			}
			checkTimeout(t, err)
			n, err = a.Read(make([]byte, 1))
			if n != 0 {
				t.Errorf("read %d bytes", n)
			}
			checkTimeout(t, err)
			wstest.RoundTrip(t, a, b)
		}
	})
}

// TestNetConnPresentTimeout: a deadline of the past ends calls that wait.
func TestNetConnPresentTimeout(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a := client.NetConn(bg, websocket.Binary)
		started := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			<-started
			time.Sleep(5 * time.Millisecond) // let them wait, as a rule
			a.SetReadDeadline(time.Now())
			a.SetWriteDeadline(time.Now())
		})
		all.Go(func() {
			_, err := a.Read(make([]byte, 1))
			checkTimeout(t, err)
		})
		all.Go(func() {
			close(started)
			var err error
			for err == nil {
				_, err = a.Write(make([]byte, 50_000))
			}
			checkTimeout(t, err)
		})
		all.Wait()
	})
}

// TestNetConnFutureTimeout: a deadline of the future, and the stream goes on behind it.
func TestNetConnFutureTimeout(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		for range 3 {
			a.SetDeadline(time.Now().Add(10 * time.Millisecond))
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					_, err := a.Read(make([]byte, 1))
					checkTimeout(t, err)
				})
			}
			all.Wait()
			wstest.RoundTrip(t, a, b)
		}
	})
}

// TestNetConnRacyReads: reads of several goroutines under deadlines that move all
// the time lose nothing, and see nothing twice.
func TestNetConnRacyReads(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		const total = 1 << 20
		sent := make(chan error, 1)
		go func() {
			_, err := a.Write(wstest.Pattern(total))
			sent <- err
		}()
		var got [256]atomic.Int64 // how often each byte was read; their order among goroutines is not known
		var left atomic.Int64
		left.Store(total)
		stop := make(chan struct{})
		var movers, readers sync.WaitGroup
		for range 2 {
			movers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					b.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Microsecond))
					time.Sleep(100 * time.Microsecond)
				}
			})
		}
		for range 4 {
			readers.Go(func() {
				p := make([]byte, 3000)
				for left.Load() > 0 {
					n, err := b.Read(p)
					for _, v := range p[:n] {
						got[v].Add(1)
					}
					left.Add(int64(-n))
					if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
						return
					}
				}
			})
		}
		readers.Wait()
		close(stop)
		movers.Wait()
		if err := <-sent; err != nil {
			t.Error(err)
		}
		var want [256]int64
		for _, v := range wstest.Pattern(total) {
			want[v]++
		}
		for v := range want {
			if n := got[v].Load(); n != want[v] {
				t.Errorf("byte %d was read %d times, sent %d times", v, n, want[v])
			}
		}
		wstest.RoundTrip(t, a, b)
	})
}

// TestNetConnConcurrentMethods calls everything at once.
func TestNetConnConcurrentMethods(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		copied := make(chan error, 1)
		go func() {
			_, err := io.Copy(b, b)
			copied <- err
		}()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { a.Read(make([]byte, 1024)) })
			all.Go(func() { a.Write(make([]byte, 1024)) })
			all.Go(func() { a.SetDeadline(time.Now().Add(50 * time.Millisecond)) })
			all.Go(func() { a.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) })
			all.Go(func() { a.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) })
			all.Go(func() { a.LocalAddr() })
			all.Go(func() { a.RemoteAddr() })
		}
		all.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-copied; err != nil {
			t.Error(err)
		}
	})
}

// TestNetConnCloseEndsCalls: Close ends what waits, with net.ErrClosed, and nothing
// can be done afterwards.
func TestNetConnCloseEndsCalls(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		peer := make(chan error, 1)
		go func() {
			_, err := b.Read(make([]byte, 1))
			peer <- err
		}()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond) // let them wait, as a rule
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		if err := <-peer; err != io.EOF {
			t.Errorf("the peer got %v", err)
		}
		_, readErr := a.Read(nil)
		_, writeErr := a.Write(nil)
		for _, err := range []error{readErr, writeErr, a.SetDeadline(time.Now()), a.SetReadDeadline(time.Now()), a.SetWriteDeadline(time.Now())} {
			var oe *net.OpError
			if !errors.As(err, &oe) || oe.Timeout() || !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}

// TestNetConnErrorsOfPeer: what is left when the peer has closed, and then Close was
// called, is no end of the stream but a closed connection.
func TestNetConnErrorsOfPeer(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a := client.NetConn(bg, websocket.Binary)
		closed := make(chan error, 1)
		go func() { closed <- server.Close(websocket.StatusGoingAway, "") }()
		for range 2 {
			if _, err := a.Read(make([]byte, 1)); err != io.EOF {
				t.Error(err)
			}
		}
		if _, err := a.Write([]byte("x")); err == io.EOF || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Write returned %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, err := a.Read(make([]byte, 1)); err == io.EOF || !errors.Is(err, net.ErrClosed) {
			t.Errorf("a Read after Close returned %v", err)
		}
	})
}

// TestNetConnTimeoutOnce: a Write that a deadline cuts in the middle of a frame ends
// the connection. It returns a timeout; what comes later does not, and would else be
// tried again for ever.
func TestNetConnTimeoutOnce(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	c := conntest.New(t, a, true, websocket.Options{})
	defer c.CloseNow()
	n := c.NetConn(bg, websocket.Binary)
	go func() {
		if _, err := io.ReadFull(b, make([]byte, 1000)); err != nil {
			t.Error(err)
		}
		n.SetWriteDeadline(time.Now())
	}()
	_, err := n.Write(make([]byte, 5000))
	checkTimeout(t, err)
	n.SetDeadline(time.Time{})
	for range 2 {
		_, err = n.Write([]byte("x"))
		var ne net.Error
		if err == nil || errors.As(err, &ne) && ne.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a later Write returned %v", err)
		}
	}
}
