package hub_test

import (
	"fmt"
	"slices"
	"sync"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// broker is a Backplane over something that publishes and subscribes, such as a
// client of Redis. This one is a map.
type broker struct {
	mu     sync.Mutex
	topics map[string][]*delivery
}

type delivery struct {
	mu      sync.Mutex // held while deliver runs, so that it gets one message at a time
	deliver func(msg []byte)
}

func (b *broker) Publish(topic string, msg []byte) error {
	b.mu.Lock()
	subscribed := slices.Clone(b.topics[topic])
	b.mu.Unlock()
	for _, d := range subscribed { // a real one sends msg away here
		d.mu.Lock()
		d.deliver(msg)
		d.mu.Unlock()
	}
	return nil
}

func (b *broker) Subscribe(topic string, deliver func(msg []byte)) (unsubscribe func() error, err error) {
	d := &delivery{deliver: deliver}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics[topic] = append(b.topics[topic], d)
	return func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.topics[topic] = slices.DeleteFunc(b.topics[topic], func(other *delivery) bool { return other == d })
		return nil
	}, nil
}

// A Backplane of one's own takes two methods.
func ExampleBackplane() {
	plane := &broker{topics: make(map[string][]*delivery)}
	here := hub.New(&hub.Options{Backplane: plane})
	there := hub.New(&hub.Options{Backplane: plane})

	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	if _, err := here.Subscribe("news", server, nil); err != nil {
		fmt.Println(err)
	}
	there.Publish("news", websocket.Text, []byte("hello from there"))

	_, data, err := client.Read(client.Context())
	fmt.Println(string(data), err)
	// Output:
	// hello from there <nil>
}
