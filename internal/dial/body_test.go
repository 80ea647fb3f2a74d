package dial

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipe is a body with another end, whose writes can be made to block.
type pipe struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return p.Conn.Close()
}

func newTestBodyConn() (*bodyConn, *pipe, net.Conn) {
	near, far := net.Pipe()
	body := &pipe{Conn: near, closed: make(chan struct{})}
	return newBodyConn(body, "host"), body, far
}

// TestBodyConn runs each case in a bubble, which ends only when no goroutine is left.
func TestBodyConn(t *testing.T) {
	t.Run("deadlines", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, body, far := newTestBodyConn()
			defer far.Close()
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: got %v", err)
			}
			c.SetReadDeadline(time.Time{})
			go io.WriteString(far, "x")
			if n, err := c.Read(make([]byte, 5)); n != 1 || err != nil {
				t.Errorf("read after the deadline: got %d, %v", n, err)
			}
			c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			if _, err := c.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("write that nobody reads: got %v", err)
			}
			c.Close()
			<-body.closed
		})
	})
	t.Run("what was written leaves before the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, body, far := newTestBodyConn()
			sent := make(chan string)
			go func() {
				b, _ := io.ReadAll(far)
				sent <- string(b)
			}()
			io.WriteString(c, "goodbye")
			c.Close()
			if got := <-sent; got != "goodbye" {
				t.Errorf("the peer got %q", got)
			}
			<-body.closed
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("read after Close")
			}
			if _, err := c.Write(make([]byte, 1)); err == nil {
				t.Error("write after Close")
			}
		})
	})
	t.Run("the peer goes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, body, far := newTestBodyConn()
			go func() {
				io.WriteString(far, "last words")
				far.Close()
			}()
			if b, err := io.ReadAll(c); string(b) != "last words" || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			<-body.closed
		})
	})
	t.Run("the body fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			failing := &broken{near}
			c := newBodyConn(failing, "host")
			far.Close()
			if _, err := c.Read(make([]byte, 1)); err != io.ErrNoProgress {
				t.Errorf("got %v, want the error of the body", err)
			}
			if c.RemoteAddr().String() != "host" || c.RemoteAddr().Network() != "tcp" {
				t.Errorf("remote address %v", c.RemoteAddr())
			}
		})
	})
}

// broken turns the end of what it reads into an error.
type broken struct{ net.Conn }

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if err == io.EOF {
		err = io.ErrNoProgress
	}
	return n, err
}
