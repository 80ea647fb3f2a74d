package websocket

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// transport is the seam between a Conn and what carries its bytes: it reads
// without holding a buffer while there is nothing to read, and writes a
// header and its payload at once. One goroutine may read while another one
// writes; deadlines and Close may come from anywhere.
type transport struct {
	nc     net.Conn
	reader idleReader
	// vectored: a header and a payload in two slices leave in one syscall.
	vectored bool
	// resumable: a write that timed out before its first byte has done no
	// harm. TLS does not promise that.
	resumable bool
}

// idleReader waits for input and reads once, into b or, if that is nil or does
// not suit, into a buffer from the pool. The buffer belongs to the caller and
// is not empty; after an error there is none. It waits without a buffer, in any
// case where idle says that the wait may be long.
type idleReader interface {
	read(b *buffer, idle bool) (*buffer, error)
}

func newTransport(nc net.Conn) transport {
	t := transport{nc: nc, resumable: true}
	switch nc := nc.(type) {
	// Only the types themselves: one that wraps them may do more on Read
	// than its descriptor shows.
	case *net.TCPConn:
		t.reader, t.vectored = newIdleReader(nc), true
	case *net.UnixConn:
		t.reader, t.vectored = newIdleReader(nc), true
	case *bufpipe.Conn:
		t.reader = &byteReader{nc: nc}
	default:
		t.reader, t.resumable = &byteReader{nc: nc}, false
	}
	return t
}

// read is reader.read with errors as nc.Read returns them.
func (t *transport) read(b *buffer, idle bool) (*buffer, error) {
	b, err := t.reader.read(b, idle)
	if _, ok := err.(*os.SyscallError); ok {
		local := t.nc.LocalAddr()
		err = &net.OpError{Op: "read", Net: local.Network(), Source: local, Addr: t.nc.RemoteAddr(), Err: err}
	}
	return b, err
}

// byteReader is the idleReader for any net.Conn: idle, it waits with a few
// bytes of its own. Where more has arrived with them, as in a TLS record, the
// receiver asks for it at once, because the frame is incomplete.
type byteReader struct {
	nc    net.Conn
	first [16]byte
}

func (r *byteReader) read(b *buffer, idle bool) (*buffer, error) {
	p := r.first[:]
	if idle {
		putBuffer(b)
		b = nil
	} else {
		b = b.orLarger(readBufferSize)
		p = b.b[:cap(b.b)]
	}
	n, err := r.nc.Read(p)
	if n == 0 {
		putBuffer(b)
		if err == nil {
			err = io.ErrNoProgress
		}
		return nil, err
	}
	if idle {
		b = getBuffer(readBufferSize)
		copy(b.b[:n], p)
	}
	b.b = b.b[:n]
	return b, nil
}

// vector is what a vectored write needs in memory; it is pooled because
// net.Buffers.WriteTo lets it escape.
type vector struct {
	parts [2][]byte
	bufs  net.Buffers
}

var vectors = sync.Pool{New: func() any { return new(vector) }}

// writev writes head and then body in one syscall; only if t.vectored.
func (t *transport) writev(head, body []byte) (int64, error) {
	v := vectors.Get().(*vector)
	v.parts = [2][]byte{head, body}
	v.bufs = v.parts[:]
	n, err := v.bufs.WriteTo(t.nc)
	*v = vector{}
	vectors.Put(v)
	return n, err
}

// close closes the transport. TLS takes leave of the peer by a record, which
// may have to wait for room; with abort nothing is waited for.
func (t *transport) close(abort bool) {
	if nc, ok := t.nc.(interface{ NetConn() net.Conn }); ok && abort {
		nc.NetConn().Close()
		return
	}
	t.nc.Close()
}

// closeWrite tells the peer that nothing more will come, where the transport
// can tell that apart from closing.
func (t *transport) closeWrite() {
	if nc, ok := t.nc.(interface{ CloseWrite() error }); ok {
		// tls.Conn.CloseWrite writes a record.
		t.nc.SetWriteDeadline(time.Now().Add(time.Second))
		nc.CloseWrite()
	}
}
