// Command peer-gorilla is the gorilla/websocket server of the comparison.
//
// Settings, after the sections on buffers and compression in the package's
// documentation:
//
//   - ReadBufferSize 4096, the size of net/http's buffer. Setting it, rather
//     than leaving it at zero, gives the connection a buffer of its own
//     instead of net/http's, which keeps the whole HTTP connection alive.
//   - WriteBufferPool, recommended for many connections with few writes: a
//     connection holds a write buffer only while it writes. As it is said to
//     then matter less for memory, the buffer has 32 KiB: a smaller one cuts
//     compressed messages into fragments, with a write for each.
//   - NextReader and a pooled buffer instead of ReadMessage, which allocates
//     every message anew.
//   - PreparedMessage for the broadcast: the frame is made once.
//   - The loop runs on a goroutine of its own, so that net/http's, with its
//     grown stack, can end.
//
// It has permessage-deflate without context takeover only, and no event loop.
package main

import (
	"bytes"
	"net"
	"net/http"
	"sync"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/gorilla/websocket"
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off, contract.NoTakeover}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	upgrader := websocket.Upgrader{
		ReadBufferSize:    4096,
		WriteBufferSize:   32 << 10,
		WriteBufferPool:   new(sync.Pool),
		EnableCompression: set.Compress == contract.NoTakeover,
	}
	upgrade := func(loop func(*websocket.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c, err := upgrader.Upgrade(w, r, nil)
			if err != nil {
				return // the client has been told
			}
			c.SetReadLimit(contract.ReadLimit)
			go loop(c)
		}
	}
	return contract.ServeHTTP(set.Listener(l), upgrade(echo), upgrade(broadcast))
}

// buffers holds a *bytes.Buffer for each message being handled.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func echo(c *websocket.Conn) {
	defer c.Close()
	for {
		typ, r, err := c.NextReader()
		if err != nil {
			return
		}
		message := buffers.Get().(*bytes.Buffer)
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		if err := c.WriteMessage(typ, message.Bytes()); err != nil {
			return
		}
		buffers.Put(message)
	}
}

// receiver is a connection that several broadcasts may write to. The library
// allows one writer at a time.
type receiver struct {
	mu sync.Mutex
	c  *websocket.Conn
}

func (r *receiver) send(m *websocket.PreparedMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c.WritePreparedMessage(m) // after an error the connection's own reader fails
}

var everyone contract.Set[*receiver]

func broadcast(c *websocket.Conn) {
	defer c.Close()
	self := &receiver{c: c}
	everyone.Add(self)
	defer everyone.Remove(self)
	for {
		typ, data, err := c.ReadMessage() // the prepared message keeps the bytes
		if err != nil {
			return
		}
		m, err := websocket.NewPreparedMessage(typ, data)
		if err != nil {
			return
		}
		for _, to := range everyone.All() {
			to.send(m)
		}
	}
}
