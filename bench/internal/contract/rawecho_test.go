package contract_test

import (
	"slices"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

// testFloor is testPeer for a server that does not know frames.
func testFloor(t *testing.T, p *process) {
	t.Run("echo", func(t *testing.T) {
		c := dialRaw(t, p.addr, "/", offer)
		if c.extensions != "" {
			t.Errorf("extensions: %q", c.extensions)
		}
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20, contract.ReadLimit} {
			frame := masked(websocket.OpBinary, 0, payload(size, size))
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(frame)
				sent <- err
			}()
			c.expect(frame)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("broadcast", func(t *testing.T) {
		var in []*rawConn
		for i := range 5 {
			in = append(in, dialRaw(t, p.addr, "/broadcast", ""))
			frame := masked(websocket.OpText, 0, payload(300, i))
			in[i].write(frame)
			for _, c := range in {
				c.expect(frame)
			}
		}
		in[3].reset()
		in = slices.Delete(in, 3, 4)
		for i := range 20 {
			frame := masked(websocket.OpText, 0, payload(5000, i))
			in[i%4].write(frame)
			for _, c := range in {
				c.expect(frame)
			}
		}
	})
	t.Run("reset", func(t *testing.T) {
		testResets(t, p)
		p.collect()
		frame := masked(websocket.OpText, 0, payload(10, 0))
		c := dialRaw(t, p.addr, "/", "")
		c.write(frame)
		c.expect(frame)
	})
	for range 100 {
		dialRaw(t, p.addr, "/", "")
	}
	p.terminate()
}
