package transport

import (
	"net"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/internal/buffer"
)

// longWrite is the size of the largest write in one piece where the system does not
// report how much the peer has taken. A peer that takes less than that within
// Options.PingInterval and PongTimeout counts as dead.
const longWrite = 128 << 10

// progress is how much of the long write under way was taken, in KiB; 0 if there is
// no such write.
type progress struct{ taken atomic.Uint32 }

// Load returns the progress in bytes.
func (p *progress) Load() int64 { return int64(p.taken.Load()) << 10 }

// write writes b to nc, piece by piece.
func (p *progress) write(nc net.Conn, b []byte) (n int, err error) {
	defer p.taken.Store(0)
	for n < len(b) && err == nil {
		var m int
		m, err = nc.Write(b[n:min(n+longWrite, len(b))])
		n += m
		p.taken.Add(uint32(m >> 10))
	}
	return n, err
}

// writeAll is write for a backlog.
func (p *progress) writeAll(nc net.Conn, b *Backlog) (n int, err error) {
	defer p.taken.Store(0)
	for n < b.Len() && err == nil {
		var m int
		piece := b.piece(n)
		m, err = nc.Write(piece.B)
		buffer.Put(piece)
		n += m
		p.taken.Add(uint32(m >> 10))
	}
	return n, err
}
