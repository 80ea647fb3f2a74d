package websocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// bubble runs f in a synctest bubble with a server's Conn whose peer is bare.
func bubble(t *testing.T, opts Options, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(pipeSize)
		c := newConn(a, connConfig{opts: opts.withDefaults()})
		defer c.CloseNow()
		defer b.Close()
		f(t, c, b)
	})
}

func TestKeepaliveFindsDeadPeer(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("reads=%v", reads), func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
				start := time.Now()
				frames := make(chan rawFrame, 10)
				go func() {
					r := &frameReader{nc: peer}
					for {
						f, err := r.next()
						if err != nil {
							return
						}
						frames <- f
					}
				}()
				if reads {
					go c.Read(bg)
				}
				if f := <-frames; f.Opcode != OpPing || time.Since(start) != 30*time.Second {
					t.Errorf("after %v: %+v", time.Since(start), f)
				}
				<-c.Context().Done()
				if d := time.Since(start); d != 60*time.Second {
					t.Errorf("given up after %v", d)
				}
				err := context.Cause(c.Context())
				if !errors.Is(err, ErrDead) || CloseCode(err) != StatusAbnormalClosure {
					t.Error(err)
				}
			})
		})
	}
}

// TestKeepaliveKeepsAlive lets three hours pass on connections whose peer is
// there, in every way of using them.
func TestKeepaliveKeepsAlive(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(ctx context.Context, client, server *Conn)
	}{
		{"both read", func(ctx context.Context, client, server *Conn) {
			go client.Read(ctx)
			go server.Read(ctx)
		}},
		{"nobody reads", func(ctx context.Context, client, server *Conn) {}},
		{"one only writes", func(ctx context.Context, client, server *Conn) {
			go func() {
				for third(client.Read(ctx)) == nil {
				}
			}()
			go func() {
				for server.Write(ctx, Text, []byte("tick")) == nil {
					time.Sleep(time.Second)
				}
			}()
		}},
		{"reads now and then", func(ctx context.Context, client, server *Conn) {
			go func() {
				for ctx.Err() == nil {
					c, cancel := context.WithTimeout(ctx, time.Second)
					client.Read(c)
					cancel()
					time.Sleep(47 * time.Second)
				}
			}()
		}},
		{"a message that nobody takes", func(ctx context.Context, client, server *Conn) {
			client.Write(ctx, Text, []byte("x"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := Pipe()
				ctx, cancel := context.WithCancel(bg)
				tt.use(ctx, client, server)
				time.Sleep(3 * time.Hour)
				for _, c := range []*Conn{client, server} {
					if err := context.Cause(c.Context()); err != nil {
						t.Error(err)
					}
				}
				cancel()
				client.CloseNow()
				server.CloseNow()
				time.Sleep(time.Minute) // for the users to notice
			})
		})
	}
}

// TestKeepaliveIsQuiet: a peer that speaks needs no ping.
func TestKeepaliveIsQuiet(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go func() {
			for {
				if _, _, err := c.Read(bg); err != nil {
					return
				}
			}
		}()
		for range 100 {
			time.Sleep(29 * time.Second)
			peer.Write(frame(OpText, true, true, "x"))
		}
		if n := c.Stats().BytesWritten; n != 0 {
			t.Errorf("%d bytes were written", n)
		}
	})
}

// TestKeepaliveInterval: what load balancers see is never silent for longer
// than the ping interval, be the pong timeout shorter or longer.
func TestKeepaliveInterval(t *testing.T) {
	for _, timeout := range []time.Duration{-1, time.Second, 5 * time.Second, 30 * time.Second, time.Hour} {
		bubble(t, Options{PingInterval: 5 * time.Second, PongTimeout: timeout}, func(t *testing.T, c *Conn, peer net.Conn) {
			go c.Read(bg)
			r := &frameReader{nc: peer}
			last := time.Now()
			for range 100 {
				f, err := r.next()
				if err != nil || f.Opcode != OpPing || time.Since(last) != 5*time.Second {
					t.Fatalf("timeout %v: %+v, %v after %v", timeout, f, err, time.Since(last))
				}
				last = time.Now()
				peer.Write(frame(OpPong, true, true, f.payload))
				synctest.Wait()
			}
		})
	}
}

func TestKeepaliveOff(t *testing.T) {
	bubble(t, Options{PingInterval: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
		time.Sleep(24 * time.Hour)
		if n := c.Stats().BytesWritten; n != 0 || c.Context().Err() != nil {
			t.Errorf("%d bytes were written, %v", n, context.Cause(c.Context()))
		}
	})
	bubble(t, Options{PongTimeout: -1}, func(t *testing.T, c *Conn, peer net.Conn) {
		time.Sleep(time.Hour + time.Second)
		if n := c.Stats().BytesWritten; n != 120*10 || c.Context().Err() != nil {
			t.Errorf("%d bytes were written, %v", n, context.Cause(c.Context()))
		}
	})
}

// delayed is a transport that takes its time.
type delayed struct {
	net.Conn
	by time.Duration
}

func (d delayed) Write(p []byte) (int, error) {
	time.Sleep(d.by)
	return d.Conn.Write(p)
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(pipeSize)
		client := newConn(delayed{a, 70 * time.Millisecond}, connConfig{client: true, opts: Options{}.withDefaults()})
		server := newConn(delayed{b, 30 * time.Millisecond}, connConfig{opts: Options{}.withDefaults()})
		defer client.CloseNow()
		defer server.CloseNow()
		go server.Read(bg)
		if client.RTT() != 0 {
			t.Error("RTT before any ping")
		}
		for _, reading := range []bool{false, true, true} {
			if reading {
				go client.Read(bg)
			}
			rtt, err := client.Ping(bg)
			if rtt != 100*time.Millisecond || err != nil || client.RTT() != rtt {
				t.Errorf("reading %v: %v, %v", reading, rtt, err)
			}
		}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := client.Ping(bg); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // for the last write to return
	})
}

// TestPingWhileReadsComeAndGo: the reader that a Ping found leaves, others
// come and go.
func TestPingWhileReadsComeAndGo(t *testing.T) {
	overBlockingRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go c.Read(ctx)
		until(t, "reader at work", c.in.readLock.busy)
		pong := make(chan error, 1)
		go func() { pong <- second(c.Ping(bg)) }()
		f, err := (&frameReader{nc: peer}).next()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		until(t, "reader gone", func() bool { return !c.in.readLock.busy() })
		for range 3 {
			short, cancel := context.WithTimeout(bg, time.Millisecond)
			if _, _, err := c.Read(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			cancel()
		}
		peer.Write(frame(OpPong, true, true, f.payload))
		if err := <-pong; err != nil {
			t.Error(err)
		}
		peer.Write(frame(OpText, true, true, "x"))
		if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

func TestPongsThatAnswerNothing(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go c.Read(bg)
		r := &frameReader{nc: peer}
		errs := make(chan error, 2)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		go func() { errs <- second(c.Ping(ctx)) }()
		first, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		id := binary.BigEndian.Uint64([]byte(first.payload))
		peer.Write(frame(OpPong, true, true, ""))
		peer.Write(frame(OpPong, true, true, "surprise"))
		peer.Write(frame(OpPong, true, true, string(binary.BigEndian.AppendUint64(nil, id+1))))
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// "A Pong frame for only the most recently processed Ping" answers
		// the ones before it too.
		go func() { errs <- second(c.Ping(bg)) }()
		synctest.Wait()
		go func() { errs <- second(c.Ping(bg)) }()
		r.next()
		last, _ := r.next()
		peer.Write(frame(OpPong, true, true, last.payload))
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPongsInOrder(t *testing.T) {
	overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go echo(c)
		var wire []byte
		for i := range 10 {
			wire = append(wire, frame(OpPing, true, true, fmt.Sprint(i))...)
		}
		wire = append(wire, frame(OpText, true, true, "end")...)
		peer.Write(wire)
		r := &frameReader{nc: peer}
		for i := range 10 {
			if f, err := r.next(); err != nil || f.Opcode != OpPong || f.payload != fmt.Sprint(i) {
				t.Fatalf("frame %d: %+v, %v", i, f, err)
			}
		}
		if f, err := r.next(); err != nil || f.payload != "end" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// TestPingFlood: a peer sends pings and never reads. Reading goes on, memory
// stays bounded, and the newest pong is what it gets in the end.
func TestPingFlood(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go echo(c)
		const n = 10_000
		for i := range n {
			if _, err := peer.Write(frame(OpPing, true, true, fmt.Sprintf("%125d", i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.out.lock()
		waiting := 0
		if q := c.out.queue; q != nil {
			waiting = q.pending.Len() + cap(q.control.pongs) + cap(q.control.ping) + cap(q.control.close)
		}
		c.out.unlock()
		if waiting > 2*maxPongs*(maxControlPayload+2) {
			t.Errorf("%d bytes wait", waiting)
		}
		r := &frameReader{nc: peer}
		for last := ""; strings.TrimSpace(last) != fmt.Sprint(n-1); {
			f, err := r.next()
			if err != nil {
				t.Fatalf("after pong %q: %v", last, err)
			}
			last = f.payload
		}
	})
}
