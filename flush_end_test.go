package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestEndWaitsForLateWriter: CloseNow meets a goroutine that has the write lock and
// has not begun to write. The peer has room, so the message arrives.
func TestEndWaitsForLateWriter(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.raw(t, false, Options{PingInterval: -1})
			c.out.lock()
			c.out.write.set(true)
			c.out.unlock()
			closed := make(chan error, 1)
			go func() { closed <- c.CloseNow() }()
			until(t, "the end waits", func() bool {
				c.out.lock()
				defer c.out.unlock()
				return c.out.queue != nil && len(c.out.queue.waiting) > 0
			})
			time.Sleep(5 * transport.EndWait) // what a busy system does
			f := outFrame{op: OpText, fin: true, p: []byte("late")}
			var h Header
			c.header(&h, &f)
			n, err := c.currentTransport().Write(f.append(nil, &h))
			if err != nil {
				t.Error(err)
			}
			if err := c.endWrite(bg, nil, n, &f, err); err != nil {
				t.Error(err)
			}
			if f, err := (&frameReader{nc: peer}).next(); f.payload != "late" || err != nil {
				t.Errorf("the peer got %q, %v", f.payload, err)
			}
			if err := mustReceive(t, closed); err != nil {
				t.Error(err)
			}
		})
	}
}

// lateConn is a TCP connection whose writes begin late.
type lateConn struct{ *net.TCPConn }

func (c lateConn) Write(p []byte) (int, error) {
	time.Sleep(5 * transport.EndWait)
	return c.TCPConn.Write(p)
}

// TestEndWritesLate: what is queued at the end leaves under TLS, where the peer has
// room, also if the write begins late.
func TestEndWritesLate(t *testing.T) {
	t.Parallel()
	a, b := tcpPair(t)
	client, server := tlsOver(t, a, lateConn{b.(*net.TCPConn)})
	defer client.Close()
	c := newConn(server, connConfig{opts: Options{PingInterval: -1}.withDefaults()})
	c.out.lock()
	c.coalesceLocked(outFrame{op: OpText, fin: true, p: []byte("pending")})
	c.out.unlock()
	c.CloseNow()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if f, err := (&frameReader{nc: client}).next(); f.payload != "pending" || err != nil {
		t.Errorf("the peer got %q, %v", f.payload, err)
	}
}

// deafConn is a connection of a foreign package that ignores deadlines and whose
// writes last until it is closed.
type deafConn struct {
	net.Conn
	begun  chan struct{}
	closed context.Context
	close  context.CancelFunc
}

func (c *deafConn) Write([]byte) (int, error) {
	close(c.begun)
	<-c.closed.Done()
	return 0, net.ErrClosed
}

func (c *deafConn) SetWriteDeadline(time.Time) error { return nil }

func (c *deafConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// TestEndOfDeafTransport: CloseNow does not wait long for a write that nothing
// interrupts.
func TestEndOfDeafTransport(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	closed, cancel := context.WithCancel(bg)
	deaf := &deafConn{wstest.Opaque{Conn: b}, make(chan struct{}), closed, cancel}
	c := newConn(deaf, connConfig{opts: Options{PingInterval: -1}.withDefaults()})
	written := make(chan error, 1)
	go func() { written <- c.Write(bg, Text, []byte("x")) }()
	<-deaf.begun
	c.CloseNow()
	if err := mustReceive(t, written); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if n, err := a.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Error(n, err)
	}
}
