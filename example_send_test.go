package websocket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Send never waits for a peer that does not read. It queues up to
// Options.SendBuffer bytes, 256 KiB by default, and then refuses.
func ExampleConn_Send() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()

	sent := 0
	var err error
	for err == nil {
		if err = server.Send(websocket.Binary, make([]byte, 32<<10)); err == nil {
			sent++
		}
	}
	fmt.Println(errors.Is(err, websocket.ErrBackpressure))
	fmt.Println(sent >= 7, server.Buffered() > 0)

	// Nothing of the refused message was sent. The others arrive.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range sent {
		if _, _, err := client.Read(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("all are there")
	// Output:
	// true
	// true true
	// all are there
}

// A producer that can make each message when it is wanted waits until nothing is
// queued: a slow reader gets fewer messages, and none that is old.
func ExampleConn_Drained() {
	client, server := websocket.Pipe()
	defer client.CloseNow()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		defer server.CloseNow()
		for frame := 1; frame <= 3; frame++ {
			select {
			case <-server.Drained(): // also when the connection closes
			case <-ctx.Done():
				return
			}
			server.Send(websocket.Text, fmt.Appendf(nil, "frame %d", frame))
		}
		server.Close(websocket.StatusNormalClosure, "")
	}()
	for msg, err := range client.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(msg.Data))
	}
	// Output:
	// frame 1
	// frame 2
	// frame 3
}

// A message for many connections is encoded, and compressed, once.
func ExamplePreparedMessage() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var clients, servers []*websocket.Conn
	for range 3 {
		client, server := websocket.Pipe()
		clients, servers = append(clients, client), append(servers, server)
	}

	m, err := websocket.NewPreparedMessage(websocket.Text, []byte("goal!"))
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range servers {
		if err := c.SendPrepared(m); err != nil {
			c.CloseNow() // it does not keep up, or is gone
		}
	}

	for _, c := range clients {
		_, data, err := c.Read(ctx)
		fmt.Println(string(data), err)
		c.CloseNow()
	}
	// Output:
	// goal! <nil>
	// goal! <nil>
	// goal! <nil>
}

// Several messages for many connections cost one write for each connection. The
// peers get separate messages.
func ExampleJoinPrepared() {
	var score []*websocket.PreparedMessage
	for _, s := range []string{"1:0", "1:1", "2:1"} {
		m, err := websocket.NewPreparedMessage(websocket.Text, []byte(s))
		if err != nil {
			log.Fatal(err)
		}
		score = append(score, m)
	}
	all, err := websocket.JoinPrepared(score...)
	if err != nil {
		log.Fatal(err)
	}

	client, server := websocket.Pipe()
	defer client.CloseNow()
	if err := server.SendPrepared(all); err != nil {
		log.Fatal(err)
	}
	go server.Close(websocket.StatusNormalClosure, "")

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for m, err := range client.Messages(ctx) {
		if err != nil {
			break // the end
		}
		fmt.Println(string(m.Data))
	}
	// Output:
	// 1:0
	// 1:1
	// 2:1
}

// Write waits for a peer that does not read. A context, or Options.WriteTimeout
// for all calls, bounds that. Here a part of the frame is on the wire when the
// context ends, so the connection ends as well: nothing else could follow.
func ExampleConn_Write_timeout() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := server.Write(ctx, websocket.Binary, make([]byte, 1<<20)) // nobody reads
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// true
}

// ReadAppend reads into the caller's memory. With enough room in it a message
// costs no allocation.
func ExampleConn_ReadAppend() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		for _, word := range []string{"one", "two", "three"} {
			server.Write(ctx, websocket.Text, []byte(word))
		}
		server.Close(websocket.StatusNormalClosure, "")
	}()

	buf := make([]byte, 0, 4096)
	for {
		_, data, err := client.ReadAppend(ctx, buf[:0])
		if err != nil {
			fmt.Println(websocket.CloseCode(err))
			return
		}
		buf = data // it may have grown
		fmt.Println(string(bytes.ToUpper(data)))
	}
	// Output:
	// ONE
	// TWO
	// THREE
	// 1000 (normal closure)
}

// Messages lends each message for one iteration, which costs neither a copy nor
// an allocation. A normal end of the connection ends the loop without an error.
func ExampleConn_Messages() {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() {
		server.Write(ctx, websocket.Text, []byte("one"))
		server.Write(ctx, websocket.Binary, []byte{2})
		server.Close(websocket.StatusGoingAway, "")
	}()

	for msg, err := range client.Messages(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(msg.Type, len(msg.Data)) // copy msg.Data to keep it
	}
	fmt.Println("the end")
	// Output:
	// text 3
	// binary 1
	// the end
}

// CloseRead is for a handler that only writes: it answers pings, and its context
// ends when the peer has left.
func ExampleConn_CloseRead() {
	client, server := websocket.Pipe()
	go client.Close(4000, "seen enough")

	ctx := server.CloseRead(context.Background())
	<-ctx.Done()
	fmt.Println(context.Cause(ctx))
	// Output:
	// websocket: closed by the peer with 4000: "seen enough"
}
