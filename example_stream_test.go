package websocket_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Reader streams a message: a decoder works on it while it arrives, and it is
// never in memory as a whole. Options.ReadLimit still bounds its size.
func ExampleConn_Reader() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go server.Write(ctx, websocket.Text, []byte(`{"n":1} {"n":2} {"n":3}`))

	_, r, err := client.Reader(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for d := json.NewDecoder(r); ; {
		var v struct{ N int }
		if err := d.Decode(&v); err == io.EOF { // the end of the message
			break
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v.N)
	}
	// Output:
	// 1
	// 2
	// 3
}

// Writer streams a message, in fragments of about 16 KiB. Other messages wait
// until it is closed, so it must always be closed.
func ExampleConn_Writer() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	go func() {
		w, err := server.Writer(ctx, websocket.Binary)
		if err != nil {
			log.Print(err)
			return
		}
		defer w.Close() // ends the message
		z := gzip.NewWriter(w)
		for i := range 2_000 {
			fmt.Fprintln(z, "line", i)
		}
		z.Close()
	}()

	_, r, err := client.Reader(ctx)
	if err != nil {
		log.Fatal(err)
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		log.Fatal(err)
	}
	lines := 0
	for s := bufio.NewScanner(z); s.Scan(); {
		lines++
	}
	fmt.Println(lines)
	// Output:
	// 2000
}

// NetConn makes a net.Conn of a connection, for programs that need a stream.
// This one sends a file and reads the answer to its end.
func ExampleConn_NetConn() {
	client, server := websocket.Pipe()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	go func() { // echo, until the client has nothing more to say
		nc := server.NetConn(ctx, websocket.Binary)
		defer nc.Close()
		io.Copy(nc, nc)
	}()

	nc := client.NetConn(ctx, websocket.Binary)
	defer nc.Close()
	n, err := io.Copy(nc, strings.NewReader(strings.Repeat("0123456789", 1000)))
	fmt.Println(n, err)
	answer := make([]byte, n)
	_, err = io.ReadFull(nc, answer)
	fmt.Println(len(answer), err)
	// Output:
	// 10000 <nil>
	// 10000 <nil>
}

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

// TestSilence is not in example_pipe_test.go because a file with tests is no
// whole-file example, and its documentation would leave out all but ExamplePipe.
func TestSilence(t *testing.T) { testSilence(t) }
