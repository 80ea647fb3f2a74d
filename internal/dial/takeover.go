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

// takeOver takes the connection under a 101 response, together with the bytes that
// have been read ahead. net/http no longer uses the connection: the transport ended
// its loops when it returned a body that can be written to.
func (t *roundTripper) takeOver(resp *http.Response) (net.Conn, []byte, error) {
	body, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, nil, fmt.Errorf("%T gave a 101 response with a Body, %T, that cannot be written to", t.base, resp.Body)
	}
	conn, answer := t.last.connection()
	if t.clone == nil {
		return t.takeOverBody(conn, body)
	}
	nc, early := answer.takeOver()
	if !t.isSocket(nc) {
		nc.SetDeadline(time.Time{}) // in case the dialer has left one
		return nc, early, nil
	}
	more, err := readWaiting(nc, nc)
	return nc, append(early, more...), err
}

// takeOverBody takes the connection from a RoundTripper of the user.
//
// A trace reports every connection that was made for the request, also that of a
// RoundTripper that fetches a token first. And a RoundTripper may process the bytes
// itself. So the connection nc is used only if the body is nothing but nc.
func (t *roundTripper) takeOverBody(nc net.Conn, body io.ReadWriteCloser) (net.Conn, []byte, error) {
	if nc == nil || connUnder(body) != nc {
		return newBodyConn(body, t.last.request.URL.Host), nil, nil
	}
	if !t.isSocket(nc) {
		nc.SetDeadline(time.Time{}) // in case the dialer has left one
		return &replayConn{Conn: nc, r: body}, nil, nil
	}
	early, err := readWaiting(nc, body)
	if err != nil {
		return nil, nil, err
	}
	return nc, early, nil
}

// connUnder returns the connection under the body of a 101 response of net/http, or
// nil if the body is not net/http's own. It uses reflection, since net/http exports
// no way to ask. With a future net/http that looks different it returns nil, and
// the connection is used through its body.
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
	if reflect.ValueOf(nc).Kind() != reflect.Pointer { // other kinds may panic on ==
		return nil
	}
	return nc
}

// isSocket reports whether nc is one of package net's sockets, bare or under
// TLS. On these, a deadline in the past stops a read before it takes a byte, and
// leaves the connection usable. Other connections may have no deadlines, and
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

// readWaiting returns the bytes that can be read from r without waiting, such as those
// that net/http or crypto/tls has read ahead. nc is the connection of r.
func readWaiting(nc net.Conn, r io.Reader) (early []byte, err error) {
	if err := nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	for buf := make([]byte, 4<<10); err == nil; {
		var n int
		n, err = r.Read(buf)
		early = append(early, buf[:n]...)
	}
	// The error is the deadline's, or one that the next read returns again.
	return early, nc.SetDeadline(time.Time{})
}

// replayConn is a connection from which some bytes have been read already: r
// returns these bytes, and then those of the connection itself.
type replayConn struct {
	net.Conn
	r io.Reader
}

func (c *replayConn) Read(p []byte) (int, error) { return c.r.Read(p) }
