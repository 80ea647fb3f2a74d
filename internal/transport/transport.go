// Package transport carries the bytes of a WebSocket connection over any net.Conn,
// and tells what can be seen of that connection without reading from it.
//
// [New] makes a [Conn]. For a TCP or Unix socket on Unix it is a socket, which waits
// for input without a buffer and writes without waiting where there is room. For all
// else, TLS among them, it is a stream. The package knows nothing of frames: headers
// and payloads are bytes to it. A [Backlog] holds bytes that wait to be written.
//
// Deadlines are what ends a call from outside, so New puts a pump under a stream
// whose net.Conn has none; see [WithDeadlines].
package transport

import (
	"net"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// Conn carries the bytes of a WebSocket connection. It holds no buffer while there
// is nothing to read, and writes a header and its payload at once. One goroutine may
// read while another one writes; any goroutine may set deadlines and terminate it.
type Conn interface {
	net.Conn

	// Wait waits for input and reads once, into b or, if that is nil or does not suit,
	// into a buffer from the pool. The buffer belongs to the caller and is not empty;
	// after an error there is none. It waits without a buffer at least if idle says
	// that the wait may be long.
	Wait(b *buffer.Buffer, idle bool) (*buffer.Buffer, error)
	// ReadNow reads once without waiting, as Wait does. It returns ErrAgain if
	// nothing has arrived.
	ReadNow(b *buffer.Buffer) (*buffer.Buffer, error)

	// HoldsInput reports whether bytes have arrived that the transport has taken from
	// the system and not given out. The caller is the reader.
	HoldsInput() bool

	// Writer returns the value whose Write is called. A call through an embedded Conn
	// takes more of the goroutine's stack, which must not grow for it.
	Writer() net.Conn
	// Vectored reports whether Writev leaves in one system call.
	Vectored() bool
	Writev(head, body []byte) (int64, error)
	// WriteAll writes all of b, in one call if that is possible.
	WriteAll(b *Backlog) (int, error)
	// Offer writes as much of b as is possible without waiting, 0 bytes if the
	// transport cannot know that. With shared it may keep b, which will not change. A
	// transport that queues what the kernel does not take queues no more than limit
	// bytes: else it returns an error that says so, and has taken nothing.
	Offer(b []byte, shared bool, limit int) (int, error)
	// WriteNow writes as much of b as is possible without waiting, and returns how many
	// bytes that was. Where the transport cannot know that, it writes nothing; but with
	// last, as the transport is closed afterwards, it writes all that the peer takes
	// within EndWait.
	WriteNow(b *Backlog, last bool) (int, error)
	// Drain waits until the kernel, or what stands in its place, has taken all that was
	// written, or until the end.
	Drain() error
	// Resumable reports whether writing may go on behind the last byte of a write
	// that timed out.
	Resumable() bool
	// Exact reports whether a write that failed tells how much may have arrived.
	Exact() bool

	// CloseWrite tells the peer that nothing more will come, where the
	// transport can tell that apart from closing.
	CloseWrite()
	// Terminate closes the transport; with abort nothing is waited for.
	Terminate(abort bool)

	// Probe reports what can be seen of the connection without waiting.
	Probe(Ask) State
	// LimitUnsent limits the bytes that the system takes and cannot send yet. The error
	// wraps errors.ErrUnsupported if there is no socket that can be reached.
	LimitUnsent(n int) error
}

// ErrAgain is returned by reading methods where they would have to wait. It is
// temporary, so crypto/tls can be called again after it.
var ErrAgain error = again{}

type again struct{}

func (again) Error() string { return "websocket: no input yet" }

func (again) Timeout() bool { return true }

func (again) Temporary() bool { return true }

// New returns the transport on nc, which has deadlines from here on.
func New(nc net.Conn) Conn {
	if p, ok := nc.(*Pollable); ok { // not under TLS
		nc = p.Get()
	}
	nc = WithDeadlines(nc)
	switch nc := nc.(type) {
	// Only the types themselves: a type that wraps them may do more on Read than its
	// descriptor shows.
	case *net.TCPConn:
		if t := newSocket(nc, nc); t != nil {
			return t
		}
	case *net.UnixConn:
		if t := newSocket(nc, nc); t != nil {
			return t
		}
	case *bufpipe.Conn, *pump.Conn:
		return &stream{Conn: nc, whole: true}
	}
	return &stream{Conn: nc}
}

// probe probes nc or, under TLS, the connection below: an incomplete record is a sign
// of life too.
func probe(nc net.Conn, ask Ask) State {
	switch nc := beneath(nc).(type) {
	case *bufpipe.Conn:
		return probePipe(nc)
	case *pump.Conn:
		return probePump(nc)
	case syscall.Conn:
		if !canPoll && ask&AskPeer == 0 {
			break // SyscallConn allocates
		}
		if rc, err := nc.SyscallConn(); err == nil {
			return probeSocket(rc, ask)
		}
	}
	return State{}
}

// Under returns the connection that t, which is from New, is on. It returns nil for
// another transport.
func Under(t Conn) net.Conn {
	if t, ok := t.(interface{ under() net.Conn }); ok {
		return t.under()
	}
	return nil
}

// Abort closes nc and waits for nothing. tls.Conn.Close writes a record, which may
// have to wait for room, so the connection under it is closed. A pump's Close waits
// for the write under way, so there it is Abort.
func Abort(nc net.Conn) {
	if p, ok := nc.(*pump.Conn); ok {
		p.Abort()
		return
	}
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		over.NetConn().Close()
		return
	}
	nc.Close()
}

// CloseWrite ends the writing half of nc, where it has such a method.
func CloseWrite(nc net.Conn) {
	if nc, ok := nc.(interface{ CloseWrite() error }); ok {
		// tls.Conn.CloseWrite writes a record.
		nc.(net.Conn).SetWriteDeadline(time.Now().Add(time.Second))
		nc.CloseWrite()
	}
}

// Past is a deadline that ends a blocked call on the transport at once.
var Past = time.Unix(1, 0)

// EndWait is how often the end of a connection checks a write under way, and how
// long such a write may take on a transport that cannot say whether it has room.
const EndWait = 20 * time.Millisecond

// endPatience is how long the end of a connection waits for a write that has room, or
// was interrupted. Nothing but a busy system keeps such a write from ending.
const endPatience = 5 * time.Second
