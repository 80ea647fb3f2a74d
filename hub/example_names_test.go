package hub_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// A connection may subscribe to any number of topics. It gets their messages
// mixed, each topic in its order, and other messages of the connection as well.
func ExampleHub_Subscribe() {
	h := hub.New(nil)
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	for _, topic := range []string{"news", "weather"} {
		if _, err := h.Subscribe(topic, server, nil); err != nil {
			log.Fatal(err)
		}
	}
	h.Publish("news", websocket.Text, []byte("a goal"))
	h.Publish("weather", websocket.Text, []byte("sunny"))
	server.Send(websocket.Text, []byte("only to this one"))
	print(client, 3)
	// Output:
	// a goal
	// sunny
	// only to this one
}

// The counters of a subscription and of the hub. Messages that a slow reader has
// missed are Dropped or Conflated.
func ExampleHub_Stats() {
	h := hub.New(nil)
	client, server, s := reader(h, "news", nil)
	defer client.CloseNow()
	defer server.CloseNow()
	h.Publish("news", websocket.Text, []byte("one"))
	h.Publish("news", websocket.Text, []byte("two"))
	h.Publish("weather", websocket.Text, []byte("nobody is there"))

	one, all := s.Stats(), h.Stats()
	fmt.Println("subscription: sent", one.Sent, "dropped", one.Dropped)
	fmt.Println("hub: topics", all.Topics, "published", all.Published, "delivered", all.Delivered)
	// Output:
	// subscription: sent 2 dropped 0
	// hub: topics 1 published 3 delivered 2
}

// A subscription that ends is no error of Publish. A connection that has ended
// cannot subscribe.
func ExampleHub_Subscribers() {
	h := hub.New(nil)
	client, server, _ := reader(h, "news", nil)
	fmt.Println(h.Subscribers("news"))

	client.CloseNow()
	server.CloseNow()
	<-server.Context().Done()
	_, err := h.Subscribe("news", server, nil)
	fmt.Println(errors.Is(err, net.ErrClosed))
	// Output:
	// 1
	// true
}

// A hub that keeps a hundred messages of each topic for newcomers, and tells of
// members that leave.
func ExampleOptions() {
	left := make(chan string, 1)
	h := hub.New(&hub.Options{
		Replay:  100,
		OnLeave: func(topic, member string) { left <- member + " has left " + topic },
	})
	client, server, s := reader(h, "news", &hub.SubscribeOptions{Member: "ann", Replay: true})
	defer client.CloseNow()
	defer server.CloseNow()

	s.Unsubscribe()
	fmt.Println(<-left)
	// Output:
	// ann has left news
}

// A burst by one goroutine leaves in one write for each connection.
func ExampleOptions_collect() {
	h := hub.New(&hub.Options{Collect: time.Millisecond})
	client, server, _ := reader(h, "ticks", nil)
	defer client.CloseNow()
	defer server.CloseNow()

	for _, tick := range []string{"EUR 1.08", "GBP 1.27", "JPY 0.0067"} {
		if err := h.Publish("ticks", websocket.Text, []byte(tick)); err != nil {
			log.Fatal(err)
		}
	}
	print(client, 3)
	// Output:
	// EUR 1.08
	// GBP 1.27
	// JPY 0.0067
}
