package websocket_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Headers of one's own, such as a token, and subprotocols.
func ExampleDial_header() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte("token: "+c.Request().Header.Get("Authorization")))
	}}
	ws.Subprotocols = []string{"chat.v2", "chat.v1"}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
		Header:       http.Header{"Authorization": {"Bearer 12345"}},
		Subprotocols: []string{"chat.v1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.StatusCode, c.Subprotocol())
	fmt.Println(string(data))
	// Output:
	// 101 chat.v1
	// token: Bearer 12345
}

// TLS settings are those of the client's Transport, as for any request. This
// client trusts one more certificate authority.
func ExampleDial_tls() {
	srv := httptest.NewTLSServer(&websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte("private"))
	}})
	defer srv.Close()

	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	wss := "wss" + srv.URL[len("https"):]
	c, _, err := websocket.Dial(ctx, wss, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// private <nil>
}

// The Transport says which proxy to use. http.ProxyFromEnvironment, which
// http.DefaultTransport has, reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
func ExampleDial_proxy() {
	srv := httptest.NewServer(&websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte("hello"))
	}})
	defer srv.Close()
	proxy := httptest.NewServer(http.HandlerFunc(tunnel))
	defer proxy.Close()

	proxyURL, err := url.Parse(proxy.URL) // or socks5://…
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxyURL)}}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// the proxy was asked to CONNECT
	// hello <nil>
}

// tunnel is an HTTP proxy for one connection.
func tunnel(w http.ResponseWriter, r *http.Request) {
	fmt.Println("the proxy was asked to", r.Method)
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		log.Print(err)
		return
	}
	defer client.Close()
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		io.Copy(server, buffered)
		server.Close()
	}()
	io.Copy(client, server)
}

// The name of a Unix socket is the path of the URL, up to a colon; behind that is
// the path of the request.
func ExampleDial_unix() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", name)
	if err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Handler: &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte(c.Request().URL.Path))
	}}}
	go srv.Serve(ln)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws+unix://"+name+":/news", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// /news <nil>
}

// A client that connects again after a deploy, an overload or a cut, or when there
// is no server, but not where that would not help. It waits longer each time, and
// not the same time as all others, so that a server that comes back does not get
// all of its clients at once.
func ExampleDial_reconnect() {
	var visits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visit := visits.Add(1)
		if visit == 1 {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		switch visit {
		case 2:
			c.Close(websocket.StatusTryAgainLater, "too many")
		case 3:
			c.Close(websocket.StatusGoingAway, "") // as Server.Shutdown does
		default:
			c.Write(r.Context(), websocket.Text, []byte("news"))
			c.Close(websocket.StatusNormalClosure, "that is all")
		}
	}))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := follow(ctx, srv.URL, func(msg websocket.Message) { fmt.Println(string(msg.Data)) })
	fmt.Println(err)
	// Output:
	// again after 503 Service Unavailable
	// again after 1013 (try again later)
	// again after 1001 (going away)
	// news
	// <nil>
}

// Close codes that the server of follow has for its own purposes.
const (
	signInAgain websocket.StatusCode = 4001
	notAllowed  websocket.StatusCode = 4003
)

// follow calls handle with each message until the server closes with 1000. Then it
// returns nil. It returns an error when ctx ends, and when the server refuses this
// client or what it sends: the caller signs in again, or gives up.
func follow(ctx context.Context, url string, handle func(websocket.Message)) error {
	const least, most = 100 * time.Millisecond, 30 * time.Second
	const steady = 10 * time.Second // a shorter connection is a failure like any other
	wait := least
	for {
		c, resp, err := websocket.Dial(ctx, url, nil)
		why := fmt.Sprint(err)
		switch {
		case err == nil:
			start := time.Now()
			err = receive(ctx, c, handle)
			if time.Since(start) > steady {
				wait = least
			}
			switch code := websocket.CloseCode(err); code {
			case websocket.StatusNormalClosure:
				return nil
			case websocket.StatusPolicyViolation, signInAgain, notAllowed:
				return err
			default:
				why = code.String()
			}
		case resp != nil && resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests:
			return err // trying again would not help
		case resp != nil:
			why = resp.Status
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Println("again after", why)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, most)
	}
}

// receive returns the end of c as an error, also one that Messages ends with
// silently: 1001 is a deploy, after which a client comes back.
func receive(ctx context.Context, c *websocket.Conn, handle func(websocket.Message)) error {
	defer c.CloseNow()
	for msg, err := range c.Messages(ctx) {
		if err != nil {
			return err
		}
		handle(msg)
	}
	return context.Cause(c.Context()) // a *CloseError with 1000, 1001 or 1005
}

// A server that answers something else than 101 is a HandshakeError.
func ExampleHandshakeError() {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, srv.URL, nil)
	var refusal *websocket.HandshakeError
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Status, refusal.Reason)
	}
	fmt.Println(resp.Status)
	// Output:
	// 404 404 page not found
	// 404 Not Found
}

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
