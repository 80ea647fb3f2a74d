//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection and its current batch.
type conn struct {
	fd      int
	tls     *secured // nil in the clear
	batches int      // begun so far: the next one is the script's batches modulo its length
	batch   []byte   // what is being sent
	record  int      // over TLS: bytes of batch in a record, or 0 for as many as there is room for
	sent    int      // bytes of batch that the socket, or TLS, has taken
	got     int64    // bytes of the reply, or its messages where those are counted
	since   time.Duration
	frames  frameScanner
}

// close resets the connection: a client that closes properly would keep its
// port for a minute, and there are only some 28,000.
func (c *conn) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// push sends more of the batch if the socket takes it.
func (c *conn) push() error {
	if c.tls != nil {
		b := c.batch[c.sent:]
		c.sent = len(c.batch)
		return c.tls.write(b, c.record)
	}
	for c.sent < len(c.batch) {
		n, err := send(c.fd, c.batch[c.sent:])
		if err != nil || n == again {
			return err
		}
		c.sent += n
	}
	return nil
}

// unsent reports whether push has left anything.
func (c *conn) unsent() bool {
	return c.sent < len(c.batch) || c.tls != nil && len(c.tls.socket.out) > 0
}

// recv is recv on the socket, or the content of a TLS record. After the latter more
// may be left, however little it is.
func (c *conn) recv(b []byte, flags int) (int, error) {
	if c.tls != nil {
		return c.tls.read(b)
	}
	return recv(c.fd, b, flags)
}

// connect opens a socket and connects it. The socket is a blocking one: on loopback the
// kernel completes the connection during the call. Transfers do not block, because they
// have the flag MSG_DONTWAIT.
func connect(addr netip.AddrPort) (int, error) {
	family := unix.AF_INET
	var to unix.Sockaddr
	switch ip := addr.Addr(); {
	case ip.Is4():
		to = &unix.SockaddrInet4{Port: int(addr.Port()), Addr: ip.As4()}
	default:
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == unix.EMFILE {
		return -1, fmt.Errorf("too few file descriptors: raise the limit (ulimit -n) or lower -conns: %w", err)
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 10}))
	for err == nil {
		err = os.NewSyscallError("connect", unix.Connect(fd, to))
		if !errors.Is(err, unix.EINTR) {
			break
		}
		err = nil
	}
	if err != nil && !errors.Is(err, unix.EISCONN) {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

const (
	handshakeKey    = "d2hhdCBhIG5pY2Uga2V5IQ=="
	handshakeAccept = "tEUQB9hwVH4Z1TyxfWm831m6Veg="
)

// request is the opening handshake, the same for all connections of a job.
func (r *runner) request() []byte {
	path, offer := "/", ""
	if r.Kind == Broadcast {
		path = "/broadcast"
	}
	switch r.Compress {
	case NoTakeover:
		offer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
	case Takeover: // what browsers offer
		offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s\r\n", path, r.addr, handshakeKey, offer)
}

// atOnce is how many connections are dealt with at a time outside of the
// measurement. It stays far below any listen queue.
const atOnce = 64

// open makes n connections, in addition to those there are.
func (r *runner) open(n int) error {
	request := r.request()
	for n > 0 {
		first := len(r.conns)
		for ; n > 0 && len(r.conns) < first+atOnce; n-- {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			fd, err := connect(r.addr)
			if err != nil {
				return fmt.Errorf("connection %d: %w", len(r.conns)+1, err)
			}
			c := &conn{fd: fd}
			r.conns = append(r.conns, c)
			if r.TLS {
				if c.tls, err = r.secure(fd); err != nil {
					return fmt.Errorf("connection %d: %w", len(r.conns), err)
				}
			}
			c.batch, c.sent = request, 0
			if err := c.push(); err != nil || c.unsent() {
				return fmt.Errorf("connection %d: request not sent: %w", len(r.conns), err)
			}
		}
		for i := first; i < len(r.conns); i++ {
			if err := r.readResponse(r.conns[i]); err != nil {
				return fmt.Errorf("connection %d: %w", i+1, err)
			}
			if err := r.poll.add(r.conns[i].fd, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// readResponse reads and checks the response to the handshake, and stores its
// extensions. A byte after the response is an error.
func (r *runner) readResponse(c *conn) error {
	var buf [4096]byte
	have := 0
	for {
		n, err := c.recv(buf[have:], 0)
		if err != nil {
			return err
		}
		if n == again {
			if err := await(c.fd, unix.POLLIN, r.Timeout); err != nil {
				return fmt.Errorf("handshake: %w", err)
			}
			continue
		}
		have += n
		head, rest, whole := bytes.Cut(buf[:have], []byte("\r\n\r\n"))
		switch {
		case whole:
			if err := r.checkResponse(head); err != nil {
				return err
			}
			if len(rest) > 0 {
				return fmt.Errorf("%d bytes come with the handshake's response", len(rest))
			}
			return nil
		case have == len(buf):
			return errors.New("the handshake's response is too long")
		}
	}
}

func (r *runner) checkResponse(head []byte) error {
	status, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("the handshake was answered with %q", status)
	}
	var accept, extensions []byte
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Accept")):
			accept = value
		case bytes.EqualFold(name, []byte("Sec-WebSocket-Extensions")):
			extensions = value
		}
	}
	if string(accept) != handshakeAccept && !r.Raw {
		return fmt.Errorf("Sec-WebSocket-Accept is %q, not %q", accept, handshakeAccept)
	}
	if compressed := len(extensions) > 0; compressed != (r.Compress != "") {
		return fmt.Errorf("with %q asked for, Sec-WebSocket-Extensions is %q", r.Compress, extensions)
	}
	r.result.Extensions = string(extensions)
	return nil
}
