package dial

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/retry"
)

// bodyLinger is how long the body stays open after Close, for bytes that were
// written before.
const bodyLinger = time.Second

// bodyConn is a net.Conn with deadlines over the body of a 101 response, for a
// RoundTripper that does not show its connection. It is one end of a pipe. Two
// goroutines copy between the other end and the body; they end with the
// connection.
type bodyConn struct {
	net.Conn // our end of the pipe
	remote   net.Conn
	host     bodyAddr

	closeBody func() // once
	linger    *time.Timer
	ending    sync.Once
	err       error // the body's error, or nil; set before far is closed
}

func newBodyConn(body io.ReadWriteCloser, host string) *bodyConn {
	near, far := net.Pipe()
	c := &bodyConn{Conn: near, remote: far, host: bodyAddr(host)}
	c.closeBody = sync.OnceFunc(func() { body.Close() })
	c.linger = time.AfterFunc(time.Hour, c.closeBody)
	c.linger.Stop()
	go func() {
		_, err := io.Copy(far, retry.Reader{Reader: body})
		c.end(err)
	}()
	go func() {
		_, err := io.Copy(body, far)
		c.end(err)
		c.linger.Stop()
		c.closeBody() // ends the other goroutine
	}()
	return c
}

// end makes all calls on our end of the pipe fail. Only the first error is kept,
// since it causes the later ones.
func (c *bodyConn) end(err error) {
	c.ending.Do(func() {
		c.err = err
		c.remote.Close()
	})
}

func (c *bodyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == io.EOF && c.err != nil { // the far end is closed, so err is set
		err = c.err
	}
	return n, err
}

func (c *bodyConn) Close() error {
	c.linger.Reset(bodyLinger)
	return c.Conn.Close()
}

func (c *bodyConn) RemoteAddr() net.Addr { return c.host }

// bodyAddr is the host of the request, the only known address of a connection
// behind a body.
type bodyAddr string

func (bodyAddr) Network() string  { return "tcp" }
func (a bodyAddr) String() string { return string(a) }
