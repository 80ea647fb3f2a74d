//go:build linux

package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tlsConfig is the client's. The key exchange is one that every server has, since its
// cost is no library's: browsers and Go prefer a hybrid one.
var tlsConfig = &tls.Config{
	InsecureSkipVerify: true, // the server makes its certificate itself
	MinVersion:         tls.VersionTLS13,
	NextProtos:         []string{"http/1.1"},
	CurvePreferences:   []tls.CurveID{tls.X25519},
}

// secured is TLS over a socket. Apart from the handshake it never waits: crypto/tls
// goes on after a temporary error of the connection under it.
type secured struct {
	*tls.Conn
	socket *socket
}

// secure makes the TLS handshake on a connected socket.
func (r *runner) secure(fd int) (*secured, error) {
	s := &socket{fd: fd, traffic: &r.traffic, limit: r.Timeout, waits: true}
	c := tls.Client(s, tlsConfig)
	if err := c.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	if err := s.flush(); err != nil { // the client's last message
		return nil, err
	}
	s.waits = false
	return &secured{c, s}, nil
}

// write encrypts b, in records of the given size, or in as few as possible if it is 0,
// and sends what the socket takes.
func (s *secured) write(b []byte, record int) error {
	for len(b) > 0 {
		n := len(b)
		if record > 0 {
			n = min(n, record)
		}
		if _, err := s.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return s.socket.flush()
}

// read returns the content of one record, or again.
func (s *secured) read(b []byte) (int, error) {
	n, err := s.Read(b)
	switch {
	case err == nil:
		return n, nil
	case err == errAgain:
		return again, nil
	case errors.Is(err, io.EOF):
		return 0, errClosed
	}
	return 0, err
}

// socket is a socket as the net.Conn under TLS. Of its methods only Read and Write
// are called.
type socket struct {
	net.Conn
	fd      int
	limit   time.Duration // of a wait
	waits   bool          // Read waits for the first byte
	traffic *traffic
	buf     []byte
	in      []byte // the part of buf that was received and not read
	out     []byte // what it has not taken yet
	head    recordScanner
}

// Write takes everything: the bytes leave with flush.
func (s *socket) Write(b []byte) (int, error) {
	s.out = append(s.out, b...)
	return len(b), nil
}

// flush sends what the socket takes, or everything if s waits.
func (s *socket) flush() error {
	for len(s.out) > 0 {
		n, err := send(s.fd, s.out)
		switch {
		case err != nil:
			return err
		case n != again:
			s.out = append(s.out[:0], s.out[n:]...)
		case !s.waits:
			return nil
		default:
			if err := await(s.fd, unix.POLLOUT, s.limit); err != nil {
				return err
			}
		}
	}
	return nil
}

// Read returns errAgain if the socket is empty, unless s waits.
func (s *socket) Read(b []byte) (int, error) {
	if err := s.flush(); err != nil {
		return 0, err
	}
	for len(s.in) == 0 {
		if s.buf == nil {
			s.buf = make([]byte, 16<<10)
		}
		n, err := recv(s.fd, s.buf, 0)
		switch {
		case err != nil:
			return 0, err
		case n != again:
			s.in = s.buf[:n]
			s.traffic.bytes += int64(n)
			s.traffic.records += s.head.feed(s.in)
		case !s.waits:
			return 0, errAgain
		default:
			if err := await(s.fd, unix.POLLIN, s.limit); err != nil {
				return 0, err
			}
		}
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

// traffic counts what has come from a server over TLS.
type traffic struct{ bytes, records int64 }

// recordScanner follows a stream of TLS records by their headers: type, version and length
// (RFC 8446, section 5.1).
type recordScanner struct {
	head [5]byte
	have int
	skip int // bytes of the record that are still to come
}

// feed takes the next bytes of the stream and returns how many records begin in them.
func (r *recordScanner) feed(b []byte) (n int64) {
	for len(b) > 0 {
		if r.skip > 0 {
			k := min(r.skip, len(b))
			r.skip -= k
			b = b[k:]
			continue
		}
		k := copy(r.head[r.have:], b)
		b = b[k:]
		if r.have += k; r.have == len(r.head) {
			r.have, r.skip = 0, int(r.head[3])<<8|int(r.head[4])
			n++
		}
	}
	return n
}

// errAgain means that the socket has nothing to read. It is temporary, so crypto/tls
// does not keep it.
var errAgain error = againError{}

type againError struct{}

func (againError) Error() string   { return "nothing to read" }
func (againError) Timeout() bool   { return false }
func (againError) Temporary() bool { return true }
