package conntest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// Kind is a kind of connection, whose connections may be read by a loop.
type Kind struct {
	wstest.Kind
	Loop bool
}

// Kinds are all transports, with reads by calls and by a loop.
var Kinds = func() (kinds []Kind) {
	for _, k := range wstest.Transports {
		kinds = append(kinds, Kind{k, false})
	}
	for _, k := range LoopKinds {
		kinds = append(kinds, Kind{wstest.Kind{Name: "loop " + k.Name, Pair: k.Pair}, true})
	}
	return kinds
}()

// OverAll runs f with a connected pair over all of Kinds. It reads by Reads.
func OverAll(t *testing.T, opts websocket.Options, f func(t *testing.T, client, server *websocket.Conn)) {
	t.Helper()
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			a, b := k.Pair(t)
			client, server := New(t, a, true, opts), New(t, b, false, opts)
			defer client.CloseNow()
			defer server.CloseNow()
			if k.Loop {
				l := NewLoop(t, 2)
				ReadOnLoop(t, l, client)
				ReadOnLoop(t, l, server)
			}
			f(t, client, server)
		})
	}
}

// OverAllRaw runs f over all of Kinds with a connection in the given role, which it
// reads by Reads, and the bare transport of its peer.
func OverAllRaw(t *testing.T, client bool, opts websocket.Options, f func(t *testing.T, c *websocket.Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			c, peer := RawOf(t, k, client, opts)
			f(t, c, peer)
		})
	}
}

// RawOf is Raw, and has a loop read the connection if the kind says so.
func RawOf(t testing.TB, k Kind, client bool, opts websocket.Options) (c *websocket.Conn, peer net.Conn) {
	t.Helper()
	c, peer = Raw(t, k.Kind, client, opts)
	if k.Loop {
		ReadOnLoop(t, NewLoop(t, 1), c)
	}
	return c, peer
}

// Reader is a connection, or what its events on a loop are turned into.
type Reader interface {
	Read(ctx context.Context) (websocket.MessageType, []byte, error)
}

type loopReader = wstest.LoopReader[*websocket.Conn, websocket.MessageType]

var loopReaders sync.Map // of *loopReader by *websocket.Conn

// ReadOnLoop attaches c to l, to be read by Reads.
func ReadOnLoop(t testing.TB, l *websocket.Loop, c *websocket.Conn) {
	t.Helper()
	t.Cleanup(func() { loopReaders.Delete(c) })
	loopReaders.Store(c, wstest.ReadOnLoop(t, c, func(r *loopReader) error { return l.Attach(c, r) }))
}

// Reads returns the reader of c.
func Reads(c *websocket.Conn) Reader {
	if r, ok := loopReaders.Load(c); ok {
		return r.(*loopReader)
	}
	return c
}

// EchoAll echoes messages until the connection ends, and returns how it did: nil if
// the peer has closed it normally.
func EchoAll(c *websocket.Conn) error {
	r := Reads(c)
	if r != c {
		for {
			typ, p, err := r.Read(context.Background())
			var ce *websocket.CloseError
			if errors.As(err, &ce) && ce.Remote && (ce.Code == websocket.StatusNormalClosure || ce.Code == websocket.StatusGoingAway || ce.Code == websocket.StatusNoStatus) {
				return nil
			}
			if err == nil {
				err = c.Write(context.Background(), typ, p)
			}
			if err != nil {
				return err
			}
		}
	}
	for m, err := range c.Messages(context.Background()) {
		if err != nil {
			return err
		}
		if err := c.Write(context.Background(), m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}
