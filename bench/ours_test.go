package bench

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/fullduplex-go/websocket"
)

var bg = context.Background()

// readers and writers are the libraries in BenchmarkRead and BenchmarkWrite.
var (
	readers = []reader{
		{"ours", "Messages", oursMessages},
		{"ours", "ReadAppend", oursReadAppend},
		{"ours", "Read", oursRead},
		{"gorilla", "NextReader", gorillaNextReader},
		{"gorilla", "ReadMessage", gorillaReadMessage},
		{"coder", "Reader", coderReader},
		{"coder", "Read", coderRead},
		{"gobwas", "ReadHeader", gobwasReadHeader},
		{"gobwas", "wsutil", gobwasReader},
		{"gws", "ReadLoop", gwsReadLoop},
		{"nbio", "HandleRead", nbioHandleRead},
	}
	writers = []writer{
		{"ours", "Write", oursWrite},
		{"gorilla", "WriteMessage", gorillaWriteMessage},
		{"coder", "Write", coderWrite},
		{"gobwas", "WriteFrame", gobwasWriteFrame},
		{"gobwas", "wsutil", gobwasWriteMessage},
		{"gobwas", "bufio", gobwasBuffered},
		{"gws", "WriteMessage", gwsWriteMessage},
		{"nbio", "WriteMessage", nbioWriteMessage},
	}
)

// openOurs leaves keepalive out, as it is with the others: nobody answers
// here.
func openOurs(tb testing.TB, nc *memConn, server bool) *websocket.Conn {
	opts := websocket.Options{PingInterval: -1}
	var c *websocket.Conn
	var err error
	if server {
		w, r := upgrade(nc)
		c, err = websocket.Accept(w, r, &websocket.AcceptOptions{Options: opts})
	} else {
		c, _, err = websocket.Dial(bg, "ws://server.example/", &websocket.DialOptions{
			Options:    opts,
			HTTPClient: &http.Client{Transport: dialing(nc)},
		})
	}
	must(tb, err)
	tb.Cleanup(func() { c.CloseNow() })
	return c
}

// dialing is an HTTP transport with nc as its only connection.
func dialing(nc net.Conn) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}
}

func oursMessages(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openOurs(tb, nc, server)
	return func(n int, see func([]byte)) error {
		for m, err := range c.Messages(bg) {
			if err != nil {
				return err
			}
			see(m.Data)
			if n--; n == 0 {
				break
			}
		}
		return nil
	}
}

func oursReadAppend(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openOurs(tb, nc, server)
	return func(n int, see func([]byte)) error {
		var buf []byte
		for range n {
			_, p, err := c.ReadAppend(bg, buf[:0])
			if err != nil {
				return err
			}
			see(p)
			buf = p
		}
		return nil
	}
}

func oursRead(tb testing.TB, nc *memConn, server bool) func(int, func([]byte)) error {
	c := openOurs(tb, nc, server)
	return func(n int, see func([]byte)) error {
		for range n {
			_, p, err := c.Read(bg)
			if err != nil {
				return err
			}
			see(p)
		}
		return nil
	}
}

func oursWrite(tb testing.TB, nc *memConn, server bool, size int) func([]byte) error {
	c := openOurs(tb, nc, server)
	return func(p []byte) error { return c.Write(bg, websocket.Binary, p) }
}
