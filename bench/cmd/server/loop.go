package main

import (
	"context"
	"net"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

// serveLoop serves all connections on an event loop. Keepalive is on here: it
// has no price that depends on their number.
func serveLoop(l net.Listener, options *websocket.AcceptOptions) error {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		return err
	}
	options.PingInterval = 0 // the default
	return loop.Serve(l, options, new(events))
}

// events echoes, and passes on to everyone what comes from "/broadcast".
type events struct {
	everyone contract.Set[*websocket.Conn]
}

func (e *events) OnOpen(c *websocket.Conn) {
	if c.Request().URL.Path == "/broadcast" {
		e.everyone.Add(c)
	}
}

func (e *events) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	ctx := context.Background()
	if !e.everyone.Has(c) {
		c.Write(ctx, typ, p) // one that fails ends by itself
		return
	}
	sendAll(e.everyone.All(), typ, p)
}

func (e *events) OnClose(c *websocket.Conn, err error) { e.everyone.Remove(c) }
