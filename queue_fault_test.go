package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// TestPingsAnsweredTogether: one pong answers all pings before it, in whichever order
// they were queued, and also if nobody waits for the last one any more.
func TestPingsAnsweredTogether(t *testing.T) {
	s, c, peer := newShut(t, false)
	go c.Write(bg, Binary, nil)
	until(t, "it writes", func() bool { return busy(c) })
	first := make(chan error, 1)
	go func() {
		_, err := c.Ping(bg)
		first <- err
	}()
	until(t, "the ping is queued", func() bool { return c.Buffered() > 2 })
	ctx, cancel := context.WithCancel(bg)
	second := make(chan error, 1)
	go func() {
		_, err := c.Ping(ctx)
		second <- err
	}()
	until(t, "another one, too", func() bool {
		c.life.mu.Lock()
		defer c.life.mu.Unlock()
		ps := c.life.pingsLocked()
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		return len(ps.list) == 2 && c.out.queue.control.pingID == ps.newest
	})
	newest := c.out.queue.control.pingID
	c.queuePing(newest - 1) // a call that was overtaken
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(s.open)
	r := frameReader{nc: peer}
	for {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Opcode == OpPing {
			if id := binary.BigEndian.Uint64([]byte(f.payload)); id != newest {
				t.Errorf("ping %d instead of %d", id, newest)
			}
			peer.Write(frame(OpPong, true, true, f.payload))
			break
		}
	}
	if err := mustReceive(t, first); err != nil {
		t.Error(err)
	}
}

// TestPingBehindCloseFrame: a ping that comes too late for the close frame is refused.
func TestPingBehindCloseFrame(t *testing.T) {
	_, c, _ := newPipeConn(t)
	if err := c.closeWriteHalf(); err != nil {
		t.Fatal(err)
	}
	if c.queuePing(1) {
		t.Error("it was queued")
	}
}

// TestSendBehindUnbegunWriter: what waits behind a message of which nothing has left
// leaves ahead of the close frame, and nothing behind that.
func TestSendBehindUnbegunWriter(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		w, err := c.Writer(bg, Binary)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(Binary, []byte("behind it")); err != nil {
			t.Fatal(err)
		}
		if err := c.closeWriteHalf(); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != errWriteClosed {
			t.Error(err)
		}
		r := frameReader{nc: peer}
		for _, op := range []Opcode{OpBinary, OpClose} {
			if f, err := r.next(); err != nil || f.Opcode != op {
				t.Fatal(f, err)
			}
		}
	})
}

// TestNothingBehindCloseFrame: a message that was refused in its first fragment has
// ended after the close frame has left.
func TestNothingBehindCloseFrame(t *testing.T) {
	_, c, _ := newPipeConn(t)
	w, err := c.Writer(bg, Binary)
	if err != nil {
		t.Fatal(err)
	}
	o := &c.out
	o.lock()
	defer o.unlock()
	o.sender.open = true // as after a fragment that did not leave
	if err := c.enqueueLocked(&outFrame{op: OpBinary, fin: true, p: []byte("behind it")}); err != nil {
		t.Fatal(err)
	}
	o.closed = true // and the frame is not in the queue any more
	o.endStreamLocked(w.(*messageWriter), false)
	if n := c.bufferedLocked(); n != 0 {
		t.Errorf("%d bytes are about to leave", n)
	}
}

// TestCoalescedByABrokenWrite: the writer of a coalesced message is told what
// became of that: that it was given up, and that it may have arrived if that cannot
// be known.
func TestCoalescedByABrokenWrite(t *testing.T) {
	for _, exact := range []bool{false, true} {
		s, c, _ := newShut(t, false)
		setWhole(c, exact)
		errs := make(chan error, 2)
		o := &c.out
		o.lock() // so that both are queued
		o.write.set(true)
		o.unlock()
		for range 2 {
			go func() { errs <- c.Write(bg, Binary, []byte("x")) }()
		}
		until(t, "both wait", func() bool { return waiters(c) == 2 })
		o.lock()
		c.releaseLocked(0, nil)
		o.unlock()
		until(t, "one writes for both", func() bool {
			o.lock()
			defer o.unlock()
			return o.queue != nil && len(o.queue.coalesced) == 1
		})
		c.breakWrite(net.ErrClosed)
		s.SetWriteDeadline(transport.Past)
		for range 2 {
			switch err := mustReceive(t, errs); {
			case err == nil:
				t.Error("it was told that its message has left")
			case errors.Is(err, ErrMaybeSent) == exact:
				t.Errorf("exact %v: %v", exact, err)
			}
		}
	}
}

// TestSendAfterTheEnd: a Send that finds its writing half ended before it can queue
// what is left is told.
func TestSendAfterTheEnd(t *testing.T) {
	_, c, _ := newShut(t, false)
	if !c.out.write.acquire(0) {
		t.Fatal("the write lock is held")
	}
	c.breakWrite(net.ErrClosed)
	if err := c.sendOwned(&outFrame{op: OpBinary, fin: true, p: []byte("x")}, true); err == nil {
		t.Error("it was accepted")
	}
}

// TestCoalescedIsTakenBackToNothing: messages coalesced with a write that is taken back
// after the writing half has ended are told.
func TestCoalescedIsTakenBackToNothing(t *testing.T) {
	_, c, _ := newShut(t, false)
	o := &c.out
	o.lock()
	o.write.set(true)
	o.unlock()
	joined := make(chan error, 1)
	go func() { joined <- c.Write(bg, Binary, []byte("x")) }()
	until(t, "it waits", func() bool { return waiters(c) == 1 })
	o.lock()
	ahead := c.takeLocked(0)
	o.unlock()
	c.breakWrite(net.ErrClosed)
	c.abandonWrite(ahead)
	if err := mustReceive(t, joined); err == nil {
		t.Error("it was told that its message has left")
	}
	if n := c.Buffered(); n != 0 {
		t.Errorf("%d bytes are buffered", n)
	}
}

// TestCloseFrameIsQueuedWithItsState: a CloseNow as soon as the connection says that
// the peer has closed it gives the answer to the transport.
func TestCloseFrameIsQueuedWithItsState(t *testing.T) {
	rounds := 300
	for range rounds {
		_, c, peer := newPipeConn(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-c.Context().Done()
			c.CloseNow()
		}()
		go c.Read(bg)
		peer.Write(closeFrame(true, StatusNormalClosure, ""))
		peer.SetReadDeadline(time.Now().Add(10 * time.Second))
		r := frameReader{nc: peer}
		if f, err := r.next(); err != nil || f.Opcode != OpClose {
			t.Fatal(f, err)
		}
		<-done
	}
}

func newPipeConn(t *testing.T) (nc net.Conn, c *Conn, peer net.Conn) {
	nc, peer = transports[0].pair(t)
	c = newConn(nc, connConfig{opts: Options{}.withDefaults()})
	t.Cleanup(func() {
		c.CloseNow()
		peer.Close()
	})
	return nc, c, peer
}

// TestWriterGivenUpLetsOthersBegin: a message that was given up before its first
// fragment does not keep others waiting.
func TestWriterGivenUpLetsOthersBegin(t *testing.T) {
	_, c, _ := newPipeConn(t)
	ctx, cancel := context.WithCancel(bg)
	w, err := c.Writer(ctx, Binary)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- c.Write(bg, Binary, []byte("x")) }()
	until(t, "it waits", func() bool { return waiters(c) == 1 })
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := mustReceive(t, written); err != nil {
		t.Error(err)
	}
}

// TestInputEndsDuringAWrite: the connection ends when the write does, though nothing
// is queued then.
func TestInputEndsDuringAWrite(t *testing.T) {
	nc, peer := transports[0].pair(t)
	defer peer.Close()
	c := newConn(nc, connConfig{opts: Options{CloseTimeout: time.Hour}.withDefaults()})
	defer c.CloseNow()
	if !c.out.write.acquire(0) {
		t.Fatal("the write lock is held")
	}
	peer.Close()
	c.Read(bg)
	c.abandonWrite(nil)
	mustReceive(t, c.ended())
}

// TestEndWaitsForLateWriter: CloseNow meets a goroutine that has the write lock and
// has not begun to write. The peer has room, so the message arrives.
func TestEndWaitsForLateWriter(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c, peer := k.raw(t, false, Options{PingInterval: -1})
			c.out.lock()
			c.out.write.set(true)
			c.out.unlock()
			closed := make(chan error, 1)
			go func() { closed <- c.CloseNow() }()
			until(t, "the end waits", func() bool {
				c.out.lock()
				defer c.out.unlock()
				return c.out.queue != nil && len(c.out.queue.waiting) > 0
			})
			time.Sleep(5 * transport.EndWait) // what a busy system does
			f := outFrame{op: OpText, fin: true, p: []byte("late")}
			var h Header
			c.header(&h, &f)
			n, err := c.currentTransport().Write(f.append(nil, &h))
			if err != nil {
				t.Error(err)
			}
			if err := c.endWrite(bg, nil, n, &f, err); err != nil {
				t.Error(err)
			}
			if f, err := (&frameReader{nc: peer}).next(); f.payload != "late" || err != nil {
				t.Errorf("the peer got %q, %v", f.payload, err)
			}
			if err := mustReceive(t, closed); err != nil {
				t.Error(err)
			}
		})
	}
}

// lateConn is a TCP connection whose writes begin late.
type lateConn struct{ *net.TCPConn }

func (c lateConn) Write(p []byte) (int, error) {
	time.Sleep(5 * transport.EndWait)
	return c.TCPConn.Write(p)
}

// TestEndWritesLate: what is queued at the end leaves under TLS, where the peer has
// room, also if the write begins late.
func TestEndWritesLate(t *testing.T) {
	t.Parallel()
	a, b := tcpPair(t)
	client, server := tlsOver(t, a, lateConn{b.(*net.TCPConn)})
	defer client.Close()
	c := newConn(server, connConfig{opts: Options{PingInterval: -1}.withDefaults()})
	c.out.lock()
	c.coalesceLocked(outFrame{op: OpText, fin: true, p: []byte("pending")})
	c.out.unlock()
	c.CloseNow()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if f, err := (&frameReader{nc: client}).next(); f.payload != "pending" || err != nil {
		t.Errorf("the peer got %q, %v", f.payload, err)
	}
}

// deafConn is a connection of a foreign package that ignores deadlines and whose
// writes last until it is closed.
type deafConn struct {
	net.Conn
	begun  chan struct{}
	closed context.Context
	close  context.CancelFunc
}

func (c *deafConn) Write([]byte) (int, error) {
	close(c.begun)
	<-c.closed.Done()
	return 0, net.ErrClosed
}

func (c *deafConn) SetWriteDeadline(time.Time) error { return nil }

func (c *deafConn) Close() error {
	c.close()
	return c.Conn.Close()
}

// TestEndOfDeafTransport: CloseNow does not wait long for a write that nothing
// interrupts.
func TestEndOfDeafTransport(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	closed, cancel := context.WithCancel(bg)
	deaf := &deafConn{wstest.Opaque{Conn: b}, make(chan struct{}), closed, cancel}
	c := newConn(deaf, connConfig{opts: Options{PingInterval: -1}.withDefaults()})
	written := make(chan error, 1)
	go func() { written <- c.Write(bg, Text, []byte("x")) }()
	<-deaf.begun
	c.CloseNow()
	if err := mustReceive(t, written); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if n, err := a.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Error(n, err)
	}
}
