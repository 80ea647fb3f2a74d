package hub

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"github.com/fullduplex-go/websocket"
)

// An idle subscription takes little memory: next to others of its connection and its
// topic, and with a topic of its own. The name of the topic counts, and so does what
// the connection needs for its subscriptions.
func TestSubscriptionSize(t *testing.T) {
	const subscriptions = 20_000
	for _, tt := range []struct{ perConn, perTopic, most int }{
		{10, 10, 130}, {10, 1, 350}, {100, 1000, 100}, {1, 1000, 450},
	} {
		t.Run(fmt.Sprint(tt.perConn, " by each connection, ", tt.perTopic, " to each topic"), func(t *testing.T) {
			conns := make([]*websocket.Conn, subscriptions/tt.perConn)
			for i := range conns {
				c, peer := websocket.Pipe()
				defer c.CloseNow()
				defer peer.CloseNow()
				conns[i] = c
			}
			h := newHub(t, nil)
			topics := subscriptions / tt.perTopic
			subs := make([]*Subscription, subscriptions)
			before := heap()
			for k := range tt.perTopic { // topics do not fill one after the other
				for i := range topics {
					n := k*topics + i
					subs[n] = subscribe(t, h, fmt.Sprint("topic ", i), conns[n%len(conns)], nil)
				}
			}
			each := (heap() - before) / subscriptions
			t.Logf("%d bytes", each)
			if each > tt.most {
				t.Errorf("a subscription takes %d bytes, more than %d", each, tt.most)
			}
			runtime.KeepAlive(conns)
			for _, s := range subs {
				s.Unsubscribe()
			}
			check(t, "clients", len(h.clients.all), 0)
		})
	}
	if n := unsafe.Sizeof(Subscription{}); n > 64 {
		t.Errorf("a Subscription has %d bytes", n)
	}
	if n := unsafe.Sizeof(topic{}); n > 160 {
		t.Errorf("a topic has %d bytes", n)
	}
}
