package transport

import (
	"net"
	"sync/atomic"
	"time"
)

// Pollable is a net.Conn that forwards to another one, which can be replaced. It
// lies under TLS of Loop.Listener and of Dial, since the connection under a
// tls.Conn cannot be replaced.
type Pollable struct{ nc atomic.Pointer[net.Conn] }

// NewPollable makes nc pollable if it is a socket.
func NewPollable(nc net.Conn) net.Conn {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		p := new(Pollable)
		p.nc.Store(&nc)
		return p
	}
	return nc
}

func (p *Pollable) Get() net.Conn { return *p.nc.Load() }

// Set replaces the connection and closes the one before.
func (p *Pollable) Set(nc net.Conn) { (*p.nc.Swap(&nc)).Close() }

func (p *Pollable) Read(b []byte) (int, error)         { return p.Get().Read(b) }
func (p *Pollable) Write(b []byte) (int, error)        { return p.Get().Write(b) }
func (p *Pollable) Close() error                       { return p.Get().Close() }
func (p *Pollable) LocalAddr() net.Addr                { return p.Get().LocalAddr() }
func (p *Pollable) RemoteAddr() net.Addr               { return p.Get().RemoteAddr() }
func (p *Pollable) SetDeadline(t time.Time) error      { return p.Get().SetDeadline(t) }
func (p *Pollable) SetReadDeadline(t time.Time) error  { return p.Get().SetReadDeadline(t) }
func (p *Pollable) SetWriteDeadline(t time.Time) error { return p.Get().SetWriteDeadline(t) }
