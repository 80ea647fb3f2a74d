package natsplane_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
	"github.com/fullduplex-go/websocket/hub/natsplane"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// A server of a cluster: messages published on one reach the readers of all.
func Example() {
	nc, err := natsplane.Connect("nats://broker-1.example:4222,nats://broker-2.example:4222",
		nats.UserCredentials("server.creds"), nats.RootCAs("ca.pem"))
	if err != nil {
		log.Fatal(err) // about the options; a broker that is away is waited for
	}
	defer nc.Close() // last, after the hub's Shutdown
	h := hub.New(&hub.Options{Backplane: natsplane.New(nc, &natsplane.Options{Prefix: "chat"})})

	http.Handle("/ws", &websocket.Server{Handler: func(c *websocket.Conn) {
		if _, err := h.Subscribe("news", c, nil); err != nil {
			log.Print(err)
			return
		}
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			if err := h.Publish("news", msg.Type, msg.Data); err != nil {
				log.Print(err) // the readers of this server have it
			}
		}
	}})
	log.Print(http.ListenAndServe(":8080", nil))
}

// Connect waits for a broker that is away, and does so again whenever it goes
// away. Options of nats.go add to that, or override it.
func ExampleConnect() {
	nc, err := natsplane.Connect("nats://127.0.0.1:1", // no broker there
		nats.Name("chat server 3"), nats.ReconnectBufSize(64<<10))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	fmt.Println(nc.IsConnected(), nc.Opts.Name)

	// A hub on it works in the meantime, for its own subscribers.
	h := hub.New(&hub.Options{Backplane: natsplane.New(nc, nil)})
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	h.Subscribe("news", server, nil)
	fmt.Println(h.Publish("news", websocket.Text, []byte("to those who are here")))
	_, data, err := client.Read(client.Context())
	fmt.Println(string(data), err)
	// Output:
	// false chat server 3
	// <nil>
	// to those who are here <nil>
}

// Two hubs, as if on two machines, and a broker.
func ExampleNew() {
	broker, err := startTestBroker()
	if err != nil {
		log.Fatal(err)
	}
	defer broker.Shutdown()

	var hubs []*hub.Hub
	for range 2 {
		nc, err := natsplane.Connect(broker.ClientURL())
		if err != nil {
			log.Fatal(err)
		}
		defer nc.Close()
		hubs = append(hubs, hub.New(&hub.Options{Backplane: natsplane.New(nc, nil)}))
	}
	here, there := hubs[0], hubs[1]

	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	if _, err := here.Subscribe("news", server, nil); err != nil {
		log.Fatal(err)
	}
	// The broker knows of the subscription, so this arrives.
	if err := there.Publish("news", websocket.Text, []byte("from there")); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, data, err := client.Read(ctx)
	fmt.Println(string(data), err)
	fmt.Println(here.Shutdown(ctx), there.Shutdown(ctx))
	// Output:
	// from there <nil>
	// <nil> <nil>
}

// startTestBroker runs a broker in this process.
func startTestBroker() (*server.Server, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("the broker does not start")
	}
	return s, nil
}
