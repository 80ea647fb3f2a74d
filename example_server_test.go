package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Options are embedded in AcceptOptions, and these in Server, so each is set by
// its name.
func ExampleServer() {
	srv := &websocket.Server{Handler: func(c *websocket.Conn) {
		for msg, err := range c.Messages(c.Context()) {
			if err != nil {
				log.Print(err)
				return
			}
			c.Write(c.Context(), msg.Type, msg.Data)
		}
	}}
	srv.ReadLimit = 64 << 10
	srv.WriteTimeout = 10 * time.Second
	srv.OriginPatterns = []string{"https://example.com"}
	http.Handle("/ws", srv)
}

// An http.Server forgets its WebSocket connections: the two are shut down
// together.
func ExampleServer_Shutdown() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte("hello"))
		_, _, err := c.Read(c.Context())
		fmt.Println("server:", err)
	}}
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	web.RegisterOnShutdown(func() { ws.Shutdown(context.Background()) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go web.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+ln.Addr().String()+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, data, err := c.Read(ctx)
	fmt.Println("client:", string(data), err)
	read := make(chan error)
	go func() {
		_, _, err := c.Read(ctx)
		read <- err
	}()

	err = errors.Join(web.Shutdown(ctx), ws.Shutdown(ctx))
	fmt.Println("shut down:", err)
	fmt.Println("client:", <-read)
	// Output:
	// client: hello <nil>
	// server: websocket: closed with 1001 (going away)
	// shut down: <nil>
	// client: websocket: closed by the peer with 1001 (going away)
}

// userKey is the key of a request's context value.
type userKey struct{}

// Admit has the last word on a handshake: it may refuse with a status, and tell
// the handler who has come.
func ExampleAcceptOptions_admit() {
	users := map[string]string{"Bearer 12345": "ann"} // or a look into a database
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		user := c.Context().Value(userKey{}).(string)
		c.Write(c.Context(), websocket.Text, []byte("hello, "+user))
	}}
	ws.Admit = func(r *http.Request) (http.Header, error) {
		user, ok := users[r.Header.Get("Authorization")]
		if !ok {
			return nil, &websocket.HandshakeError{
				Status: http.StatusUnauthorized,
				Reason: "sign in first",
				Header: http.Header{"WWW-Authenticate": {"Bearer"}},
			}
		}
		*r = *r.WithContext(context.WithValue(r.Context(), userKey{}, user))
		return http.Header{"X-User": {user}}, nil // sent with the 101
	}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, srv.URL, nil)
	fmt.Println(resp.StatusCode, resp.Header.Get("WWW-Authenticate"), err != nil)

	c, resp, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
		Header: http.Header{"Authorization": {"Bearer 12345"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(resp.Header.Get("X-User"), string(data), err)
	// Output:
	// 401 Bearer true
	// ann hello, ann <nil>
}

// With ForgetRequest nothing of the request is left for the connection, and what
// Admit has put into its context neither. Accept in a handler of your own hands on
// what the connection needs, and net/http's buffers go when that handler returns.
func ExampleAcceptOptions_forgetRequest() {
	users := map[string]string{"Bearer 12345": "ann"} // or a look into a database
	opts := &websocket.AcceptOptions{ForgetRequest: true}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := users[r.Header.Get("Authorization")]
		if !ok {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		c, err := websocket.Accept(w, r, opts)
		if err != nil {
			return // the request has been answered
		}
		go welcome(c, user)
	}))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
		Header: http.Header{"Authorization": {"Bearer 12345"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// hello, ann <nil>
}

// welcome owns c: no Server closes it, or knows of it in its Shutdown.
func welcome(c *websocket.Conn, user string) {
	defer c.Close(websocket.StatusNormalClosure, "")
	c.Write(c.Context(), websocket.Text, []byte("hello, "+user))
}

// Pages of other sites are refused unless their origin is named. Clients that
// send no Origin are no browsers, and are admitted.
func ExampleAcceptOptions_origins() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {}}
	ws.OriginPatterns = []string{"https://app.example.com", "https://*.example.org"}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, origin := range []string{
		srv.URL,
		"https://app.example.com",
		"http://app.example.com",
		"https://a.example.org",
		"https://evil.example",
		"null",
	} {
		c, resp, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{
			Header: http.Header{"Origin": {origin}},
		})
		if origin == srv.URL {
			origin = "its own"
		}
		fmt.Println(resp.StatusCode, origin)
		if err == nil {
			c.CloseNow()
		}
	}
	// Output:
	// 101 its own
	// 101 https://app.example.com
	// 403 http://app.example.com
	// 101 https://a.example.org
	// 403 https://evil.example
	// 403 null
}

// One path for a page and for connections.
func ExampleIsUpgrade() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(c.Context(), websocket.Text, []byte("a message"))
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsUpgrade(r) {
			ws.ServeHTTP(w, r)
			return
		}
		io.WriteString(w, "a page")
	}))
	defer srv.Close()

	resp, err := http.Get(srv.URL)
	if err != nil {
		log.Fatal(err)
	}
	page, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	fmt.Println(string(page), err)

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output:
	// a page <nil>
	// a message <nil>
}

// A server that wants one of its subprotocols looks at what is offered.
func ExampleSubprotocols() {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {}}
	ws.AcceptOptions.Subprotocols = []string{"mqtt"}
	ws.Admit = func(r *http.Request) (http.Header, error) {
		for _, p := range websocket.Subprotocols(r) {
			if p == "mqtt" {
				return nil, nil
			}
		}
		return nil, &websocket.HandshakeError{Status: http.StatusBadRequest, Reason: "this is for MQTT"}
	}
	srv := httptest.NewServer(ws)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, resp, _ := websocket.Dial(ctx, srv.URL, nil)
	reason, err := io.ReadAll(resp.Body)
	fmt.Print(resp.StatusCode, " ", string(reason), err, "\n")
	// Output:
	// 400 this is for MQTT
	// <nil>
}

// accessLog is middleware that tells lines the status of each response.
func accessLog(next http.Handler, lines chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(s, r)
		lines <- fmt.Sprint(r.Method, " ", r.URL.Path, " ", s.status)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Around a router with an access log, ShowStatus has the log show 101.
func ExampleShowStatus() {
	lines := make(chan string, 1)
	router := accessLog(&websocket.Server{Handler: func(c *websocket.Conn) {}}, lines)
	srv := httptest.NewServer(websocket.ShowStatus(router))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL+"/ws", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.CloseNow()
	c.Read(ctx)          // until the server has closed
	fmt.Println(<-lines) // a Handler's line comes when the connection has ended
	// Output:
	// GET /ws 101
}
