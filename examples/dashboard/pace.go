package main

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// sendBuffer is how many sent bytes the kernel may hold for a page; Linux doubles
// it. Trades in the kernel can no longer be replaced by newer ones, and by default the
// kernel would hold megabytes for a slow network.
const sendBuffer = 32 << 10

// pacedListener accepts connections that can be slowed down.
type pacedListener struct{ net.Listener }

func (l pacedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if c, ok := c.(interface{ SetWriteBuffer(int) error }); ok {
		c.SetWriteBuffer(sendBuffer) // an error only means more delay
	}
	return newPacedConn(c), nil
}

// pacedConn is a connection that takes bytes at a certain rate, as a slow network
// does: a Write lasts as long as its bytes need. The layers above cannot tell it from
// a slow network. Reading is not slowed down.
type pacedConn struct {
	net.Conn

	writing sync.Mutex // held during a Write

	mu       sync.Mutex
	rate     int       // bytes per second; 0: no limit
	free     time.Time // when bytes may be sent again
	deadline time.Time // for writing
	closed   bool
	changed  chan struct{} // closed when one of the others changes
}

func newPacedConn(c net.Conn) *pacedConn {
	return &pacedConn{Conn: c, changed: make(chan struct{})}
}

// paceKey is the key of a connection's pacedConn in the context of its requests.
type paceKey struct{}

// withPace is the ConnContext of a server on a pacedListener.
func withPace(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, paceKey{}, c)
}

// paceOf returns the connection of a request, or nil if it cannot be paced.
func paceOf(ctx context.Context) *pacedConn {
	c, _ := ctx.Value(paceKey{}).(*pacedConn)
	return c
}

// setRate sets the rate in bytes per second, also for a Write that is under way; 0
// means no limit.
func (c *pacedConn) setRate(rate int) {
	c.change(func() { c.rate = rate })
}

// change changes the state, and wakes the waiting calls.
func (c *pacedConn) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *pacedConn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		size, err := c.reserve(len(p) - n)
		if err != nil {
			return n, err
		}
		k, err := c.Conn.Write(p[n : n+size])
		n += k
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// reserve waits until bytes may be sent, and reserves the time for up to n of them. It
// returns how many.
func (c *pacedConn) reserve(n int) (int, error) {
	for {
		size, wait, changed, err := c.tryReserve(n)
		if err != nil || wait <= 0 {
			return size, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-changed:
			t.Stop()
		}
	}
}

// tryReserve is reserve without waiting. If no bytes may be sent it returns how long to
// wait, and a channel that is closed when the state changes meanwhile.
func (c *pacedConn) tryReserve(n int) (size int, wait time.Duration, changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, 0, nil, net.ErrClosed
	}
	if c.rate == 0 {
		c.free = time.Time{}
		return n, 0, nil, nil
	}
	now := time.Now()
	wait = c.free.Sub(now)
	if !c.deadline.IsZero() {
		left := c.deadline.Sub(now)
		if left <= 0 {
			return 0, 0, nil, os.ErrDeadlineExceeded
		}
		wait = min(wait, left)
	}
	if wait > 0 {
		return 0, wait, c.changed, nil
	}
	// A fiftieth of a second's worth at a time, so that it is smooth.
	size = min(n, max(c.rate/50, 64))
	if c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(time.Duration(size) * time.Second / time.Duration(c.rate))
	return size, 0, nil, nil
}

func (c *pacedConn) SetDeadline(t time.Time) error {
	c.change(func() { c.deadline = t })
	return c.Conn.SetDeadline(t)
}

func (c *pacedConn) SetWriteDeadline(t time.Time) error {
	c.change(func() { c.deadline = t })
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite tells the peer that nothing more will come.
func (c *pacedConn) CloseWrite() error {
	if c, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

func (c *pacedConn) Close() error {
	c.change(func() { c.closed = true })
	return c.Conn.Close()
}
