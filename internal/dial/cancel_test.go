package dial_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestClock is a context that ends when the test says so, as if its
// deadline had passed.
type dialTestClock struct {
	context.Context
	done chan struct{}
}

func (c *dialTestClock) Done() <-chan struct{} { return c.done }

func (c *dialTestClock) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestDialEndsWithContext ends the context while the dial is stuck in each of
// its stages. Dial must return at once, and leave nothing behind.
func TestDialEndsWithContext(t *testing.T) {
	t.Parallel()
	serverTLS, _ := wstest.TLS()
	// silent answers nothing, once that many bytes of the client have come.
	silent := func(reached chan<- struct{}, bytes int64) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			if n, _ := io.CopyN(io.Discard, p.R, bytes); n == bytes {
				reached <- struct{}{}
			}
			io.Copy(io.Discard, p.R)
		}
	}
	// after answers requests, and is silent after that.
	after := func(reached chan<- struct{}, answers ...string) func(*wstest.Peer) {
		return func(p *wstest.Peer) {
			for _, answer := range answers {
				if p.Request() == nil {
					return
				}
				io.WriteString(p, answer)
			}
			p.Request()
			reached <- struct{}{}
			io.Copy(io.Discard, p.R)
		}
	}
	type stage struct {
		url string
		rt  http.RoundTripper
	}
	stages := map[string]func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage{
		"dialling": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				reached <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return stage{"ws://a.test", tr}
		},
		"dialling TLS": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				reached <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return stage{"wss://a.test", tr}
		},
		"TLS": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			return stage{"wss://" + wstest.Listen(t, nil, silent(reached, 1)), wstest.Transport(d)}
		},
		"TLS of a dialer": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.DialTLSContext = dialTestTLSDialer(tr, "")
			return stage{"wss://" + wstest.Listen(t, nil, silent(reached, 1)), tr}
		},
		"CONNECT for ws": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "http://"+wstest.Listen(t, nil, after(reached)))
			return stage{"ws://a.test", tr}
		},
		"CONNECT for wss": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "http://"+wstest.Listen(t, nil, after(reached)))
			return stage{"wss://a.test", tr}
		},
		"TLS to the proxy for ws": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "https://"+wstest.Listen(t, nil, silent(reached, 1)))
			return stage{"ws://a.test", tr}
		},
		"TLS to the proxy for wss": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "https://"+wstest.Listen(t, nil, silent(reached, 1)))
			return stage{"wss://a.test", tr}
		},
		"TLS behind the proxy": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "http://"+wstest.Listen(t, nil, func(p *wstest.Peer) {
				p.Request()
				io.WriteString(p, "HTTP/1.1 200 OK\r\n\r\n")
				silent(reached, 1)(p)
			}))
			return stage{"wss://a.test", tr}
		},
		"SOCKS": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			tr.Proxy = wstest.ProxyURL(t, "socks5://"+wstest.Listen(t, nil, silent(reached, 3)))
			return stage{"ws://a.test", tr}
		},
		"response": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			return stage{"ws://" + wstest.Listen(t, nil, after(reached)), wstest.Transport(d)}
		},
		"response over TLS": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			return stage{"wss://" + wstest.Listen(t, serverTLS, after(reached)), wstest.Transport(d)}
		},
		"middle of the response": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			return stage{"ws://" + wstest.Listen(t, nil, func(p *wstest.Peer) {
				p.Request()
				io.WriteString(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web")
				reached <- struct{}{}
				io.Copy(io.Discard, p.R)
			}), wstest.Transport(d)}
		},
		"body of a redirect": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			answer := "HTTP/1.1 302 Found\r\nLocation: /2\r\nContent-Length: 5\r\n\r\n"
			return stage{"ws://" + wstest.Listen(t, nil, func(p *wstest.Peer) {
				p.Request()
				io.WriteString(p, answer)
				reached <- struct{}{}
				io.Copy(io.Discard, p.R)
			}), wstest.Transport(d)}
		},
		"second response": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			to := wstest.Listen(t, nil, after(reached))
			answer := "HTTP/1.1 302 Found\r\nLocation: ws://" + to + "/2\r\nContent-Length: 0\r\n\r\n"
			return stage{"ws://" + wstest.Listen(t, nil, func(p *wstest.Peer) {
				p.Request()
				io.WriteString(p, answer)
				io.Copy(io.Discard, p.R)
			}), wstest.Transport(d)}
		},
		"foreign RoundTripper": func(t *testing.T, d *wstest.Dialer, reached chan<- struct{}) stage {
			tr := wstest.Transport(d)
			return stage{"ws://" + wstest.Listen(t, nil, after(reached)), dialTestTripper(tr.RoundTrip)}
		},
	}
	for name, prepare := range stages {
		for _, how := range []string{"cancelled", "timed out"} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				d := new(wstest.Dialer)
				reached := make(chan struct{}, 2)
				s := prepare(t, d, reached)

				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				want := context.Canceled
				if how == "timed out" {
					clock := &dialTestClock{t.Context(), make(chan struct{})}
					ctx, cancel, want = clock, func() { close(clock.done) }, context.DeadlineExceeded
				}
				go func() {
					<-reached
					cancel()
				}()
				wstest.NoGoroutines(t, func() {
					c, resp, err := websocket.Dial(ctx, s.url, dialTestOptions(s.rt))
					if c != nil || resp != nil || !errors.Is(err, want) {
						t.Errorf("got %v, %v, %v; want %v", c, resp, err, want)
					}
				})
				if n := d.Open(); n != 0 {
					t.Errorf("%d connections are open", n)
				}
			})
		}
	}
}

func TestDialWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("shutting down")
	cancel(why)
	never := dialTestTripper(func(*http.Request) (*http.Response, error) {
		t.Error("a request was made")
		return nil, io.EOF
	})
	_, _, err := websocket.Dial(ctx, "ws://a.test", dialTestOptions(never))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// TestDialLateConn: a deprecated dialer cannot be told to stop. What it
// returns after the dial is over must be closed, and no TLS handshake begun.
func TestDialLateConn(t *testing.T) {
	silent := wstest.Listen(t, nil, func(p *wstest.Peer) { io.Copy(io.Discard, p.R) })
	d := new(wstest.Dialer)
	tr := wstest.Transport(nil)
	started, goOn := make(chan struct{}), make(chan struct{})
	//lint:ignore SA1019 users may have set it
	tr.Dial = func(network, addr string) (net.Conn, error) {
		close(started)
		<-goOn
		return d.DialContext(context.Background(), network, addr)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	wstest.NoGoroutines(t, func() {
		if _, _, err := websocket.Dial(ctx, "wss://"+silent, dialTestOptions(tr)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(goOn)
	})
	if n := d.Open(); n != 0 || len(d.Conns) != 1 {
		t.Errorf("%d of %d connections are open", n, len(d.Conns))
	}
}

// TestDialEndsWithResponse ends the context as the response arrives: whatever
// Dial makes of it, it must not return a connection that then dies, nor leave
// one open with an error.
func TestDialEndsWithResponse(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	for i := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		cfg, scheme := serverTLS, "wss://"
		if i%2 == 0 {
			cfg, scheme = nil, "ws://"
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			nc, err := ln.Accept()
			ln.Close()
			if err != nil {
				return
			}
			defer nc.Close()
			if cfg != nil {
				nc = tls.Server(nc, cfg)
			}
			p := &wstest.Peer{Conn: nc, R: bufio.NewReader(nc)}
			if req := p.Request(); req != nil {
				io.WriteString(p, wstest.Switch(req, ""))
				cancel()
				p.Echo()
			}
		}()
		d := new(wstest.Dialer)
		nc, early, _, err := dialHandshake(ctx, scheme+ln.Addr().String(), dialTestOptions(wstest.Transport(d)))
		if err == nil {
			dialTestEcho(t, nc, early, "")
			nc.Close()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wstest.Eventually(t, func() bool { return d.Open() == 0 }, func() string { return "a connection is open" })
		wstest.ReceiveFor(t, done, "the server still waits")
	}
}
