// Command server is this library's server in the comparison.
//
// ForgetRequest is set, the setting for very many connections: [websocket.Server] runs
// the handler on a goroutine of its own and releases the request and net/http's
// goroutine and buffers. The peers' servers do the same here. Without it the handler
// would run inside ServeHTTP. Keepalive is off, since no peer has one by default and
// idle connections must stay idle while their memory is measured.
//
// In the mode "loop", [websocket.Loop] serves the listener itself.
//
// Under TLS, net/http serves a TLS listener, and the loop one over [websocket.Loop.Listener].
//
// Compression has its defaults but for the takeover, and for the window where
// -window says so.
package main

import (
	"context"
	"flag"
	"net"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/fullduplex-go/websocket/hub"
)

// window is a flag that the contract does not have.
var window = flag.Int("window", 0, "with takeover: `bits` of the windows, 8 to 15; 0 for the default")

// byHub is another.
var byHub = flag.Bool("hub", false, "broadcast by a hub")

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off, contract.NoTakeover, contract.Takeover}, TLS: true},
		{Mode: contract.Loop, Compress: []contract.Compression{contract.Off, contract.NoTakeover, contract.Takeover}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	options := websocket.AcceptOptions{
		Options: websocket.Options{
			ReadLimit:    contract.ReadLimit,
			PingInterval: -1,
		},
		ForgetRequest: true,
	}
	switch set.Compress {
	case contract.NoTakeover:
		options.Compression = &websocket.CompressionOptions{ServerNoContextTakeover: true, ClientNoContextTakeover: true}
	case contract.Takeover:
		options.Compression = &websocket.CompressionOptions{WindowBits: *window}
	}
	if set.Mode == contract.Loop {
		return serveLoop(l, set, &options)
	}
	var everyone contract.Set[*websocket.Conn]
	echoes := websocket.Server{AcceptOptions: options, Handler: echo}
	broadcasts := websocket.Server{AcceptOptions: options, Handler: func(c *websocket.Conn) {
		everyone.Add(c)
		defer everyone.Remove(c)
		broadcast(c, &everyone)
	}}
	if *byHub {
		h := hub.New(nil)
		broadcasts.Handler = func(c *websocket.Conn) { publish(c, h) }
	}
	return contract.ServeHTTP(set.Listener(l), echoes.ServeHTTP, broadcasts.ServeHTTP)
}

func echo(c *websocket.Conn) {
	ctx := context.Background()
	for m, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, m.Type, m.Data) != nil {
			return
		}
	}
}

// sendAll sends a message to all: encoded once, and no slow one delays another.
func sendAll(all []*websocket.Conn, typ websocket.MessageType, p []byte) {
	m, err := websocket.NewPreparedMessage(typ, p)
	if err != nil {
		return // never, since a received message is valid
	}
	for _, c := range all {
		c.SendPrepared(m) // a connection that fails ends by itself; one without room misses the message
	}
}

func broadcast(c *websocket.Conn, everyone *contract.Set[*websocket.Conn]) {
	ctx := context.Background()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return
		}
		sendAll(everyone.All(), m.Type, m.Data)
	}
}

func publish(c *websocket.Conn, h *hub.Hub) {
	if _, err := h.Subscribe("", c, nil); err != nil {
		return // the connection is ending
	}
	for m, err := range c.Messages(context.Background()) {
		if err != nil || h.Publish("", m.Type, m.Data) != nil {
			return
		}
	}
}
