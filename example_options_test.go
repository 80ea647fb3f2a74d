package websocket_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Compression is used if both sides want it. The server bounds what it keeps in
// memory for each connection.
func ExampleCompressionOptions() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				return
			}
			c.Write(c.Context(), msg.Type, msg.Data)
		}
	}}
	ws.Compression = &websocket.CompressionOptions{MemoryBudget: 16 << 10}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	opts := &websocket.DialOptions{}
	opts.Compression = &websocket.CompressionOptions{}
	c, resp, err := websocket.Dial(ctx, srv.URL, opts)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	fmt.Println(resp.Header.Get("Sec-WebSocket-Extensions"))

	long := strings.Repeat("a text that repeats itself; ", 100)
	c.Write(ctx, websocket.Text, []byte(long))
	_, data, err := c.Read(ctx)
	fmt.Println(string(data) == long, err)
	fmt.Println(c.Stats().BytesRead < uint64(len(long))/10)

	// For content that is compressed already, or secret beside text of others.
	err = c.WriteUncompressed(ctx, websocket.Binary, []byte("…"))
	fmt.Println(err)
	// Output:
	// permessage-deflate; client_max_window_bits=12
	// true <nil>
	// true
	// <nil>
}

// Trace sees each frame, and how each connection has ended.
func ExampleTrace() {
	var frames atomic.Int64 // hooks run on several goroutines
	ended := make(chan error, 1)
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Read(c.Context())
		c.Write(c.Context(), websocket.Text, []byte("hello"))
		c.Close(4000, "enough")
	}}
	ws.Trace = &websocket.Trace{
		FrameIn:  func(c *websocket.Conn, h websocket.Header) { frames.Add(1) },
		FrameOut: func(c *websocket.Conn, h websocket.Header) { frames.Add(1) },
		Close:    func(c *websocket.Conn, err error) { ended <- err },
	}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, websocket.Text, []byte("hi"))
	for range 2 { // the message, and the end
		c.Read(ctx)
	}
	fmt.Println(<-ended)
	fmt.Println(frames.Load(), "frames") // a message and a close frame each way
	// Output:
	// websocket: closed with 4000: "enough"
	// 4 frames
}

// Ping measures the round trip. Somebody reads, or the pong would wait behind
// messages.
func ExampleConn_Ping() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	server.CloseRead(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rtt, err := client.Ping(ctx)
	fmt.Println(rtt > 0, rtt == client.RTT(), err)
	// Output:
	// true true <nil>
}
