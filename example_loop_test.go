package websocket_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// shout answers each message in capitals. It is shared by all connections.
type shout struct{}

func (shout) OnOpen(c *websocket.Conn) {}

func (shout) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	for i, b := range p { // p is on loan, and may be changed
		if 'a' <= b && b <= 'z' {
			p[i] = b - 'a' + 'A'
		}
	}
	c.Send(typ, p)
}

func (shout) OnClose(c *websocket.Conn, err error) {}

// A loop behind net/http: the mux and its middleware see the handshakes, the
// loop reads the connections.
func ExampleLoop() {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()
	mux := http.NewServeMux()
	mux.Handle("/ws", &websocket.Server{Events: shout{}, Loop: loop})
	srv := httptest.NewServer(mux)
	defer srv.Close()

	fmt.Println(ask(srv.URL+"/ws", nil, "hello"))
	// Output:
	// HELLO <nil>
}

// ask sends a message and returns the answer.
func ask(url string, client *http.Client, text string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return "", err
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.Text, []byte(text)); err != nil {
		return "", err
	}
	_, answer, err := c.Read(ctx)
	return string(answer), err
}

// Without net/http, the loop accepts connections and answers their handshakes.
func ExampleLoop_Serve() {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- loop.Serve(ln, nil, shout{}) }()

	fmt.Println(ask("ws://"+ln.Addr().String(), nil, "hello"))

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(loop.Shutdown(ctx))
	fmt.Println(<-served == websocket.ErrLoopClosed)
	// Output:
	// HELLO <nil>
	// <nil>
	// true
}

// With TLS, Loop.Listener goes between the TCP listener and TLS: it returns
// connections that a loop can watch while crypto/tls is on top of them. Without
// it each connection would take a goroutine.
func ExampleLoop_Listener() {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	// httptest has a certificate, and a client that trusts it.
	trusted := httptest.NewTLSServer(nil)
	defer trusted.Close()
	config := &tls.Config{Certificates: trusted.TLS.Certificates}

	web := &http.Server{
		Handler:           &websocket.Server{Events: shout{}, Loop: loop},
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         config,
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0") // or ":443"
	if err != nil {
		log.Fatal(err)
	}
	go web.ServeTLS(loop.Listener(tcp), "", "") // or the files of the certificate and its key
	defer web.Close()
	fmt.Println(ask("wss://"+tcp.Addr().String(), trusted.Client(), "by http.Server"))

	// The same without net/http.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go loop.Serve(tls.NewListener(loop.Listener(ln), config), nil, shout{})
	fmt.Println(ask("wss://"+ln.Addr().String(), trusted.Client(), "by the loop"))
	// Output:
	// BY HTTP.SERVER <nil>
	// BY THE LOOP <nil>
}

// Attach hands a connection over that was made in another way: one of Accept
// whose first message says who has come, or one of Dial.
func ExampleLoop_Attach() {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		if _, name, err := c.Read(ctx); err != nil || string(name) != "ann" {
			c.Close(websocket.StatusPolicyViolation, "who are you?")
			return
		}
		if err := loop.Attach(c, shout{}); err != nil {
			log.Print(err)
			c.CloseNow()
		}
	}))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Write(ctx, websocket.Text, []byte("ann"))
	c.Write(ctx, websocket.Text, []byte("hello"))
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// HELLO <nil>
}

// counter is the state of one connection. The loop calls its methods one at a
// time, so it needs no lock.
type counter struct{ messages int }

func (n *counter) OnOpen(c *websocket.Conn) {}

func (n *counter) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	n.messages++
	c.Send(websocket.Text, fmt.Append(nil, n.messages))
}

func (n *counter) OnClose(c *websocket.Conn, err error) {}

// A handler of its own for each connection, by Attach.
func ExampleEventHandler() {
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer loop.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for visitor := range 2 {
		client, server := websocket.Pipe() // or Dial and Accept
		defer client.CloseNow()
		if err := loop.Attach(server, new(counter)); err != nil {
			log.Fatal(err)
		}
		for range 2 {
			client.Write(ctx, websocket.Text, []byte("hello"))
			_, n, err := client.Read(ctx)
			fmt.Println("visitor", visitor, "message", string(n), err)
		}
	}
	// Output:
	// visitor 0 message 1 <nil>
	// visitor 0 message 2 <nil>
	// visitor 1 message 1 <nil>
	// visitor 1 message 2 <nil>
}
