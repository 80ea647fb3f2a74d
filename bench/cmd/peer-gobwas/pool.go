package main

import (
	"bytes"
	"compress/flate"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/gobwas/ws/wsflate"
)

var (
	messages = sync.Pool{New: func() any { return &message{data: make([]byte, headroom, 1024)} }}

	readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

	compressors = sync.Pool{New: func() any {
		return wsflate.NewWriter(nil, func(w io.Writer) wsflate.Compressor {
			f, _ := flate.NewWriter(w, flate.BestSpeed) // fails only for a wrong level
			return f
		})
	}}

	decompressors = sync.Pool{New: func() any {
		return wsflate.NewReader(nil, func(r io.Reader) wsflate.Decompressor { return flate.NewReader(r) })
	}}
)

// deflated returns m compressed.
func (m *message) deflated() (*message, error) {
	w := compressors.Get().(*wsflate.Writer)
	defer compressors.Put(w)
	packed := newMessage(m.op)
	w.Reset(packed)
	if _, err := w.Write(m.data[headroom:]); err != nil {
		return nil, err
	}
	return packed, w.Flush()
}

// inflated returns m decompressed.
func (m *message) inflated() (*message, error) {
	r := decompressors.Get().(*wsflate.Reader)
	defer decompressors.Put(r)
	r.Reset(bytes.NewReader(m.data[headroom:]))
	plain := newMessage(m.op)
	n, err := io.Copy(plain, io.LimitReader(r, contract.ReadLimit+1))
	if err == nil && n > contract.ReadLimit {
		err = errTooBig
	}
	return plain, err
}

// readBuffer is the size of the upgrader's read buffer, and of bufio's.
const readBuffer = 4 << 10

// source reads from a socket and owns a buffer only while bytes are in it, so
// that a connection that waits has none.
type source struct {
	nc     net.Conn
	raw    syscall.RawConn       // nil under TLS
	fill   func(fd uintptr) bool // s.tryFill, bound once
	buf    *[readBuffer]byte
	unread []byte // in buf
	err    error  // of the last fill
}

func (s *source) init(nc net.Conn) (err error) {
	s.nc = nc
	if tcp, ok := nc.(*net.TCPConn); ok {
		s.fill = s.tryFill
		s.raw, err = tcp.SyscallConn()
	}
	return err
}

// tryFill is called with the descriptor when there may be something to read.
// It returns false if there is nothing, to be called again.
func (s *source) tryFill(fd uintptr) bool {
	buf := readBuffers.Get().(*[readBuffer]byte)
	for {
		n, err := syscall.Read(int(fd), buf[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			s.buf, s.unread = buf, buf[:n]
			return true
		case err == nil:
			err = io.EOF
		}
		readBuffers.Put(buf)
		s.err = err
		return err != syscall.EAGAIN
	}
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.unread) == 0 {
		if len(p) >= readBuffer || s.raw == nil {
			return s.nc.Read(p)
		}
		s.err = nil
		if err := s.raw.Read(s.fill); err != nil {
			return 0, err
		}
		if s.buf == nil {
			return 0, s.err
		}
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	if len(s.unread) == 0 {
		readBuffers.Put(s.buf)
		s.buf, s.unread = nil, nil
	}
	return n, nil
}
