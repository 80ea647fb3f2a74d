// Command gorilla is the chat of bench/migrating/gorilla on this library.
package main

import (
	"log"
	"net/http"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

const (
	maxMessage = 4096
	pongWait   = 10 * time.Second
	pingPeriod = 50 * time.Second
)

func main() {
	h := hub.New(nil)
	srv := &websocket.Server{Handler: func(c *websocket.Conn) { serve(h, c) }}
	srv.ReadLimit = maxMessage
	srv.PingInterval = pingPeriod
	srv.PongTimeout = pongWait // counted from the ping
	http.Handle("/ws", srv)
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

// serve is the one goroutine that reads. All may write.
func serve(h *hub.Hub, c *websocket.Conn) {
	// Publish never waits for a client. One that does not keep up is closed
	// with 1013, and any other end takes it out of the room, too.
	if _, err := h.Subscribe("room", c, &hub.SubscribeOptions{Policy: hub.Disconnect}); err != nil {
		return
	}
	for msg, err := range c.Messages(c.Context()) {
		if err != nil { // not 1000, 1001 or 1005 from the client
			log.Print(err)
			return
		}
		h.Publish("room", websocket.Text, msg.Data)
	}
}
