package hub_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// A chat with rooms: each connection subscribes to a room and publishes to it.
func Example() {
	h := hub.New(nil)
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		room := "room/" + c.Request().URL.Query().Get("room")
		if _, err := h.Subscribe(room, c, nil); err != nil {
			c.Close(websocket.StatusTryAgainLater, "")
			return
		}
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			h.Publish(room, msg.Type, msg.Data)
		}
	}} // the subscription ends with the connection
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var visitors []*websocket.Conn
	for range 2 {
		c, _, err := websocket.Dial(ctx, srv.URL+"/?room=go", nil)
		if err != nil {
			log.Fatal(err)
		}
		defer c.CloseNow()
		visitors = append(visitors, c)
	}
	for h.Subscribers("room/go") < 2 {
		time.Sleep(time.Millisecond)
	}
	visitors[0].Write(ctx, websocket.Text, []byte("hello, all"))
	for _, c := range visitors {
		_, data, err := c.Read(ctx)
		fmt.Println(string(data), err)
	}
	// Output:
	// hello, all <nil>
	// hello, all <nil>
}

// reader returns a connection that has subscribed to topic, its other end, and
// the subscription.
func reader(h *hub.Hub, topic string, opts *hub.SubscribeOptions) (*websocket.Conn, *websocket.Conn, *hub.Subscription) {
	client, server := websocket.Pipe() // or Dial and Accept
	s, err := h.Subscribe(topic, server, opts)
	if err != nil {
		log.Fatal(err)
	}
	return client, server, s
}

// print reads n messages from c and prints them.
func print(c *websocket.Conn, n int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range n {
		_, data, err := c.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(data))
	}
}

func ExampleHub_Publish() {
	h := hub.New(nil)
	client, server, _ := reader(h, "news", nil)
	defer client.CloseNow()
	defer server.CloseNow()

	h.Publish("news", websocket.Text, []byte("to all who have subscribed"))
	h.Publish("weather", websocket.Text, []byte("to nobody"))
	h.Publish("news", websocket.Text, []byte("in the same order for all"))
	print(client, 2)
	fmt.Println(h.Subscribers("news"), h.Subscribers("weather"))
	// Output:
	// to all who have subscribed
	// in the same order for all
	// 1 0
}

func ExampleSubscription_Unsubscribe() {
	h := hub.New(nil)
	client, server, s := reader(h, "news", nil)
	defer client.CloseNow()
	defer server.CloseNow()

	h.Publish("news", websocket.Text, []byte("one"))
	s.Unsubscribe()
	h.Publish("news", websocket.Text, []byte("two"))
	h.Subscribe("news", server, nil) // a connection may come again
	h.Publish("news", websocket.Text, []byte("three"))
	print(client, 2)
	// Output:
	// one
	// three
}

// Newcomers get the messages that the topic has kept: here the last two.
func ExampleSubscribeOptions_replay() {
	h := hub.New(&hub.Options{Replay: 2})
	for _, text := range []string{"one", "two", "three"} {
		h.Publish("news", websocket.Text, []byte(text))
	}
	client, server, _ := reader(h, "news", &hub.SubscribeOptions{Replay: true})
	defer client.CloseNow()
	defer server.CloseNow()
	h.Publish("news", websocket.Text, []byte("four"))
	print(client, 3)
	// Output:
	// two
	// three
	// four
}

// Of messages with a key only the newest of each key is kept: a newcomer gets
// one price of each share.
func ExampleHub_PublishKey() {
	h := hub.New(&hub.Options{Replay: 100})
	for _, price := range []string{"ACME 10", "INIT 7", "ACME 11", "ACME 12"} {
		h.PublishKey("prices", price[:4], websocket.Text, []byte(price))
	}
	client, server, _ := reader(h, "prices", &hub.SubscribeOptions{Replay: true})
	defer client.CloseNow()
	defer server.CloseNow()
	print(client, 2)
	// Output:
	// INIT 7
	// ACME 12
}

// A hub reports its members. A member may have several connections.
func ExampleHub_Members() {
	events := make(chan string, 10)
	h := hub.New(&hub.Options{
		OnJoin:  func(topic, member string) { events <- member + " joins " + topic },
		OnLeave: func(topic, member string) { events <- member + " leaves " + topic },
	})
	ann := &hub.SubscribeOptions{Member: "ann"}
	laptop, laptopServer, _ := reader(h, "room", ann)
	phone, phoneServer, _ := reader(h, "room", ann)
	bob, bobServer, _ := reader(h, "room", &hub.SubscribeOptions{Member: "bob"})
	defer bob.CloseNow()
	defer bobServer.CloseNow()
	fmt.Println(<-events)
	fmt.Println(<-events)
	fmt.Println(h.Members("room"))

	for _, c := range []*websocket.Conn{laptop, laptopServer, phone, phoneServer} {
		c.CloseNow()
	}
	fmt.Println(<-events)
	fmt.Println(h.Members("room"))
	// Output:
	// ann joins room
	// bob joins room
	// [ann bob]
	// ann leaves room
	// [bob]
}

// Forget drops the kept messages of a topic that is not used any more.
func ExampleHub_Forget() {
	h := hub.New(&hub.Options{Replay: 10})
	h.Publish("match/1", websocket.Text, []byte("3:1"))
	fmt.Println(h.Stats().Topics)
	fmt.Println(h.Forget("match/1"), h.Stats().Topics)
	// Output:
	// 1
	// <nil> 0
}

// First the hub, so that messages that wait for slow readers get into their
// connections, then the server, which sends them.
func ExampleHub_Shutdown() {
	h := hub.New(nil)
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		h.Subscribe("news", c, nil)
		c.Read(c.Context())
	}}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(h.Shutdown(ctx), ws.Shutdown(ctx))
	fmt.Println(h.Publish("news", websocket.Text, []byte("late")) == hub.ErrClosed)
	// Output:
	// <nil> <nil>
	// true
}

// Two hubs on a Backplane are one. Memory connects hubs in a test; package
// natsplane those of several machines.
func ExampleMemory() {
	plane := new(hub.Memory)
	here := hub.New(&hub.Options{Backplane: plane})
	there := hub.New(&hub.Options{Backplane: plane})
	client, server, _ := reader(here, "news", nil)
	defer client.CloseNow()
	defer server.CloseNow()

	there.Publish("news", websocket.Text, []byte("from there"))
	print(client, 1)
	fmt.Println(here.Stats().Received, there.Stats().Published)
	// Output:
	// from there
	// 1 1
}
