//go:build unix

package websocket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawReader is the idleReader for sockets: it parks on the runtime's poller
// and takes a buffer when the descriptor is readable.
type rawReader struct {
	nc   net.Conn
	rc   syscall.RawConn
	try  func(fd uintptr) bool // the method tryRead, bound once: binding allocates
	size int                   // of the buffer to read into: what is sent at a time
	buf  *buffer               // to read into, and then what tryRead got
	err  error
}

func newIdleReader(nc interface {
	net.Conn
	syscall.Conn
}) idleReader {
	rc, err := nc.SyscallConn()
	if err != nil {
		return &byteReader{nc: nc}
	}
	r := &rawReader{nc: nc, rc: rc, size: minReadSize}
	r.try = r.tryRead
	return r
}

func (r *rawReader) read(b *buffer, _ bool) (*buffer, error) {
	r.buf = b
	err := r.rc.Read(r.try)
	b = r.buf
	if err == nil {
		err = r.err
	}
	r.buf, r.err = nil, nil
	if err != nil {
		putBuffer(b)
		return nil, err
	}
	return b, nil
}

// tryRead reads without blocking. It returns false, to be called again when
// the descriptor is readable, if there is nothing to read.
func (r *rawReader) tryRead(fd uintptr) bool {
	r.buf = r.buf.orLarger(r.size)
	b := r.buf
	for {
		n, err := syscall.Read(int(fd), b.b[:cap(b.b)])
		switch {
		case n > 0:
			b.b = b.b[:n]
			if n == cap(b.b) {
				r.size = min(2*n, maxReadSize)
			} else if n < r.size/8 {
				r.size = max(r.size/2, minReadSize)
			}
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			putBuffer(b)
			r.buf = nil
			return false
		case err == nil:
			r.err = io.EOF
		default:
			r.err = &net.OpError{Op: "read", Net: r.nc.LocalAddr().Network(), Source: r.nc.LocalAddr(), Addr: r.nc.RemoteAddr(), Err: os.NewSyscallError("read", err)}
		}
		return true
	}
}
