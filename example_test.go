package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

// An echo server and a client that talks to it.
func Example() {
	srv := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn) {
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				log.Println(err)
				return
			}
			c.Write(c.Context(), msg.Type, msg.Data)
		}
	}})
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Write(ctx, websocket.Text, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	typ, data, err := c.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(typ, string(data))
	fmt.Println(c.Close(websocket.StatusNormalClosure, ""))
	// Output:
	// text hello
	// <nil>
}

// Accept makes a connection inside a handler of your own. This one only writes,
// so it leaves the reading to the connection.
func ExampleAccept() {
	http.HandleFunc("/time", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			OriginPatterns: []string{"https://example.com", "localhost:*"},
		})
		if err != nil {
			return // the request has been answered
		}
		defer c.CloseNow()
		ctx := c.CloseRead(r.Context())
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done(): // the client has left, or keepalive has lost it
				return
			case t := <-tick.C:
				if err := c.Write(ctx, websocket.Text, t.AppendFormat(nil, time.RFC3339)); err != nil {
					return
				}
			}
		}
	})
}

// A read that times out can simply be repeated.
func ExampleConn_Read_timeout() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _, err := client.Read(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	server.Write(context.Background(), websocket.Text, []byte("late"))
	_, data, err := client.Read(context.Background())
	fmt.Println(string(data), err)
	// Output:
	// true
	// late <nil>
}

// Every error after the end tells how it came about.
func ExampleCloseError() {
	client, server := websocket.Pipe()
	go server.Close(4000, "table is full")

	_, _, err := client.Read(context.Background())
	var ce *websocket.CloseError
	if errors.As(err, &ce) {
		fmt.Println(ce.Code, ce.Reason, ce.Remote)
	}
	// Output:
	// 4000 table is full true
}

// The codec can be used without a Conn.
func ExampleParseHeader() {
	wire := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	h, n, err := websocket.ParseHeader(wire)
	if err != nil || n == 0 {
		log.Fatal("no whole header: ", err)
	}
	payload := wire[n : n+int(h.Length)]
	websocket.Mask(payload, h.Key, 0)
	fmt.Println(h.Opcode, h.Fin, string(payload))
	// Output:
	// text true Hello
}

// Both ends of a connection over a net.Conn of one's own, on which another part of
// the program has done the handshake, or which needs none.
func ExampleNewConn() {
	near, far := net.Pipe()
	server, err := websocket.NewConn(far, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer server.CloseNow()
	client, err := websocket.NewConn(near, &websocket.ConnOptions{Client: true})
	if err != nil {
		log.Fatal(err)
	}
	defer client.CloseNow()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go client.Write(ctx, websocket.Text, []byte("hello"))
	_, p, err := server.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", p)
	// Output: hello
}

// A table of connections forgets each when it closes.
func ExampleConn_AfterClose() {
	client, server := websocket.Pipe()
	var table sync.Map
	table.Store(server, "ann")
	removed := make(chan struct{})
	_, err := server.AfterClose(func() {
		table.Delete(server)
		close(removed)
	})
	if err != nil {
		log.Fatal(err) // it has closed already
	}

	server.CloseNow()
	<-removed
	_, there := table.Load(server)
	fmt.Println(there)
	client.CloseNow()
	// Output: false
}
