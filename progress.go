package websocket

import (
	"net"
	"sync/atomic"
)

// longWrite is the size of the largest write that is handed over in one piece
// where the system does not tell how far the peer has got. A peer that takes as
// little within Options.PingInterval and PongTimeout counts as dead.
const longWrite = 128 << 10

// progress is how many bytes of the long write under way have been taken, in
// units of longWrite; 0 if there is none.
type progress struct{ chunks atomic.Uint32 }

func (p *progress) Load() int64 { return int64(p.chunks.Load()) * longWrite }

// write writes b to nc, piece by piece.
func (p *progress) write(nc net.Conn, b []byte) (n int, err error) {
	defer p.chunks.Store(0)
	for n < len(b) && err == nil {
		var m int
		m, err = nc.Write(b[n:min(n+longWrite, len(b))])
		n += m
		p.chunks.Add(1)
	}
	return n, err
}
