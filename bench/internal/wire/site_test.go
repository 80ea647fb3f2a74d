//go:build linux

package wire

import (
	"context"
	"net"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// testSize is the size of the updates in these tests.
const testSize = feed.MinSize

// site is a feed whose updates are published by the test, with all transports.
type site struct {
	*feed.Source
	server *httptest.Server

	// Counts of the server's connections.
	in, out atomic.Int64
}

func newSite(t *testing.T, secure bool, compression *websocket.CompressionOptions) *site {
	t.Helper()
	source, err := feed.NewSource(20, time.Hour, testSize)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, source, secure, compression)
}

func serve(t *testing.T, source *feed.Source, secure bool, compression *websocket.CompressionOptions) *site {
	t.Helper()
	options := websocket.AcceptOptions{OriginPatterns: []string{"*"}}
	options.Compression = compression
	s := &site{Source: source, server: httptest.NewUnstartedServer(source.Handler(options))}
	s.server.Listener = &countingListener{s.server.Listener, s}
	s.server.EnableHTTP2 = true
	if secure {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(s.server.Close)
	return s
}

// countingListener counts on the other side, by other means: what it counts and
// what the clients count must be the same.
type countingListener struct {
	net.Listener
	site *site
}

type countingConn struct {
	net.Conn
	site *site
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countingConn{c, l.site}, nil
}

func (c *countingConn) Read(p []byte) (n int, err error) {
	n, err = c.Conn.Read(p)
	c.site.in.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(p []byte) (n int, err error) {
	// Before the write: when the client has it, it has been counted.
	c.site.out.Add(int64(len(p)))
	n, err = c.Conn.Write(p)
	c.site.out.Add(int64(n - len(p)))
	return n, err
}

// newRunner is a job without its loop, for clients that the test drives.
func newRunner(t *testing.T, s *site, job Job) *runner {
	t.Helper()
	job.Addr, job.Clients, job.Size = s.server.Listener.Addr().String(), 20, testSize
	ctx, cancel := context.WithCancelCause(t.Context())
	r := &runner{Job: job, ctx: ctx, cancel: cancel}
	t.Cleanup(r.end)
	return r
}

func (r *runner) mustOpen(t *testing.T, index int) *client {
	t.Helper()
	c, err := r.open(r.ctx, index)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Bytes that a client has sent and received since a moment.
type meter struct {
	c        *conn
	in, out  int64
	segments int64
}

func (c *client) meter(t *testing.T) *meter {
	t.Helper()
	n, _, err := segments(c.conn.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return &meter{c.conn, c.conn.in.Load(), c.conn.out.Load(), n}
}

func (m *meter) want(t *testing.T, what string, out, in int) {
	t.Helper()
	if o, i := m.c.out.Load()-m.out, m.c.in.Load()-m.in; o != int64(out) || i != int64(in) {
		t.Errorf("%s: %d bytes sent and %d received, want %d and %d", what, o, i, out, in)
	}
}
