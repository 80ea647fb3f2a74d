package websocket

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"sync"
	"time"
)

// takeOver makes the connection under a 101 response ours, together with what
// has been read of it ahead. From here on nothing of net/http uses it: the
// transport has ended its loops when it handed out a body that can be written
// to.
func (t *dialTripper) takeOver(resp *http.Response) (net.Conn, []byte, error) {
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, nil, fmt.Errorf("%T gave a 101 response with a Body, %T, that cannot be written to", t.base, resp.Body)
	}
	conn, answer := t.hop.taken()
	if t.own == nil {
		return takeOverBody(conn, body, t.hop.request.URL.Host)
	}
	nc, early := answer.release()
	if !isSocket(nc) {
		nc.SetDeadline(time.Time{}) // in case the dialer has left one
		return nc, early, nil
	}
	more, err := drain(nc, nc)
	return nc, append(early, more...), err
}

// takeOverBody takes the connection from a RoundTripper that we do not know.
//
// A trace reports every connection that was got for the sake of the request,
// such as that of a RoundTripper which fetches a token first, and a
// RoundTripper may have a use for the bytes itself. So the body must be
// nothing but the connection nc.
func takeOverBody(nc net.Conn, body io.ReadWriteCloser, host string) (net.Conn, []byte, error) {
	if nc == nil || connUnder(body) != nc {
		return newBodyConn(body, host), nil, nil
	}
	if !isSocket(nc) {
		nc.SetDeadline(time.Time{}) // in case the dialer has left one
		return &replayConn{Conn: nc, r: body}, nil, nil
	}
	early, err := drain(nc, body)
	if err != nil {
		return nil, nil, err
	}
	return nc, early, nil
}

// connUnder returns the connection that net/http has put under the body of a
// 101 response, or nil if the body is not net/http's own. There is no exported
// way to ask; where a future net/http looks different the answer is nil, and
// the connection is reached through its body.
func connUnder(body io.ReadWriteCloser) net.Conn {
	v := reflect.ValueOf(body)
	if v.Type().String() != "*http.readWriteCloserBody" || v.IsNil() {
		return nil
	}
	f := v.Elem().FieldByName("ReadWriteCloser")
	if !f.IsValid() || !f.CanInterface() {
		return nil
	}
	nc, _ := f.Interface().(net.Conn)
	if reflect.ValueOf(nc).Kind() != reflect.Pointer { // others may panic on ==
		return nil
	}
	return nc
}

// isSocket reports whether nc is one of package net's sockets, bare or under
// TLS. On those, a deadline in the past stops a read before it takes a byte,
// and leaves the connection usable. Elsewhere there may be no deadlines; and
// crypto/tls takes an error that is not marked temporary for the end.
func isSocket(nc net.Conn) bool {
	for {
		switch c := nc.(type) {
		case *tls.Conn:
			nc = c.NetConn()
		case *pollable:
			nc = c.get()
		case *net.TCPConn, *net.UnixConn:
			return true
		default:
			return false
		}
	}
}

// drain returns the bytes that are there to be read from r, whose connection is
// nc, such as those that net/http or crypto/tls has read ahead. It does not wait
// for more.
func drain(nc net.Conn, r io.Reader) (early []byte, err error) {
	if err := nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	for buf := make([]byte, 4<<10); err == nil; {
		var n int
		n, err = r.Read(buf)
		early = append(early, buf[:n]...)
	}
	// The error is the deadline, or one that the next read will meet again.
	return early, nc.SetDeadline(time.Time{})
}

// replayConn is a connection some of whose bytes have been read already: r
// yields those, and then those of the connection itself.
type replayConn struct {
	net.Conn
	r io.Reader
}

func (c *replayConn) Read(p []byte) (int, error) { return c.r.Read(p) }

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
		_, err := io.Copy(far, body)
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
