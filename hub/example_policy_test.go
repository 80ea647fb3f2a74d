package hub_test

import (
	"fmt"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// block simulates a peer that does not keep up: it sends more than a Pipe holds
// while nobody reads.
func block(c *websocket.Conn) { c.Send(websocket.Binary, make([]byte, 100<<10)) }

// unblock reads the message of block.
func unblock(c *websocket.Conn) error {
	_, _, err := c.Read(c.Context())
	return err
}

// The choice for prices: a slow reader gets the newest of each key.
func ExamplePolicy_keepLatest() {
	h := hub.New(nil)
	client, server, s := reader(h, "prices", &hub.SubscribeOptions{Policy: hub.KeepLatest})
	defer client.CloseNow()
	defer server.CloseNow()

	block(server)
	for _, price := range []string{"ACME 10", "INIT 7", "ACME 11", "ACME 12"} {
		h.PublishKey("prices", price[:4], websocket.Text, []byte(price))
	}
	stats := s.Stats()
	fmt.Println("pending", stats.Pending, "conflated", stats.Conflated)

	if err := unblock(client); err != nil {
		fmt.Println(err)
	}
	print(client, 2)
	// Output:
	// pending 2 conflated 2
	// ACME 12
	// INIT 7
}

// The choice for positions, or log lines on a screen: a slow reader gets the
// newest messages.
func ExamplePolicy_dropOldest() {
	h := hub.New(nil)
	client, server, s := reader(h, "log", &hub.SubscribeOptions{Policy: hub.DropOldest, Queue: 2})
	defer client.CloseNow()
	defer server.CloseNow()

	block(server)
	for i := range 5 {
		h.Publish("log", websocket.Text, fmt.Append(nil, "line ", i))
	}
	fmt.Println("dropped", s.Stats().Dropped)

	if err := unblock(client); err != nil {
		fmt.Println(err)
	}
	print(client, 2)
	// Output:
	// dropped 3
	// line 3
	// line 4
}

// The default: queued messages arrive, and messages that come while the connection's
// queue is full are dropped.
func ExamplePolicy_dropNewest() {
	h := hub.New(nil)
	client, server, s := reader(h, "blobs", nil)
	defer client.CloseNow()
	defer server.CloseNow()

	const n = 20
	for i := range n { // more than SendBuffer and the Pipe hold
		blob := make([]byte, 64<<10)
		blob[0] = byte(i)
		h.Publish("blobs", websocket.Binary, blob)
	}
	stats := s.Stats()
	fmt.Println(stats.Dropped > 0, stats.Sent+stats.Dropped == n)

	for i := range int(stats.Sent) {
		_, blob, err := client.Read(client.Context())
		if err != nil || int(blob[0]) != i {
			fmt.Println(i, err)
		}
	}
	fmt.Println("what was sent has arrived, in order")
	// Output:
	// true true
	// what was sent has arrived, in order
}

// The choice for messages of which none may be missing: a reader that does not
// keep up is told, and can ask for the missed messages when it connects again.
func ExamplePolicy_disconnect() {
	h := hub.New(nil)
	client, server, _ := reader(h, "orders", &hub.SubscribeOptions{
		Policy: hub.Disconnect,
		Code:   4008,
		Reason: "read faster",
	})
	defer client.CloseNow()
	defer server.CloseNow()

	for range 20 {
		h.Publish("orders", websocket.Binary, make([]byte, 64<<10))
	}
	fmt.Println(h.Subscribers("orders"), h.Stats().Disconnected)

	for {
		if _, _, err := client.Read(client.Context()); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// 0 1
	// websocket: closed by the peer with 4008: "read faster"
}
