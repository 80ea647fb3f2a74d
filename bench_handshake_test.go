package websocket

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

func BenchmarkAcceptKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if AcceptKey(wstest.Key) != wstest.Accept {
			b.Fatal("another key")
		}
	}
}

// BenchmarkAccept: an operation answers a handshake over a transport in
// memory, makes the connection and drops it. The HTTP server's own work, which
// includes parsing the request, is not in it.
func BenchmarkAccept(b *testing.B) {
	b.ReportAllocs()
	e := &endless{}
	r := wstest.SampleRequest()
	w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return e, nil, nil })
	for b.Loop() {
		c, err := Accept(w, r, nil)
		if err != nil {
			b.Fatal(err)
		}
		c.CloseNow()
	}
}

// BenchmarkHandshake: an operation is a connection opened over the loopback
// interface, by Dial and Server with all of net/http, and cut by the client.
// It is cut by a reset, since tens of thousands of closed connections would
// otherwise keep their ports for a minute.
func BenchmarkHandshake(b *testing.B) {
	b.ReportAllocs()
	s := &Server{Handler: func(c *Conn) { c.Read(bg) }}
	web := httptest.NewServer(s)
	defer func() {
		web.Close()
		s.Close()
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = nc.(*net.TCPConn).SetLinger(0)
		}
		return nc, err
	}}
	opts := &DialOptions{HTTPClient: &http.Client{Transport: tr}}
	for b.Loop() {
		c, _, err := Dial(bg, web.URL, opts)
		if err != nil {
			b.Fatal(err)
		}
		c.CloseNow()
	}
}
