// Command gorilla is a chat on gorilla/websocket, in the way that its users
// write one. docs/migrating-gorilla.md turns it into one on this library.
package main

import (
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxMessage = 4096
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = 50 * time.Second // less than pongWait
)

func main() {
	r := &room{clients: make(map[*client]bool)}
	up := &websocket.Upgrader{}
	http.HandleFunc("/ws", func(w http.ResponseWriter, req *http.Request) {
		conn, err := up.Upgrade(w, req, nil)
		if err != nil {
			log.Print(err)
			return
		}
		c := &client{conn: conn, out: make(chan []byte, 64)}
		r.join(c)
		go c.write()
		c.read(r)
	})
	log.Fatal(http.ListenAndServe("localhost:8080", nil))
}

// room is all clients.
type room struct {
	mu      sync.Mutex
	clients map[*client]bool
}

func (r *room) join(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[c] = true
}

func (r *room) leave(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients[c] {
		delete(r.clients, c)
		close(c.out)
	}
}

func (r *room) publish(text []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.clients {
		select {
		case c.out <- text:
		default: // it does not keep up
			delete(r.clients, c)
			close(c.out)
		}
	}
}

// client is a connection and what waits for its writer.
type client struct {
	conn *websocket.Conn
	out  chan []byte
}

// read is the one goroutine that reads.
func (c *client) read(r *room) {
	defer r.leave(c)
	c.conn.SetReadLimit(maxMessage)
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error {
		return c.conn.SetReadDeadline(time.Now().Add(pongWait))
	})
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
				log.Print(err)
			}
			return
		}
		r.publish(text)
	}
}

// write is the one goroutine that writes.
func (c *client) write() {
	ping := time.NewTicker(pingPeriod)
	defer ping.Stop()
	defer c.conn.Close()
	for {
		var err error
		select {
		case text, ok := <-c.out:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if !ok {
				c.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, ""))
				return
			}
			err = c.conn.WriteMessage(websocket.TextMessage, text)
		case <-ping.C:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			err = c.conn.WriteMessage(websocket.PingMessage, nil)
		}
		if err != nil {
			return
		}
	}
}
