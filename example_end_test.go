package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket"
)

// CloseCode says how a connection has ended. It is 0 for an error after which
// the connection goes on, such as that of a context.
func ExampleCloseCode() {
	client, server := websocket.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _, err := client.Read(ctx)
	fmt.Println(websocket.CloseCode(err) == 0, errors.Is(err, net.ErrClosed))

	go server.Close(websocket.StatusServiceRestart, "")
	_, _, err = client.Read(context.Background())
	switch websocket.CloseCode(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatus:
		fmt.Println("done")
	case websocket.StatusServiceRestart, websocket.StatusTryAgainLater, websocket.StatusAbnormalClosure:
		fmt.Println("connect again")
	}
	fmt.Println(errors.Is(err, net.ErrClosed))
	// Output:
	// true false
	// connect again
	// true
}

// Close sends what was accepted before, then the close frame, and waits for that
// of the peer. CloseNow waits for nobody; behind a Close it does nothing, so it
// can be deferred.
func ExampleConn_Close() {
	client, server := websocket.Pipe()
	go func() {
		defer server.CloseNow()
		server.Send(websocket.Text, []byte("the last word"))
		server.Close(4000, "done")
	}()

	for {
		_, data, err := client.Read(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(data))
	}
	// Output:
	// the last word
	// websocket: closed by the peer with 4000: "done"
}

// A message over the limit ends the connection. Both sides are told.
func ExampleProtocolError() {
	ends := make(chan error, 1)
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		_, _, err := c.Read(c.Context())
		ends <- err
	}}
	ws.ReadLimit = 1000
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, websocket.Text, []byte(strings.Repeat("x", 1001)))
	_, _, err = c.Read(ctx)
	fmt.Println("client:", websocket.CloseCode(err))

	err = <-ends
	var breach *websocket.ProtocolError
	fmt.Println("server:", errors.As(err, &breach), errors.Is(err, websocket.ErrMessageTooBig), websocket.CloseCode(err))
	// Output:
	// client: 1009 (message too big)
	// server: true true 1009 (message too big)
}
