package pump

import (
	"errors"
	"io"
	"net"
	"os"
)

// maxPiece is how many bytes the transport is given in one call.
const maxPiece = 32 << 10

// writer is the writing half.
type writer struct {
	half
	writing    bool  // a Write is under way: one at a time, so that each goes out whole
	ended      bool  // CloseWrite was called
	leftBehind bool  // the transport's call under way was left behind
	unwritten  int   // how many bytes of the last piece were not written
	err        error // the error of that piece
	lateErr    error // the error of a piece that counts as written; it fails all later writes
}

// Write writes p in pieces of up to 32 KiB. When the deadline passes, it returns
// how many bytes it has given to the transport. Exactly these bytes are sent before
// those of later writes. If they are all of p, the error is nil.
func (c *Conn) Write(p []byte) (n int, err error) {
	w := &c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.writing {
		if err := w.errorLocked(); err != nil {
			return 0, err
		}
		w.changed.Wait()
	}
	w.writing = true
	defer w.endLocked()
	for {
		switch err := w.errorLocked(); {
		case err != nil:
			return n, err
		case n == len(p): // it is empty
			return n, nil
		case w.busy: // with a piece that was left behind
			w.changed.Wait()
			continue
		}
		m, err := c.writeLocked(p[n:min(n+maxPiece, len(p))])
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// endLocked lets the next Write begin.
func (w *writer) endLocked() {
	w.writing = false
	w.changed.Broadcast()
}

// errorLocked returns the error if no piece may be written, or nil.
func (w *writer) errorLocked() error {
	switch {
	case w.lateErr != nil:
		return w.lateErr
	case w.closed, w.ended:
		return net.ErrClosed
	case w.expiredLocked():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// writeLocked gives a piece to the transport, and waits until it is written, or
// until the deadline has passed: the piece counts as written then. The lock is
// released meanwhile.
func (c *Conn) writeLocked(p []byte) (int, error) {
	w := &c.out
	buf := getBuffer(len(p))
	w.busy, w.leftBehind = true, false
	go c.write(buf, copy(buf.b, p))
	for w.busy && !w.abandoned && !w.expiredLocked() {
		w.changed.Wait()
	}
	switch {
	case w.busy && w.abandoned:
		return len(p), net.ErrClosed
	case w.busy:
		w.leftBehind = true
		return len(p), nil
	}
	err := w.err
	w.err = nil
	return len(p) - w.unwritten, err
}

// write calls the transport.
func (c *Conn) write(buf *buffer, size int) {
	n, err := c.Conn.Write(buf.b[:size])
	putBuffer(buf)
	if n < size && err == nil {
		err = io.ErrShortWrite
	}
	w := &c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy, w.unwritten, w.err = false, size-n, err
	if w.leftBehind && err != nil {
		w.lateErr = err
	}
	w.changed.Broadcast()
}

// CloseWrite closes the writing half, if the transport can do that: otherwise the
// error is [errors.ErrUnsupported], and nothing changes. It waits up to a second
// for a write that is under way, and up to another one for the transport.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	if !c.endWrites() {
		return net.ErrClosed
	}
	err, ok := withCloseWait(half.CloseWrite)
	if !ok {
		return os.ErrDeadlineExceeded
	}
	return err
}

// endWrites lets no further piece be written, and waits for the one under way. It
// reports whether the transport is still open.
func (c *Conn) endWrites() bool {
	w := &c.out
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.ended {
		return false
	}
	w.ended = true
	w.changed.Broadcast()
	w.awaitLocked(w.isAbandoned)
	return !w.closed
}
