package behaviour_test

import (
	"net"
	"os"
	"time"
)

// bare is a connection that knows no deadlines, as a channel of SSH, and shows
// nothing of what it is made of. It has half-close.
type bare struct{ net.Conn }

func (bare) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (bare) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (bare) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func (b bare) CloseWrite() error { return b.Conn.(*net.TCPConn).CloseWrite() }

type bareListener struct{ net.Listener }

func (l bareListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return bare{nc}, err
}
