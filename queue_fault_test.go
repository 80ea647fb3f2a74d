package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
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
