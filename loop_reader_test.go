package websocket

import (
	"context"
	"sync"
	"testing"
	"time"
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

// atWork reports whether somebody reads from c, as a loop always does.
func atWork(c *Conn) bool { return c.in.readLock.onLoop() || c.in.readLock.busy() }

// loopReader is a handler that has its messages taken away by Read. As long as
// nobody does so it is stuck, as a connection is that nobody reads. It checks
// that events come in order, one at a time.
type loopReader struct {
	t        testing.TB
	c        *Conn
	messages chan Message
	closed   chan struct{} // by OnClose

	busy   sync.Mutex // held in every method; guards what follows
	opened bool
	ended  bool
}

// readOnLoop attaches c to l, to be read by reads(c).
func readOnLoop(t testing.TB, l *Loop, c *Conn) {
	t.Helper()
	r := &loopReader{t: t, c: c, messages: make(chan Message), closed: make(chan struct{})}
	loopReaders.Store(c, r)
	if err := l.Attach(c, r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseNow()
		select {
		case <-r.closed:
		case <-time.After(10 * time.Second):
			t.Error("OnClose was not called")
		}
		loopReaders.Delete(c)
	})
}

func (r *loopReader) enter(event string, ok func() bool) {
	if !r.busy.TryLock() {
		r.t.Errorf("%s while another method is under way", event)
		r.busy.Lock()
	}
	if !ok() {
		r.t.Errorf("%s out of order: opened %v, ended %v", event, r.opened, r.ended)
	}
}

func (r *loopReader) OnOpen(*Conn) {
	r.enter("OnOpen", func() bool { return !r.opened && !r.ended })
	defer r.busy.Unlock()
	r.opened = true
}

func (r *loopReader) OnMessage(c *Conn, typ MessageType, p []byte) {
	r.enter("OnMessage", func() bool { return r.opened && !r.ended })
	defer r.busy.Unlock()
	select {
	case r.messages <- Message{typ, append([]byte{}, p...)}:
	case <-c.Context().Done():
	}
}

func (r *loopReader) OnClose(c *Conn, err error) {
	r.enter("OnClose", func() bool { return r.opened && !r.ended })
	defer r.busy.Unlock()
	r.ended = true
	if again := third(c.Read(bg)); again != err {
		r.t.Errorf("OnClose was told %v, Read returns %v", err, again)
	}
	if cause := context.Cause(c.Context()); cause != err {
		r.t.Errorf("OnClose was told %v, the cause is %v", err, cause)
	}
	close(r.closed)
}

func (r *loopReader) Read(ctx context.Context) (MessageType, []byte, error) {
	if ctx == nil {
		return 0, nil, errNilContext
	}
	if ctx.Err() != nil {
		return 0, nil, contextError(ctx)
	}
	select {
	case m := <-r.messages:
		return m.Type, m.Data, nil
	case <-r.c.Context().Done(): // OnClose comes later, when the transport is closed
		return 0, nil, context.Cause(r.c.Context())
	case <-ctx.Done():
		return 0, nil, contextError(ctx)
	}
}

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
