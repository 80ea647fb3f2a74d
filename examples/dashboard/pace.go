package main

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// sendBuffer is what the kernel may hold of what was sent to a page, in bytes;
// Linux takes that twice. What is there can no longer be replaced by anything
// newer, and on its own the kernel would make it megabytes for a slow network.
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

// pacedConn is a connection that takes what is written to it at a certain rate,
// as a slow network does: a Write lasts as long as its bytes need. Nothing above
// it knows that it is not the network. Reading is as fast as ever.
type pacedConn struct {
	net.Conn

	writing sync.Mutex // held during a Write

	mu       sync.Mutex
	rate     int           // bytes per second; 0: no limit
	free     time.Time     // when the line is free again
	deadline time.Time     // for writing
	closed   bool          //
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

// paceOf returns the connection that a request has come by, or nil if that
// cannot be paced.
func paceOf(ctx context.Context) *pacedConn {
	c, _ := ctx.Value(paceKey{}).(*pacedConn)
	return c
}

// setRate has the connection take that many bytes per second from now on, also
// of a Write that is under way; with 0 as many as it can.
func (c *pacedConn) setRate(rate int) {
	c.change(func() { c.rate = rate })
}

// change changes the state, and tells those who wait.
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
		size, err := c.take(len(p) - n)
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

// take waits until the line is free, and takes it for up to n bytes: for the
// number that it returns.
func (c *pacedConn) take(n int) (int, error) {
	for {
		size, wait, changed, err := c.tryTake(n)
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

// tryTake is take, but returns how long to wait if the line is not free, and
// what to look out for meanwhile.
func (c *pacedConn) tryTake(n int) (size int, wait time.Duration, changed <-chan struct{}, err error) {
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
