package websocket

import (
	"syscall"

	"github.com/fullduplex-go/websocket/internal/epoll"
)

// readable reports whether a read from the socket would not wait, because of
// input, the end of it, or an error.
func readable(rc syscall.RawConn) (ready bool) {
	err := rc.Control(func(fd uintptr) { ready = epoll.Readable(int(fd)) })
	return err == nil && ready
}

const canPoll = true

// writable reports whether a write to the socket would not wait for the peer.
func writable(rc syscall.RawConn) (ready bool) {
	err := rc.Control(func(fd uintptr) { ready = epoll.Writable(int(fd)) })
	return err != nil || ready
}

func (p *polled) inputWaits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fd >= 0 && epoll.Readable(int(p.fd))
}

func (t *polledTLS) inputWaits() bool { return t.polled.inputWaits() }
