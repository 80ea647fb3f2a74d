package keepalive_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// bubble runs f in a synctest bubble with a server's Conn whose peer is bare.
func bubble(t *testing.T, opts websocket.Options, f func(t *testing.T, c *websocket.Conn, peer net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(wstest.PipeSize)
		c := conntest.New(t, a, false, opts)
		defer c.CloseNow()
		defer b.Close()
		f(t, c, b)
	})
}

func TestKeepaliveFindsDeadPeer(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("reads=%v", reads), func(t *testing.T) {
			bubble(t, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
				start := time.Now()
				frames := make(chan conntest.RawFrame, 10)
				go func() {
					r := &conntest.FrameReader{NC: peer}
					for {
						f, err := r.Next()
						if err != nil {
							return
						}
						frames <- f
					}
				}()
				if reads {
					go c.Read(bg)
				}
				if f := <-frames; f.Opcode != websocket.OpPing || time.Since(start) != 30*time.Second {
					t.Errorf("after %v: %+v", time.Since(start), f)
				}
				<-c.Context().Done()
				if d := time.Since(start); d != 60*time.Second {
					t.Errorf("given up after %v", d)
				}
				err := context.Cause(c.Context())
				if !errors.Is(err, websocket.ErrDead) || websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
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
		use  func(ctx context.Context, client, server *websocket.Conn)
	}{
		{"both read", func(ctx context.Context, client, server *websocket.Conn) {
			go client.Read(ctx)
			go server.Read(ctx)
		}},
		{"nobody reads", func(ctx context.Context, client, server *websocket.Conn) {}},
		{"one only writes", func(ctx context.Context, client, server *websocket.Conn) {
			go func() {
				for wstest.Third(client.Read(ctx)) == nil {
				}
			}()
			go func() {
				for server.Write(ctx, websocket.Text, []byte("tick")) == nil {
					time.Sleep(time.Second)
				}
			}()
		}},
		{"reads now and then", func(ctx context.Context, client, server *websocket.Conn) {
			go func() {
				for ctx.Err() == nil {
					c, cancel := context.WithTimeout(ctx, time.Second)
					client.Read(c)
					cancel()
					time.Sleep(47 * time.Second)
				}
			}()
		}},
		{"a message that nobody takes", func(ctx context.Context, client, server *websocket.Conn) {
			client.Write(ctx, websocket.Text, []byte("x"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := websocket.Pipe()
				ctx, cancel := context.WithCancel(bg)
				tt.use(ctx, client, server)
				time.Sleep(3 * time.Hour)
				for _, c := range []*websocket.Conn{client, server} {
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
	bubble(t, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		go func() {
			for {
				if _, _, err := c.Read(bg); err != nil {
					return
				}
			}
		}()
		for range 100 {
			time.Sleep(29 * time.Second)
			peer.Write(conntest.Frame(websocket.OpText, true, true, "x"))
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
		bubble(t, websocket.Options{PingInterval: 5 * time.Second, PongTimeout: timeout}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
			go c.Read(bg)
			r := &conntest.FrameReader{NC: peer}
			last := time.Now()
			for range 100 {
				f, err := r.Next()
				if err != nil || f.Opcode != websocket.OpPing || time.Since(last) != 5*time.Second {
					t.Fatalf("timeout %v: %+v, %v after %v", timeout, f, err, time.Since(last))
				}
				last = time.Now()
				peer.Write(conntest.Frame(websocket.OpPong, true, true, f.Payload))
				synctest.Wait()
			}
		})
	}
}

func TestKeepaliveOff(t *testing.T) {
	bubble(t, websocket.Options{PingInterval: -1}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		time.Sleep(24 * time.Hour)
		if n := c.Stats().BytesWritten; n != 0 || c.Context().Err() != nil {
			t.Errorf("%d bytes were written, %v", n, context.Cause(c.Context()))
		}
	})
	bubble(t, websocket.Options{PongTimeout: -1}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
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
		a, b := bufpipe.New(wstest.PipeSize)
		client := conntest.New(t, delayed{a, 70 * time.Millisecond}, true, websocket.Options{})
		server := conntest.New(t, delayed{b, 30 * time.Millisecond}, false, websocket.Options{})
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

func TestPongsThatAnswerNothing(t *testing.T) {
	bubble(t, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		go c.Read(bg)
		r := &conntest.FrameReader{NC: peer}
		errs := make(chan error, 2)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		go func() { errs <- wstest.Second(c.Ping(ctx)) }()
		first, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		id := binary.BigEndian.Uint64([]byte(first.Payload))
		peer.Write(conntest.Frame(websocket.OpPong, true, true, ""))
		peer.Write(conntest.Frame(websocket.OpPong, true, true, "surprise"))
		peer.Write(conntest.Frame(websocket.OpPong, true, true, string(binary.BigEndian.AppendUint64(nil, id+1))))
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// "A Pong frame for only the most recently processed Ping" answers
		// the ones before it too.
		go func() { errs <- wstest.Second(c.Ping(bg)) }()
		synctest.Wait()
		go func() { errs <- wstest.Second(c.Ping(bg)) }()
		r.Next()
		last, _ := r.Next()
		peer.Write(conntest.Frame(websocket.OpPong, true, true, last.Payload))
		for range 2 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPongsInOrder(t *testing.T) {
	conntest.OverAllRaw(t, false, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		go conntest.EchoAll(c)
		var wire []byte
		for i := range 10 {
			wire = append(wire, conntest.Frame(websocket.OpPing, true, true, fmt.Sprint(i))...)
		}
		wire = append(wire, conntest.Frame(websocket.OpText, true, true, "end")...)
		peer.Write(wire)
		r := &conntest.FrameReader{NC: peer}
		for i := range 10 {
			if f, err := r.Next(); err != nil || f.Opcode != websocket.OpPong || f.Payload != fmt.Sprint(i) {
				t.Fatalf("frame %d: %+v, %v", i, f, err)
			}
		}
		if f, err := r.Next(); err != nil || f.Payload != "end" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}
