package websocket_test

import (
	"bufio"
	"bytes"
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
