package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/pump"
)

// TestReads: bytes arrive in a buffer of the pool, whether or not they were waited
// for, and the end is an error without a buffer.
func TestReads(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		if b, err := c.ReadNow(nil); err != ErrAgain || b != nil {
			t.Errorf("nothing has arrived: %v, %v", b, err)
		}
		c.SetReadDeadline(time.Time{})
		var got []byte
		take := func(b *buffer.Buffer, err error) *buffer.Buffer {
			t.Helper()
			if err != nil || b.Len() == 0 {
				t.Fatalf("%d bytes, %v", b.Len(), err)
			}
			got = append(got, b.B...)
			return b
		}
		want := pattern(40_000)
		send(t, peer, want[:10])
		b := take(c.Wait(nil, true))
		send(t, peer, want[10:100])
		for len(got) < 100 {
			b = take(c.Wait(b, true))
		}
		send(t, peer, want[100:])
		for len(got) < len(want) {
			b = take(c.Wait(b, false))
		}
		send(t, peer, []byte("now"))
		want = append(want, "now"...)
		for len(got) < len(want) {
			var err error
			if b, err = c.ReadNow(b); err == ErrAgain { // on its way
				time.Sleep(time.Millisecond)
				continue
			}
			b = take(b, err)
		}
		if !bytes.Equal(got, want) {
			t.Error("something else was read")
		}
		c.SetReadDeadline(time.Now().Add(20 * time.Second)) // ReadNow has set its own
		peer.Close()
		if b, err := c.Wait(b, true); err != io.EOF || b != nil {
			t.Errorf("at the end: %v, %v", b, err)
		}
	})
}

func send(t *testing.T, nc net.Conn, p []byte) {
	t.Helper()
	if _, err := nc.Write(p); err != nil {
		t.Error(err)
	}
}

// TestWrites: each way to write brings all bytes to the peer, in order.
func TestWrites(t *testing.T) {
	backlog := func(c Conn, p []byte, size int) (int64, error) {
		l := GetBacklog()
		defer PutBacklog(l)
		for part := range slices.Chunk(p, size) {
			l.Share(part)
		}
		n, err := c.WriteAll(l)
		return int64(n), err
	}
	for name, write := range map[string]func(c Conn, p []byte) (int64, error){
		"Write": func(c Conn, p []byte) (int64, error) {
			n, err := c.Writer().Write(p)
			return int64(n), err
		},
		"Writev":     func(c Conn, p []byte) (int64, error) { return c.Writev(p[:3], p[3:]) },
		"one part":   func(c Conn, p []byte) (int64, error) { return backlog(c, p, len(p)) },
		"many parts": func(c Conn, p []byte) (int64, error) { return backlog(c, p, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
				for _, size := range []int{50, 3*longWrite + 5} {
					p := pattern(size)
					wrote := make(chan error, 1)
					go func() {
						n, err := write(c, p)
						if err == nil && n != int64(size) {
							err = fmt.Errorf("%d bytes were written", n)
						}
						wrote <- err
					}()
					got := make([]byte, size)
					if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, p) {
						t.Errorf("%d bytes: something else has arrived, or %v", size, err)
					}
					if err := <-wrote; err != nil {
						t.Errorf("%d bytes: %v", size, err)
					}
				}
			})
		})
	}
}

// TestCloseWrite: the peer sees the end, and what it then sends still arrives.
func TestCloseWrite(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		if !k.halfCloses {
			t.Skip("it has no half-close")
		}
		c.CloseWrite()
		if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the peer reads %d bytes, %v", n, err)
		}
		send(t, peer, []byte("still"))
		if b, err := c.Wait(nil, false); err != nil || string(b.B) != "still" {
			t.Errorf("%v, %v", b, err)
		}
	})
}

// TestWritesThatDoNotWait: Offer and WriteNow write what there is room for, while
// the peer reads nothing, and say how much that was.
func TestWritesThatDoNotWait(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		const each = 1000
		total := 0
		for n, i := each, 0; n == each && i < 100_000; i++ {
			var err error
			if n, err = c.Offer(pattern(each), false, 0); err != nil {
				t.Fatal(err)
			}
			total += n
		}
		for n := each; n == each; {
			l := GetBacklog()
			l.Copy(pattern(each))
			var err error
			if n, err = c.WriteNow(l, false); err != nil {
				t.Fatal(err)
			}
			PutBacklog(l)
			total += n
		}
		if k.sees != (total > 0) {
			t.Errorf("%d bytes were written", total)
		}
		if k.sees && !Blocked(c) {
			t.Error("there is still room")
		}
		got := make([]byte, total)
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Error(err)
		}
		until(t, "there is room", func() bool { return !Blocked(c) })
		l := GetBacklog() // now the last bytes, which every transport takes
		defer PutBacklog(l)
		l.Copy([]byte("last"))
		if n, err := c.WriteNow(l, true); n != 4 || err != nil {
			t.Errorf("the last bytes: %d, %v", n, err)
		}
		last := make([]byte, 4)
		if _, err := io.ReadFull(peer, last); string(last) != "last" || err != nil {
			t.Errorf("the peer has read %q, %v", last, err)
		}
	})
}

// TestLastWriteEnds: the last write gives up a peer that takes nothing, and says how
// much it has taken.
func TestLastWriteEnds(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		l := GetBacklog()
		defer PutBacklog(l)
		all := pattern(16 << 20)
		l.Share(all)
		begin := time.Now()
		n, _ := c.WriteNow(l, true)
		if d := time.Since(begin); d > 2*endPatience {
			t.Errorf("it took %v", d)
		}
		if n >= len(all) {
			t.Errorf("%d bytes were written", n)
		}
		c.Terminate(true)
		got, _ := io.ReadAll(peer) // an error, if a record of TLS was cut off
		if len(got) > len(all) || !bytes.Equal(got, all[:len(got)]) {
			t.Error("something else has arrived")
		}
	})
}

// TestProbe: what can be seen of an idle connection, of unread input, of bytes that
// the peer has not taken, and of the end.
func TestProbe(t *testing.T) {
	is := func(k kind, yes bool) Answer {
		if !k.sees {
			return Unknown
		}
		return answer(yes)
	}
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		if st := c.Probe(AskInput | AskRoom); st.Room != is(k, true) || k.name != "tls" && st.Readable != is(k, false) { // TLS may have got a ticket
			t.Errorf("idle: %+v", st)
		}
		wait, bound := false, endPatience
		if _, pumped := Under(c).(*pump.Conn); !k.sees && !pumped { // a pump knows of its own calls
			wait, bound = true, 10*EndWait
		}
		if MayWait(c) != wait || EndBound(c) != bound {
			t.Errorf("idle: it may wait: %v, for %v at the end", MayWait(c), EndBound(c))
		}
		before := c.Probe(AskPeer)
		if before.Ended || before.Full || before.Visible != k.sees {
			t.Errorf("idle: %+v", before)
		}
		send(t, peer, []byte("unread"))
		if k.sees {
			until(t, "unread input is seen", func() bool {
				st := c.Probe(AskPeer | AskInput)
				return st.Readable == Yes && st.Unread && st.Input > before.Input
			})
			if n, err := c.Write(pattern(1000)); n != 1000 || err != nil {
				t.Fatal(n, err)
			}
			if st := c.Probe(AskPeer); st.System && !st.Counted && st.Unacked == 0 {
				t.Errorf("1000 bytes are with the system: %+v", st)
			}
		}
		peer.Close()
		if k.sees {
			until(t, "the end is seen", func() bool {
				st := c.Probe(AskPeer | AskInput)
				return st.Readable == Yes && (st.Ended || st.Unread)
			})
		}
	})
}

// TestProgress: of a long write the pieces that were taken are counted, where the
// system does not do that.
func TestProgress(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		if c.Probe(AskPeer).Counted {
			t.Skip("the system counts")
		}
		wrote := make(chan error, 1)
		size := 256 * longWrite // more than the systems of both ends take
		go func() {
			_, err := c.Writer().Write(pattern(size))
			wrote <- err
		}()
		last := int64(0)
		for i := range 8 {
			if _, err := io.ReadFull(peer, make([]byte, longWrite)); err != nil {
				t.Fatal(err)
			}
			until(t, "progress", func() bool { return c.Probe(AskPeer).Acked >= int64(i)*longWrite })
			if st := c.Probe(AskPeer); st.Acked < last {
				t.Errorf("%d bytes, after %d", st.Acked, last)
			} else {
				last = st.Acked
			}
		}
		if _, err := io.ReadFull(peer, make([]byte, size-8*longWrite)); err != nil {
			t.Fatal(err)
		}
		if err := <-wrote; err != nil {
			t.Error(err)
		}
		if st := c.Probe(AskPeer); st.Acked != 0 {
			t.Errorf("after the write: %d", st.Acked)
		}
	})
}

// TestInterrupted: a deadline interrupts a write that waits, and what the transport
// promises of such a write holds.
func TestInterrupted(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		all := pattern(16 << 20)
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := c.Writer().Write(all)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n >= len(all) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if c.Resumable() != k.resumable {
			t.Errorf("resumable: %v", c.Resumable())
		}
		if !c.Resumable() {
			return
		}
		if !c.Exact() {
			t.Error("resumable, and not exact")
		}
		c.SetWriteDeadline(time.Time{})
		go func() {
			if m, err := c.Writer().Write(all[n:]); n+m != len(all) || err != nil {
				t.Errorf("the rest: %d of %d bytes, %v", n+m, len(all), err)
			}
		}()
		got := make([]byte, len(all))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, all) {
			t.Errorf("something else has arrived, or %v", err)
		}
	})
}

// TestTerminate: with abort nothing is waited for, though the peer takes nothing;
// the calls under way end.
func TestTerminate(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		ended := make(chan error, 2)
		go func() {
			_, err := c.Wait(nil, true)
			ended <- err
		}()
		go func() {
			_, err := c.Writer().Write(pattern(16 << 20))
			ended <- err
		}()
		time.Sleep(20 * time.Millisecond) // most of the time both wait by then
		begin := time.Now()
		c.Terminate(true)
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("no error")
			}
		}
		if d := time.Since(begin); d > endPatience {
			t.Errorf("it took %v", d)
		}
		if err := c.Drain(); err != nil {
			t.Error(err)
		}
	})
}

// TestAbortPump: closing a pump would wait for its write.
func TestAbortPump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, peer := barePair(t)
		defer peer.Close()
		c := New(nc)
		ended := make(chan error)
		go func() {
			_, err := c.Writer().Write(pattern(16 << 20))
			ended <- err
		}()
		synctest.Wait()
		begin := time.Now()
		c.Terminate(true)
		if d := time.Since(begin); d != 0 {
			t.Errorf("it took %v", d)
		}
		if err := <-ended; err == nil {
			t.Error("the write has succeeded")
		}
	})
}

// TestPollable: a socket can be replaced under TLS, and alone it is a socket.
func TestPollable(t *testing.T) {
	a, b := tcpPair(t)
	defer b.Close()
	p := NewPollable(a).(*Pollable)
	if c := New(p); Under(c) != a {
		t.Errorf("the transport is on %T", Under(c))
	}
	c, d := tcpPair(t)
	defer d.Close()
	p.Set(c)
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection before: %v", err)
	}
	go p.Write([]byte("x"))
	if n, err := d.Read(make([]byte, 1)); n != 1 || err != nil || p.Get() != c {
		t.Errorf("%d, %v", n, err)
	}
	p.Close()
	pipe, _ := bufpipe.New(1)
	if NewPollable(pipe) != net.Conn(pipe) {
		t.Error("what is no socket cannot be watched")
	}
}

// TestLimitUnsent: there must be a socket.
func TestLimitUnsent(t *testing.T) {
	overKinds(t, func(t *testing.T, k kind, c Conn, peer net.Conn) {
		err := c.LimitUnsent(4096)
		_, socket := beneath(Under(c)).(syscall.Conn)
		if socket && err != nil || !socket && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	})
}

// TestDeadlinesByType: the connections that almost everybody has are not asked, and
// one that has none gets one pump.
func TestDeadlinesByType(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, b := k.pair(t)
			defer b.Close()
			_, none := a.(noDeadlines)
			p := WithDeadlines(a)
			if _, pumped := p.(*pump.Conn); pumped != none {
				t.Errorf("it is %T", p)
			}
			if WithDeadlines(p) != p || Unpumped(p) != a {
				t.Errorf("%T, under %T, and another one", p, Unpumped(p))
			}
			p.Close()
			if !none && k.name != "foreign" && WithDeadlines(a) != a {
				t.Error("it was asked, and has said that it is closed")
			}
		})
	}
}
