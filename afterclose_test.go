package websocket

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"unsafe"
)

// However a connection closes, the calls are made when the context is done, each
// once, but not those that were taken back.
func TestAfterClose(t *testing.T) {
	for name, end := range map[string]func(c, peer *Conn){
		"Close":     func(c, peer *Conn) { go peer.Read(context.Background()); c.Close(StatusNormalClosure, "") },
		"CloseNow":  func(c, peer *Conn) { c.CloseNow() },
		"peer":      func(c, peer *Conn) { go c.Read(context.Background()); peer.Close(StatusNormalClosure, "") },
		"peer, cut": func(c, peer *Conn) { go c.Read(context.Background()); peer.CloseNow() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := Pipe()
				defer peer.CloseNow()
				var calls [6]atomic.Int32
				var stops [6]func() bool
				for i := range calls {
					stop, err := c.AfterClose(func() {
						if calls[i].Add(1); c.Context().Err() == nil {
							t.Error("the connection is open")
						}
						if stops[i]() {
							t.Error("a call under way was taken back")
						}
					})
					if err != nil {
						t.Fatal(err)
					}
					stops[i] = stop
				}
				for _, i := range []int{5, 4, 2, 1} { // the first of the list twice, and neighbours
					if !stops[i]() || stops[i]() {
						t.Errorf("call %d was not taken back once", i)
					}
				}
				end(c, peer)
				synctest.Wait()
				for i, want := range []int{1, 0, 0, 1, 0, 0} {
					if n := int(calls[i].Load()); n != want {
						t.Errorf("call %d was made %d times", i, n)
					}
				}
				var closed *CloseError
				if stop, err := c.AfterClose(func() { t.Error("called after the end") }); stop != nil || !errors.As(err, &closed) {
					t.Errorf("on a closed connection: %v", err)
				}
				synctest.Wait()
			})
		})
	}
}

// A call costs less than a hundred bytes, its func included.
func TestAfterCloseAllocates(t *testing.T) {
	c, peer := Pipe()
	defer c.CloseNow()
	defer peer.CloseNow()
	allocs := testing.AllocsPerRun(100, func() {
		stop, err := c.AfterClose(func() { c.CloseNow() })
		if err != nil || !stop() {
			t.Fatal(err)
		}
	})
	if n := unsafe.Sizeof(afterClose{}); allocs > 3 || n > 48 {
		t.Errorf("%v allocations, the largest of %d bytes", allocs, n)
	}
}

// A call is either made or taken back, also while the connection closes.
func TestAfterCloseStopped(t *testing.T) {
	for range 200 {
		c, peer := Pipe()
		var calls, stopped atomic.Int32
		var all, made sync.WaitGroup
		for range 4 {
			made.Add(1)
			stop, err := c.AfterClose(func() { calls.Add(1); made.Done() })
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				if stop() {
					stopped.Add(1)
					made.Done()
				}
			})
		}
		all.Go(func() { c.CloseNow() })
		all.Wait()
		made.Wait()
		if n := calls.Load() + stopped.Load(); n != 4 {
			t.Fatalf("%d calls were made and %d taken back", calls.Load(), stopped.Load())
		}
		peer.CloseNow()
	}
}
