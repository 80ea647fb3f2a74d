//go:build !ws_unix && !ws_plain

package websocket

import (
	"net"

	"github.com/fullduplex-go/websocket/internal/epoll"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// Calls about the socket of a pollConn: its activity, and the limit of unsent
// bytes.

func (p *pollConn) Probe(ask transport.Ask) (st transport.State) {
	if ask&transport.AskPeer != 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.fd >= 0 {
			st = transport.ProbeDescriptor(int(p.fd))
			st.Queued = int64(p.queue.Len())
		}
	}
	st.Room = transport.Yes
	if p.state.has(pollPaused) { // Write waits
		st.Room = transport.No
	}
	return st
}

func (t *pollTLS) Probe(ask transport.Ask) transport.State { return t.pollConn.Probe(ask) }

func (p *pollConn) LimitUnsent(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return net.ErrClosed
	}
	return epoll.LimitUnsent(int(p.fd), n)
}

func (t *pollTLS) LimitUnsent(n int) error { return t.pollConn.LimitUnsent(n) }
