package pump

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

func TestClose(t *testing.T) {
	in(t, func(t *testing.T) {
		c, transport, _ := pair(10)
		read, write := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 10))
			read <- err
		}()
		go func() {
			n, err := c.Write(pattern(100 << 10))
			if n > maxPiece {
				t.Errorf("%d bytes are written", n)
			}
			write <- err
		}()
		synctest.Wait()
		begin := time.Now()
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		took(t, begin, closeWait) // for the piece
		wantError(t, <-read, net.ErrClosed)
		if err := <-write; err == nil {
			t.Error("a write that was cut off has succeeded")
		}
		_, err := c.Read(make([]byte, 10))
		wantError(t, err, net.ErrClosed)
		_, err = c.Write(make([]byte, 10))
		wantError(t, err, net.ErrClosed)
		for _, err := range []error{c.Close(), c.CloseWrite(), c.SetDeadline(time.Now()), c.SetReadDeadline(time.Now()), c.SetWriteDeadline(time.Now())} {
			wantError(t, err, net.ErrClosed)
		}
		if transport.closes != 1 {
			t.Errorf("the transport was closed %d times", transport.closes)
		}
	})
}

// TestCloseFinishes: a piece that was left behind arrives if the peer takes it in
// time.
func TestCloseFinishes(t *testing.T) {
	for _, half := range []bool{false, true} {
		in(t, func(t *testing.T) {
			c, _, peer := pair(10)
			defer c.Close()
			c.SetWriteDeadline(time.Now().Add(time.Second))
			c.Write(pattern(1000))
			begin := time.Now()
			got := make(chan int, 1)
			time.AfterFunc(closeWait/2, func() {
				all, err := io.ReadAll(peer)
				if err != nil {
					t.Error(err)
				}
				got <- len(all)
			})
			closing := c.Close
			if half {
				closing = c.CloseWrite
			}
			if err := closing(); err != nil {
				t.Error(err)
			}
			took(t, begin, closeWait/2)
			if n := <-got; n != 1000 {
				t.Errorf("the peer got %d bytes of 1000", n)
			}
			if half { // the other direction goes on
				io.WriteString(peer, "still")
				buf := make([]byte, 10)
				if n, err := c.Read(buf); string(buf[:n]) != "still" || err != nil {
					t.Errorf("read %q, %v", buf[:n], err)
				}
				_, err := c.Write([]byte("no more"))
				wantError(t, err, net.ErrClosed)
			}
		})
	}
}

func TestCloseWriteBounded(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, _ := pair(10)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.Write(pattern(1000))
		begin := time.Now()
		c.CloseWrite()
		took(t, begin, closeWait)
		c.Abort()
		took(t, begin, closeWait)

		a, _ := bufpipe.New(10)
		c = New(struct{ net.Conn }{a})
		wantError(t, c.CloseWrite(), errors.ErrUnsupported)
		if _, err := c.Write([]byte("on")); err != nil {
			t.Errorf("write after a CloseWrite that is not supported: %v", err)
		}
		c.Close()
	})
}

// TestAbort: it waits for nothing, and has a Close wait no longer either.
func TestAbort(t *testing.T) {
	in(t, func(t *testing.T) {
		c, _, _ := pair(10)
		write := make(chan error, 1)
		go func() {
			_, err := c.Write(pattern(1000))
			write <- err
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		begin := time.Now()
		go func() { closed <- c.Close() }()
		synctest.Wait()
		c.Abort()
		<-closed
		if err := <-write; err == nil {
			t.Error("a write that was cut off has succeeded")
		}
		took(t, begin, 0)
	})
}

// stubborn is a transport whose Close ends no call.
type stubborn struct {
	net.Conn
	release chan struct{}
}

func (s *stubborn) Read([]byte) (int, error) {
	<-s.release
	return 0, io.EOF
}

func (s *stubborn) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}

// TestAbortStubborn: calls end though the transport's do not.
func TestAbortStubborn(t *testing.T) {
	in(t, func(t *testing.T) {
		a, _ := bufpipe.New(10)
		s := &stubborn{a, make(chan struct{})}
		defer close(s.release)
		c := New(s)
		read, write := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 10))
			read <- err
		}()
		go func() {
			_, err := c.Write(make([]byte, 10))
			write <- err
		}()
		synctest.Wait()
		c.Abort()
		wantError(t, <-read, net.ErrClosed)
		wantError(t, <-write, net.ErrClosed)
	})
}

// TestAbortLingers: what counts as written arrives, if the peer takes it soon, and
// Abort does not wait for that.
func TestAbortLingers(t *testing.T) {
	for _, soon := range []bool{true, false} {
		in(t, func(t *testing.T) {
			c, transport, peer := pair(10)
			c.SetWriteDeadline(time.Now().Add(time.Second))
			c.Write(pattern(1000))
			begin := time.Now()
			c.Abort()
			c.Abort()
			took(t, begin, 0)
			if soon {
				time.Sleep(closeWait / 2)
				got, err := io.ReadAll(peer)
				if len(got) != 1000 || err != nil {
					t.Errorf("the peer got %d bytes of 1000, %v", len(got), err)
				}
				took(t, begin, closeWait/2)
			} else {
				time.Sleep(closeWait + 1)
			}
			synctest.Wait()
			if transport.closes != 1 {
				t.Errorf("the transport was closed %d times", transport.closes)
			}
		})
	}
}

// secure stands for TLS: Close waits to send its close_notify, unless what is under it is
// closed.
type secure struct {
	net.Conn
	under net.Conn
	gone  chan struct{}
}

func (s *secure) NetConn() net.Conn { return &underSecure{s.under, s.gone} }
func (s *secure) Close() error {
	<-s.gone
	return nil
}

type underSecure struct {
	net.Conn
	gone chan struct{}
}

func (u *underSecure) Close() error {
	close(u.gone)
	return u.Conn.Close()
}

func TestCloseOverTLS(t *testing.T) {
	in(t, func(t *testing.T) {
		for _, abort := range []bool{false, true} {
			a, _ := bufpipe.New(10)
			c := New(&secure{a, a, make(chan struct{})})
			begin := time.Now()
			if abort {
				c.Abort()
				took(t, begin, 0)
			} else {
				wantError(t, c.Close(), os.ErrDeadlineExceeded)
				took(t, begin, closeWait)
			}
		}
	})
}
