// Command peer-coder is the coder/websocket server of the comparison.
//
// Settings, after the package's documentation:
//
//   - SetReadLimit, since messages over 32 KiB are refused otherwise.
//   - Reader and a pooled buffer instead of Read, which allocates every
//     message anew; the package's own wsjson does the same.
//   - A background context, as the request's is not to be used after Accept:
//     without a deadline no timer is set up for a call.
//   - CompressionMode as asked for, with its default thresholds: messages of
//     512 bytes and more are compressed without takeover, of 128 with.
//   - The loop runs on a goroutine of its own, so that net/http's, with its
//     grown stack, can end.
//
// There is no prepared message: a broadcast frames the message for each
// connection. There are no buffer sizes to set, and no event loop.
package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

func main() {
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: []contract.Compression{contract.Off, contract.NoTakeover, contract.Takeover}, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	options := websocket.AcceptOptions{CompressionMode: map[contract.Compression]websocket.CompressionMode{
		contract.Off:        websocket.CompressionDisabled,
		contract.NoTakeover: websocket.CompressionNoContextTakeover,
		contract.Takeover:   websocket.CompressionContextTakeover,
	}[set.Compress]}
	accept := func(loop func(context.Context, *websocket.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, &options)
			if err != nil {
				return // the client has been told
			}
			c.SetReadLimit(contract.ReadLimit)
			go loop(context.Background(), c)
		}
	}
	return contract.ServeHTTP(set.Listener(l), accept(echo), accept(broadcast))
}

// buffers holds a *bytes.Buffer for each message being handled.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// each calls handle for every message, which is valid during the call.
func each(ctx context.Context, c *websocket.Conn, handle func(websocket.MessageType, []byte) error) {
	defer c.CloseNow()
	for {
		typ, r, err := c.Reader(ctx)
		if err != nil {
			return
		}
		message := buffers.Get().(*bytes.Buffer)
		message.Reset()
		if _, err := message.ReadFrom(r); err != nil {
			return
		}
		if err := handle(typ, message.Bytes()); err != nil {
			return
		}
		buffers.Put(message)
	}
}

func echo(ctx context.Context, c *websocket.Conn) {
	each(ctx, c, func(typ websocket.MessageType, p []byte) error {
		return c.Write(ctx, typ, p)
	})
}

var everyone contract.Set[*websocket.Conn]

func broadcast(ctx context.Context, c *websocket.Conn) {
	everyone.Add(c)
	defer everyone.Remove(c)
	each(ctx, c, func(typ websocket.MessageType, p []byte) error {
		for _, to := range everyone.All() {
			to.Write(ctx, typ, p) // after an error the connection's own reader fails
		}
		return nil
	})
}
