//go:build !ws_unix && !ws_plain

package websocket

import "net"

// Calls about the socket of a pollConn: its activity, and the limit of unsent
// bytes.

func (p *pollConn) observe(to *activity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd >= 0 {
		observeDescriptor(int(p.fd), to)
		to.queued = int64(p.queue.len())
	}
}

func (t *pollTLS) observe(to *activity) { t.pollConn.observe(to) }

func (p *pollConn) limitUnsent(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 {
		return net.ErrClosed
	}
	return limitDescriptor(int(p.fd), n)
}

func (t *pollTLS) limitUnsent(n int) error { return t.pollConn.limitUnsent(n) }
