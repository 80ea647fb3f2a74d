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
	rc   syscall.RawConn
	try  func(fd uintptr) bool // the method tryRead, bound once: binding allocates
	buf  *buffer               // to read into, and then what tryRead got
	size int32                 // of the buffer to read into: what is sent at a time
	less uint8                 // how many reads in a row brought much less
	eof  bool                  // the peer has sent all
	err  syscall.Errno         // what went wrong, or 0
}

func newIdleReader(nc interface {
	net.Conn
	syscall.Conn
}) idleReader {
	rc, err := nc.SyscallConn()
	if err != nil {
		return &byteReader{nc: nc}
	}
	r := &rawReader{rc: rc, size: minReadSize}
	r.try = r.tryRead
	return r
}

func (r *rawReader) read(b *buffer, _ bool) (*buffer, error) {
	r.buf = b
	err := r.rc.Read(r.try)
	b = r.buf
	switch {
	case err != nil:
	case r.err != 0:
		err = os.NewSyscallError("read", r.err)
	case r.eof:
		err = io.EOF
	}
	r.buf, r.err = nil, 0
	if err != nil {
		putBuffer(b)
		return nil, err
	}
	return b, nil
}

// tryRead reads without blocking. It returns false, to be called again when
// the descriptor is readable, if there is nothing to read.
func (r *rawReader) tryRead(fd uintptr) bool {
	r.buf = r.buf.orLarger(int(r.size))
	b := r.buf
	for {
		n, err := syscall.Read(int(fd), b.b[:cap(b.b)])
		switch {
		case n > 0:
			b.b = b.b[:n]
			r.adapt(n, cap(b.b))
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			putBuffer(b)
			r.buf = nil
			return false
		case err == nil:
			r.eof = true
		default:
			r.err = err.(syscall.Errno)
		}
		return true
	}
}

// adapt chooses the next buffer's size after a read of n bytes into room for
// size. A large message is often followed by a few bytes, its rest.
func (r *rawReader) adapt(n, size int) {
	if n >= int(r.size)/8 {
		r.less = 0
	} else if r.less++; r.less == 8 {
		r.size, r.less = max(r.size/2, minReadSize), 0
	}
	if n == size {
		r.size = int32(min(2*size, maxReadSize))
	}
}
