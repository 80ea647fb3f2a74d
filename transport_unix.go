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
	nc  net.Conn
	rc  syscall.RawConn
	try func(fd uintptr) bool // the method tryRead, bound once: binding allocates
	buf *buffer               // what tryRead got
	err error
}

func newIdleReader(nc interface {
	net.Conn
	syscall.Conn
}) idleReader {
	rc, err := nc.SyscallConn()
	if err != nil {
		return &byteReader{nc: nc}
	}
	r := &rawReader{nc: nc, rc: rc}
	r.try = r.tryRead
	return r
}

func (r *rawReader) read(bool) (*buffer, error) {
	err := r.rc.Read(r.try)
	b := r.buf
	if err == nil {
		err = r.err
	}
	r.buf, r.err = nil, nil
	if err != nil {
		return nil, err
	}
	return b, nil
}

// tryRead reads without blocking. It returns false, to be called again when
// the descriptor is readable, if there is nothing to read.
func (r *rawReader) tryRead(fd uintptr) bool {
	b := getBuffer(readBufferSize)
	for {
		n, err := syscall.Read(int(fd), b.b[:cap(b.b)])
		switch {
		case n > 0:
			b.b = b.b[:n]
			r.buf = b
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			putBuffer(b)
			return false
		case err == nil:
			r.err = io.EOF
		default:
			r.err = &net.OpError{Op: "read", Net: r.nc.LocalAddr().Network(), Source: r.nc.LocalAddr(), Addr: r.nc.RemoteAddr(), Err: os.NewSyscallError("read", err)}
		}
		putBuffer(b)
		return true
	}
}
