package pump

import (
	"net"
	"os"
	"sync"
)

// reader is the reading half.
type reader struct {
	half
	ready bool    // a call has returned data and err, and no Read has returned them
	data  []byte  // the bytes that it has read, in buf or first
	err   error   // its error
	buf   *buffer // nil if data is in first

	// first is the buffer of a small read, so that a connection on which nothing
	// arrives needs no other memory.
	first [16]byte
}

// Read reads once from the transport. While it waits it owns a buffer of the size of
// p, but 32 KiB at most, and none if p has up to 16 bytes. If the transport returns
// no bytes and no error, so does Read.
func (c *Conn) Read(p []byte) (int, error) {
	r := &c.in
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch {
		case r.closed:
			return 0, net.ErrClosed
		case r.expiredLocked():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case r.ready:
			return r.consumeLocked(p)
		case !r.busy:
			r.busy = true
			go c.read(r.bufferLocked(len(p)))
		}
		r.changed.Wait()
	}
}

// bufferLocked returns memory for a read of up to n bytes.
func (r *reader) bufferLocked(n int) []byte {
	if n <= len(r.first) {
		return r.first[:n]
	}
	r.buf = getBuffer(n)
	return r.buf.b[:min(n, len(r.buf.b))]
}

// read calls the transport.
func (c *Conn) read(b []byte) {
	n, err := c.Conn.Read(b)
	r := &c.in
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy, r.ready = false, true
	r.data, r.err = b[:n], err
	if r.closed || n == 0 {
		r.releaseLocked()
	}
	r.changed.Broadcast()
}

// consumeLocked returns the bytes that a call has read. It returns the call's error
// after the last byte, and once: the transport's next call will return it again.
func (r *reader) consumeLocked(p []byte) (int, error) {
	n := copy(p, r.data)
	if r.data = r.data[n:]; len(r.data) > 0 {
		return n, nil
	}
	r.releaseLocked()
	if n > 0 && r.err != nil {
		return n, nil
	}
	err := r.err
	r.ready, r.err = false, nil
	return n, err
}

func (r *reader) releaseLocked() {
	r.data = nil
	putBuffer(r.buf)
	r.buf = nil
}

// buffer is pooled memory for a call of the transport.
type buffer struct{ b []byte }

var smallBuffers, largeBuffers = newPool(4 << 10), newPool(maxPiece)

func newPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return &buffer{make([]byte, size)} }}
}

// getBuffer returns a buffer for n bytes, or for maxPiece if that is less.
func getBuffer(n int) *buffer {
	if n <= 4<<10 {
		return smallBuffers.Get().(*buffer)
	}
	return largeBuffers.Get().(*buffer)
}

// putBuffer gives b back, which may be nil.
func putBuffer(b *buffer) {
	switch {
	case b == nil:
	case len(b.b) == maxPiece:
		largeBuffers.Put(b)
	default:
		smallBuffers.Put(b)
	}
}
