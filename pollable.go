package websocket

import (
	"net"
	"sync/atomic"
	"time"
)

// pollable is a net.Conn that forwards to another one, which can be replaced. It
// lies under TLS of Loop.Listener and of Dial, since the connection under a
// tls.Conn cannot be replaced.
type pollable struct{ nc atomic.Pointer[net.Conn] }

// newPollable makes nc pollable if it is a socket.
func newPollable(nc net.Conn) net.Conn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		p := new(pollable)
		p.nc.Store(&nc)
		return p
	}
	return nc
}

func (p *pollable) get() net.Conn { return *p.nc.Load() }

// set replaces the connection and closes the one before.
func (p *pollable) set(nc net.Conn) { (*p.nc.Swap(&nc)).Close() }

func (p *pollable) Read(b []byte) (int, error)         { return p.get().Read(b) }
func (p *pollable) Write(b []byte) (int, error)        { return p.get().Write(b) }
func (p *pollable) Close() error                       { return p.get().Close() }
func (p *pollable) LocalAddr() net.Addr                { return p.get().LocalAddr() }
func (p *pollable) RemoteAddr() net.Addr               { return p.get().RemoteAddr() }
func (p *pollable) SetDeadline(t time.Time) error      { return p.get().SetDeadline(t) }
func (p *pollable) SetReadDeadline(t time.Time) error  { return p.get().SetReadDeadline(t) }
func (p *pollable) SetWriteDeadline(t time.Time) error { return p.get().SetWriteDeadline(t) }
