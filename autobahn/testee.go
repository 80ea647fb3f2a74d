package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fullduplex-go/websocket"
)

// testeeOptions are those of both our testees. The largest message of the
// suite, in cases 9.1.6 and 9.2.6, has 16 MiB. Every message is compressed,
// however small; the suite chooses windows and takeover, and we follow.
var testeeOptions = websocket.Options{
	ReadLimit:   16 << 20,
	Compression: &websocket.CompressionOptions{Threshold: -1},
}

// echo sends every message back until the connection ends. How it ends is for
// the suite to judge, so there is no error.
func echo(ctx context.Context, c *websocket.Conn) {
	for msg, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, msg.Type, msg.Data) != nil {
			return
		}
	}
}

// echoServer is the server that the suite's fuzzing client tries.
type echoServer struct {
	url  string
	http *http.Server
	ws   *websocket.Server
}

func startEchoServer(mode string) (*echoServer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ws := new(websocket.Server)
	if mode == "loop" {
		loop, err := websocket.NewLoop(nil)
		if err != nil {
			ln.Close()
			return nil, err
		}
		ws.Events, ws.Loop = echoEvents{}, loop
	} else {
		ws.Handler = func(c *websocket.Conn) { echo(context.Background(), c) }
	}
	ws.Options = testeeOptions
	s := &echoServer{
		url:  fmt.Sprintf("ws://%v", ln.Addr()),
		http: &http.Server{Handler: ws, ReadHeaderTimeout: 10 * time.Second},
		ws:   ws,
	}
	go s.http.Serve(ln)
	return s, nil
}

func (s *echoServer) stop() {
	s.http.Close()
	s.ws.Close()
	if s.ws.Loop != nil {
		s.ws.Loop.Close()
	}
}

// echoEvents is echo on a loop.
type echoEvents struct{}

func (echoEvents) OnOpen(*websocket.Conn)         {}
func (echoEvents) OnClose(*websocket.Conn, error) {}

func (echoEvents) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	c.Write(context.Background(), typ, p)
}

// fuzzingServer is the suite's server as our client sees it.
type fuzzingServer struct {
	url string // without a path
}

// dial opens one of the suite's resources.
func (s *fuzzingServer) dial(ctx context.Context, path string, query url.Values) (*websocket.Conn, error) {
	if query == nil {
		query = make(url.Values)
	}
	query.Set("agent", agent)
	c, _, err := websocket.Dial(ctx, s.url+path+"?"+query.Encode(), &websocket.DialOptions{Options: testeeOptions})
	return c, err
}

// ask returns the one message that a resource consists of.
func (s *fuzzingServer) ask(ctx context.Context, path string, query url.Values) ([]byte, error) {
	c, err := s.dial(ctx, path, query)
	if err != nil {
		return nil, err
	}
	defer c.Close(websocket.StatusNormalClosure, "")
	_, p, err := c.Read(ctx)
	return p, err
}

// caseCount asks how many cases the server would run.
func (s *fuzzingServer) caseCount(ctx context.Context) (int, error) {
	p, err := s.ask(ctx, "/getCaseCount", nil)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(p))
}

// runCase has the suite try our client with the case of the given number,
// counted from 1 in the suite's order of the cases that it was configured
// with, and waits until the suite has judged it.
func (s *fuzzingServer) runCase(ctx context.Context, number int) error {
	query := url.Values{"case": {strconv.Itoa(number)}}
	c, err := s.dial(ctx, "/runCase", query)
	if err != nil {
		return err
	}
	echo(ctx, c)
	if ctx.Err() != nil {
		c.CloseNow()
		return context.Cause(ctx)
	}
	c.Close(websocket.StatusNormalClosure, "") // waits for the end
	// The answer comes when the suite has seen the end, too.
	_, err = s.ask(ctx, "/getCaseStatus", query)
	return err
}

// updateReports has the suite write its reports.
func (s *fuzzingServer) updateReports(ctx context.Context) error {
	c, err := s.dial(ctx, "/updateReports", nil)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	// It says nothing, and closes the connection when it is done.
	_, _, err = c.Read(ctx)
	var end *websocket.CloseError
	if errors.As(err, &end) && end.Remote {
		return nil
	}
	return fmt.Errorf("the suite did not say that its reports are written: %v", err)
}
