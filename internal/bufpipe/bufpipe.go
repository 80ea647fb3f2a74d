// Package bufpipe connects two ends in memory. Unlike those of [net.Pipe]
// they buffer some bytes, as sockets do, and can be closed in one direction.
package bufpipe

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// Conn is one end.
type Conn struct {
	in, out *half
}

// New returns two connected ends with room for size bytes in each direction.
func New(size int) (*Conn, *Conn) {
	a, b := newHalf(size), newHalf(size)
	return &Conn{in: a, out: b}, &Conn{in: b, out: a}
}

// half is one direction.
type half struct {
	mu                          sync.Mutex
	changed                     sync.Cond // signalled on every change
	size                        int
	buf                         []byte // written and not yet read
	consumed                    uint64 // bytes that have been read
	writerClosed                bool   // the writer has closed
	readerClosed                bool   // the reader has closed
	waitCount                   uint   // number of calls of wait
	readDeadline, writeDeadline deadline
}

func newHalf(size int) *half {
	h := &half{size: size}
	h.changed.L = &h.mu
	return h
}

// yieldEvery is the number of waits after which wait yields the processor.
const yieldEvery = 64

// wait waits for a change. The caller holds the lock.
//
// A goroutine that another one wakes runs next, in the rest of the other's time
// slice. So two ends that wake each other in turn would keep the processor, for
// seconds if the garbage collector often restarts the slice. With sockets other
// goroutines would run in between.
func (h *half) wait() {
	h.changed.Wait()
	if h.waitCount++; h.waitCount%yieldEvery == 0 {
		h.mu.Unlock()
		runtime.Gosched()
		h.mu.Lock()
	}
}

// deadline is a point in time after which waiting ends.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) expired() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set changes d. closed is set if the end with this deadline has closed h.
func (h *half) set(d *deadline, closed *bool, at time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *closed {
		return net.ErrClosed
	}
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			h.mu.Lock() // so that no call is between its look at the clock and Wait
			defer h.mu.Unlock()
			h.changed.Broadcast()
		})
	}
	h.changed.Broadcast()
	return nil
}

// Read reads the bytes that have arrived, or waits until there are some.
func (c *Conn) Read(p []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readerClosed:
			return 0, net.ErrClosed
		case h.readDeadline.expired():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.consumed += uint64(n)
			if h.buf = h.buf[n:]; len(h.buf) == 0 {
				h.buf = nil
			}
			h.changed.Broadcast()
			return n, nil
		case h.writerClosed:
			return 0, io.EOF
		}
		h.wait()
	}
}

// State is the state of a connection, which is known without a read.
type State struct {
	Received uint64 // bytes that have ever arrived
	Unread   bool   // some of these have not been read
	Full     bool   // there is no room for more
	Ended    bool   // the other end sends no more
	Taken    uint64 // bytes that the other end has read
	Waiting  int    // bytes that the other end has not read yet
}

// State returns the state of this end.
func (c *Conn) State() (s State) {
	c.in.mu.Lock()
	s.Received = c.in.consumed + uint64(len(c.in.buf))
	s.Unread = len(c.in.buf) > 0
	s.Full = len(c.in.buf) >= c.in.size
	s.Ended = c.in.writerClosed || c.in.readerClosed
	c.in.mu.Unlock()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	s.Taken, s.Waiting = c.out.consumed, len(c.out.buf)
	return s
}

// HasRoom reports whether a Write of up to 4 KiB would not wait.
func (c *Conn) HasRoom() bool {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size-len(h.buf) >= 4<<10 || h.writerClosed || h.readerClosed
}

// Write waits until there is room for all of p.
func (c *Conn) Write(p []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.writerClosed:
			return n, net.ErrClosed
		case h.readerClosed:
			return n, io.ErrClosedPipe
		case h.writeDeadline.expired():
			return n, os.ErrDeadlineExceeded
		}
		if room := h.size - len(h.buf); room > 0 {
			m := min(room, len(p))
			h.buf = append(h.buf, p[:m]...)
			n, p = n+m, p[m:]
			h.changed.Broadcast()
		}
		if len(p) == 0 {
			return n, nil
		}
		h.wait()
	}
}

// CloseWrite makes the other end read io.EOF after the bytes already written.
func (c *Conn) CloseWrite() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.writerClosed = true
	c.out.changed.Broadcast()
	return nil
}

// Close closes this end in both directions.
func (c *Conn) Close() error {
	c.SetDeadline(time.Time{}) // stops the timers
	c.CloseWrite()
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.readerClosed = true
	c.in.buf = nil
	c.in.changed.Broadcast()
	return nil
}

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	err := c.SetReadDeadline(t)
	if err2 := c.SetWriteDeadline(t); err == nil {
		err = err2
	}
	return err
}

// SetReadDeadline bounds reads, including those that wait already.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.in.set(&c.in.readDeadline, &c.in.readerClosed, t)
}

// SetWriteDeadline bounds writes, including those that wait already.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.out.set(&c.out.writeDeadline, &c.out.writerClosed, t)
}

// LocalAddr returns a placeholder.
func (*Conn) LocalAddr() net.Addr { return addr{} }

// RemoteAddr returns a placeholder.
func (*Conn) RemoteAddr() net.Addr { return addr{} }

type addr struct{}

func (addr) Network() string { return "pipe" }
func (addr) String() string  { return "pipe" }
