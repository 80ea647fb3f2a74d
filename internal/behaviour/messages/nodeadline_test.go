package messages_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// deaf is a connection whose deadlines have no effect, though they may be set. An
// answer of its own may be given.
type deaf struct {
	net.Conn
	answer error
}

func (d deaf) SetDeadline(time.Time) error { return d.answer }

func (d deaf) SetReadDeadline(time.Time) error { return d.answer }

func (d deaf) SetWriteDeadline(time.Time) error { return d.answer }

// TestContextsHold: contexts and WriteTimeout hold on every net.Conn, exactly.
func TestContextsHold(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error
		none   bool
	}{
		"refused":          {errors.New("ssh: tcpChan: deadline not supported"), false},
		"refused and told": {os.ErrNoDeadline, true},
		"ignored":          {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := bufpipe.New(1 << 10)
				opts := websocket.Options{WriteTimeout: time.Second, PingInterval: -1}
				c, err := websocket.NewConn(deaf{a, tt.answer}, &websocket.ConnOptions{Client: true, NoDeadlines: tt.none, Options: opts})
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				peer := conntest.New(t, b, false, websocket.Options{})
				defer peer.CloseNow()
				short := func(f func(context.Context) error) {
					t.Helper()
					ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
					defer cancel()
					begin := time.Now()
					err := f(ctx)
					if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d != 300*time.Millisecond {
						t.Errorf("%v after %v", err, d)
					}
				}
				short(func(ctx context.Context) error { return wstest.Third(c.Read(ctx)) })
				if err := peer.Write(bg, websocket.Text, []byte("not lost")); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(bg); string(p) != "not lost" || err != nil {
					t.Errorf("read %q, %v", p, err)
				}
				short(func(ctx context.Context) error {
					_, _, err := c.Read(ctx)
					return err
				})
				// More than a piece fills the pipe. What follows waits for that, and is
				// taken back.
				begin := time.Now()
				if err := c.Write(bg, websocket.Binary, make([]byte, 20<<10)); err != nil || time.Since(begin) != time.Second {
					t.Errorf("a message that the transport has taken: %v after %v", err, time.Since(begin))
				}
				begin = time.Now()
				if err := c.Write(bg, websocket.Binary, []byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
					t.Errorf("a message behind it: %v after %v", err, time.Since(begin))
				}
				short(func(ctx context.Context) error { return c.Write(ctx, websocket.Binary, make([]byte, 100<<10)) })
				if _, p, err := peer.Read(bg); len(p) != 20<<10 || err != nil {
					t.Errorf("the peer read %d bytes, %v", len(p), err)
				}
				if err := c.Write(bg, websocket.Text, []byte("goes on")); err != nil {
					t.Error(err)
				}
				if _, p, err := peer.Read(bg); string(p) != "goes on" || err != nil {
					t.Errorf("the peer read %q, %v", p, err)
				}
				go peer.Read(bg)
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestCutInTheMiddle: a write that its context cuts off in the middle of a frame
// returns at once, though the transport does not let go of its piece.
func TestCutInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(1 << 10)
		c := conntest.New(t, wstest.NoDeadlines{Conn: a}, false, websocket.Options{})
		defer b.Close()
		ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		err := c.Write(ctx, websocket.Binary, make([]byte, 100<<10))
		if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d != 300*time.Millisecond {
			t.Errorf("Write: %v after %v", err, d)
		}
		begin = time.Now()
		c.CloseNow()
		if d := time.Since(begin); d > 2*transport.EndWait {
			t.Errorf("CloseNow took %v", d)
		}
	})
}

// deafListener makes connections without deadlines.
type deafListener struct{ net.Listener }

func (l deafListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return deaf{nc, os.ErrNoDeadline}, err
}

// TestServersWithoutDeadlines: handshakes succeed on connections that have no
// deadlines, and contexts hold behind them.
func TestServersWithoutDeadlines(t *testing.T) {
	handle := func(c *websocket.Conn) {
		ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
		defer cancel()
		if err := wstest.Third(c.Read(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read: %v", err)
		}
		conntest.EchoAll(c)
	}
	listen := func(t *testing.T) net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	for name, serve := range map[string]func(t *testing.T) (addr string){
		"net/http": func(t *testing.T) string {
			ln := listen(t)
			srv := &http.Server{Handler: &websocket.Server{Handler: handle}}
			go srv.Serve(websocket.DeadlineListener(deafListener{ln}))
			t.Cleanup(func() { srv.Close() })
			return ln.Addr().String()
		},
		"Accept": func(t *testing.T) string { // from a server that is not net/http's
			ln := listen(t)
			t.Cleanup(func() { ln.Close() })
			go func() {
				nc, err := deafListener{ln}.Accept()
				if err != nil {
					return
				}
				r, err := http.ReadRequest(bufio.NewReader(nc))
				if err != nil {
					t.Error(err)
					return
				}
				w := wstest.HijackFunc(func() (net.Conn, *bufio.ReadWriter, error) { return nc, nil, nil })
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.CloseNow()
				handle(c)
			}()
			return ln.Addr().String()
		},
		"Loop": func(t *testing.T) string {
			ln := listen(t)
			l := conntest.NewLoop(t, 1)
			served := make(chan error, 1)
			go func() {
				served <- l.Serve(deafListener{ln}, nil, conntest.Handler{Message: func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
					c.Write(bg, typ, p)
				}})
			}()
			t.Cleanup(func() {
				l.Close()
				<-served
			})
			return ln.Addr().String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _, err := websocket.Dial(t.Context(), "ws://"+serve(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			time.Sleep(400 * time.Millisecond) // the handler's Read ends meanwhile, or a little later
			for _, want := range []string{"a", string(wstest.Pattern(200 << 10))} {
				if err := c.Write(bg, websocket.Binary, []byte(want)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := c.Read(bg); string(p) != want || err != nil {
					t.Fatalf("read %d bytes, %v, want %d", len(p), err, len(want))
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDialWithoutDeadlines: a dialer's connection has no deadlines.
func TestDialWithoutDeadlines(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	for _, scheme := range []string{"ws", "wss"} {
		cfg := serverTLS
		if scheme == "ws" {
			cfg = nil
		}
		addr := wstest.Listen(t, cfg, (*wstest.Peer).Accept)
		tr := wstest.Transport(nil)
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			return wstest.NoDeadlines{Conn: nc}, err
		}
		c, _, err := websocket.Dial(t.Context(), scheme+"://"+addr, &websocket.DialOptions{HTTPClient: &http.Client{Transport: tr}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(bg, 300*time.Millisecond)
		if err := wstest.Third(c.Read(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: Read: %v", scheme, err)
		}
		cancel()
		c.CloseNow()
	}
}
