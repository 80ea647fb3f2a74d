//go:build !race

package main

import (
	"testing"

	"github.com/fullduplex-go/websocket"
)

// A round trip allocates at neither end. (Under the race detector sync.Pool
// drops things on purpose, so there is nothing to pin there.)
func TestEchoAllocatesNothing(t *testing.T) {
	url, _ := start(t)
	ctx := testContext(t)
	c := dial(t, url, nil)
	msg, buf := make([]byte, 1000), make([]byte, 0, 1000)
	roundTrip := func() {
		if err := c.Write(ctx, websocket.Binary, msg); err != nil {
			t.Fatal(err)
		}
		var err error
		if _, buf, err = c.ReadAppend(ctx, buf[:0]); err != nil {
			t.Fatal(err)
		}
	}
	roundTrip()
	if n := testing.AllocsPerRun(1000, roundTrip); n != 0 {
		t.Errorf("%v allocations per round trip, want 0", n)
	}
}
