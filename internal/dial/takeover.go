package dial

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"time"
)

// takeOver makes the connection under a 101 response ours, together with what
// has been read of it ahead. From here on nothing of net/http uses it: the
// transport has ended its loops when it handed out a body that can be written
// to.
func (t *roundTripper) takeOver(resp *http.Response) (net.Conn, []byte, error) {
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, nil, fmt.Errorf("%T gave a 101 response with a Body, %T, that cannot be written to", t.base, resp.Body)
	}
	conn, answer := t.last.taken()
	if t.own == nil {
		return t.takeOverBody(conn, body)
	}
	nc, early := answer.release()
	if !t.isSocket(nc) {
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
func (t *roundTripper) takeOverBody(nc net.Conn, body io.ReadWriteCloser) (net.Conn, []byte, error) {
	if nc == nil || connUnder(body) != nc {
		return newBodyConn(body, t.last.request.URL.Host), nil, nil
	}
	if !t.isSocket(nc) {
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
func (t *roundTripper) isSocket(nc net.Conn) bool {
	for {
		switch c := t.unwrap(nc).(type) {
		case *tls.Conn:
			nc = c.NetConn()
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
