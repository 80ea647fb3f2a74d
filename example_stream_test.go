package websocket_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"strings"
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
