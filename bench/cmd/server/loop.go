package main

import (
	"context"
	"net"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/fullduplex-go/websocket/hub"
)

// serveLoop serves all connections on an event loop. Keepalive is on here: its cost
// does not depend on the number of connections.
func serveLoop(l net.Listener, set contract.Setting, options *websocket.AcceptOptions) error {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		return err
	}
	options.PingInterval = 0 // the default
	e := new(events)
	if *byHub {
		e.hub = hub.New(nil)
	}
	if set.TLS != nil {
		l = set.Listener(loop.Listener(l))
	}
	return loop.Serve(l, options, e)
}

// events echoes messages, and sends those from "/broadcast" to all.
type events struct {
	everyone contract.Set[*websocket.Conn]
	hub      *hub.Hub // if not nil, broadcasts
}

func (e *events) OnOpen(c *websocket.Conn) {
	if c.Request().URL.Path == "/broadcast" {
		e.everyone.Add(c)
		if e.hub != nil {
			e.hub.Subscribe("", c, nil) // fails only if the connection is ending
		}
	}
}

func (e *events) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	ctx := context.Background()
	if !e.everyone.Has(c) {
		c.Write(ctx, typ, p) // one that fails ends by itself
		return
	}
	if e.hub != nil {
		e.hub.Publish("", typ, p)
		return
	}
	sendAll(e.everyone.All(), typ, p)
}

func (e *events) OnClose(c *websocket.Conn, err error) { e.everyone.Remove(c) }
