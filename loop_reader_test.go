package websocket

import (
	"context"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// The behaviour tests read by what reads returns: the connection itself or, if
// it is on a loop, what its events are turned into.

type reader interface {
	Read(ctx context.Context) (MessageType, []byte, error)
}

func reads(c *Conn) reader {
	if r, ok := loopReaders.Load(c); ok {
		return r.(*loopReader)
	}
	return c
}

var loopReaders sync.Map // of *loopReader by *Conn

type loopReader = wstest.LoopReader[*Conn, MessageType]

// readOnLoop attaches c to l, to be read by reads(c).
func readOnLoop(t testing.TB, l *Loop, c *Conn) {
	t.Helper()
	t.Cleanup(func() { loopReaders.Delete(c) })
	loopReaders.Store(c, wstest.ReadOnLoop(t, c, func(r *loopReader) error { return l.Attach(c, r) }))
}

// atWork reports whether somebody reads from c, as a loop always does.
func atWork(c *Conn) bool { return c.in.readLock.onLoop() || c.in.readLock.busy() }

// TestReadOnLoop: every reading method of a connection that a loop reads
// returns an error, and does no harm.
func TestReadOnLoop(t *testing.T) {
	for _, tr := range loopTransports {
		t.Run(tr.name, func(t *testing.T) {
			l := newTestLoop(t, 1)
			a, b := tr.pair(t)
			client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
			defer client.CloseNow()
			c := newConn(b, connConfig{opts: Options{}.withDefaults()})
			readOnLoop(t, l, c)
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() { // at any moment
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						c.Read(bg)
					}
				}
			}()
			check := func(want error) {
				t.Helper()
				_, dst, err := c.ReadAppend(bg, []byte("dst"))
				if string(dst) != "dst" {
					t.Errorf("ReadAppend returns %q", dst)
				}
				errs := map[string]error{
					"Read":       third(c.Read(bg)),
					"ReadAppend": err,
					"Reader":     third(c.Reader(bg)),
					"NetConn":    second(c.NetConn(bg, Binary).Read(make([]byte, 1))),
				}
				for _, err := range c.Messages(bg) {
					errs["Messages"] = err
				}
				for name, err := range errs {
					if err != want {
						t.Errorf("%s: %v, want %v", name, err, want)
					}
				}
			}
			for i := range 100 {
				check(errOnLoop)
				if err := client.Write(bg, Text, []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
				if _, p, err := reads(c).Read(bg); err != nil || p[0] != byte(i) {
					t.Fatalf("%q, %v", p, err)
				}
			}
			close(stop)
			<-stopped
			client.Close(4000, "")
			_, _, err := reads(c).Read(bg)
			if CloseCode(err) != 4000 {
				t.Error(err)
			}
			check(err)
		})
	}
}
