package drain

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestGroup(t *testing.T) {
	var g Group
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(ended); err != nil {
		t.Errorf("nothing is under way: %v", err)
	}
	first, second := g.Enter(), g.Enter()
	if !first || !second || g.Count() != 2 {
		t.Fatalf("%d are under way, want 2", g.Count())
	}
	if err := g.Wait(ended); err != context.Canceled {
		t.Errorf("2 are under way: %v", err)
	}
	g.Leave()
	g.Close()
	g.Close()
	if g.Enter() || g.Count() != 1 {
		t.Errorf("a closed group lets in, %d are under way", g.Count())
	}
	if err := g.Wait(ended); err != context.Canceled {
		t.Errorf("1 is under way: %v", err)
	}
	g.Leave()
	if err := g.Wait(ended); err != nil || g.Count() != 0 {
		t.Errorf("nothing is under way any more: %v, %d", err, g.Count())
	}
}

// TestWait: all that wait return when the last has left, also if more have entered
// meanwhile, and an open group can be waited for again.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		for range 2 {
			g.Enter()
			returned := 0
			done := make(chan error)
			for range 3 {
				go func() { done <- g.Wait(t.Context()) }()
			}
			synctest.Wait()
			g.Enter()
			g.Leave()
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("Wait returned %v with %d under way", err, g.Count())
			default:
			}
			g.Leave()
			for ; returned < 3; returned++ {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// TestWaitPrefersNil: if the last has left and the context has ended, Wait returns
// nil, whichever it sees first.
func TestWaitPrefersNil(t *testing.T) {
	idle := make(chan struct{})
	close(idle)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := await(ctx, idle); err != nil {
			t.Fatal(err)
		}
	}
}
