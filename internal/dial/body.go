package dial

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/retry"
)

// bodyLinger is how long bytes that were written may take to leave after
// Close, before the body is closed under them.
const bodyLinger = time.Second

// bodyConn makes a net.Conn, with deadlines, of a body behind which a
// RoundTripper hides the connection: one end of a pipe, whose other end two
// goroutines connect to the body. They end with the connection.
type bodyConn struct {
	net.Conn // our end of the pipe
	far      net.Conn
	host     bodyAddr

	closeBody func() // once
	linger    *time.Timer
	ending    sync.Once
	err       error // what the body failed with, or nil; set before far is closed
}

func newBodyConn(body io.ReadWriteCloser, host string) *bodyConn {
	near, far := net.Pipe()
	c := &bodyConn{Conn: near, far: far, host: bodyAddr(host)}
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
		c.closeBody() // lets the other goroutine go
	}()
	return c
}

// end makes all calls on our end of the pipe fail. The first error counts;
// those that follow come of it.
func (c *bodyConn) end(err error) {
	c.ending.Do(func() {
		c.err = err
		c.far.Close()
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

// bodyAddr is the host that a request was sent to, which is all that is known
// of a connection behind a body.
type bodyAddr string

func (bodyAddr) Network() string  { return "tcp" }
func (a bodyAddr) String() string { return string(a) }
