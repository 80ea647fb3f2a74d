//go:build linux

package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// traffic opens connections and closes them all at once. It is safe for
// concurrent use.
type traffic struct {
	mu     sync.Mutex // guards the fields below
	conns  []*conn
	closed bool
}

// conn is a TCP connection that counts the bytes read and written, including those
// of the layers above, such as TLS.
type conn struct {
	net.Conn
	in, out atomic.Int64
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// dial opens a connection. Its end is a reset, as ports of connections that are
// closed properly stay in use for a minute.
func (t *traffic) dial(ctx context.Context, network, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	counted := &conn{Conn: c}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.Close()
		return nil, net.ErrClosed
	}
	t.conns = append(t.conns, counted)
	return counted, nil
}

// close closes all connections, those to come included.
func (t *traffic) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, c := range t.conns {
		c.Close()
	}
}

// The headers of a segment, in bytes.
const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	timestamps = 12 // the option, with its padding (RFC 7323, appendix A)

	hasTimestamps = 1 // TCPI_OPT_TIMESTAMPS of the kernel's tcp.h
)

// segments returns how many segments a connection has sent and received since it
// was opened, and the size of their headers, without the other options of the
// handshake and after losses.
func segments(c net.Conn) (n, header int64, err error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return 0, 0, fmt.Errorf("no TCP connection but %T", c)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var info *unix.TCPInfo
	var infoErr error
	if err := errors.Join(raw.Control(func(fd uintptr) {
		info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}), os.NewSyscallError("getsockopt TCP_INFO", infoErr)); err != nil {
		return 0, 0, err
	}
	header = ipv6Header + tcpHeader
	if addr, ok := tcp.RemoteAddr().(*net.TCPAddr); ok && addr.IP.To4() != nil {
		header = ipv4Header + tcpHeader
	}
	if info.Options&hasTimestamps != 0 {
		header += timestamps
	}
	return int64(info.Segs_in) + int64(info.Segs_out), header, nil
}
