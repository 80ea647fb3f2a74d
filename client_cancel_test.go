package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
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
	serverTLS, _ := dialTestTLS()
	// silent answers nothing, once that many bytes of the client have come.
	silent := func(reached chan<- struct{}, bytes int64) func(*dialTestPeer) {
		return func(p *dialTestPeer) {
			if n, _ := io.CopyN(io.Discard, p.br, bytes); n == bytes {
				reached <- struct{}{}
			}
			io.Copy(io.Discard, p.br)
		}
	}
	// after answers requests, and is silent after that.
	after := func(reached chan<- struct{}, answers ...string) func(*dialTestPeer) {
		return func(p *dialTestPeer) {
			for _, answer := range answers {
				if p.request() == nil {
					return
				}
				io.WriteString(p, answer)
			}
			p.request()
			reached <- struct{}{}
			io.Copy(io.Discard, p.br)
		}
	}
	type stage struct {
		url string
		rt  http.RoundTripper
	}
	stages := map[string]func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage{
		"dialling": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				reached <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return stage{"ws://a.test", tr}
		},
		"dialling TLS": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				reached <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return stage{"wss://a.test", tr}
		},
		"TLS": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			return stage{"wss://" + dialTestListen(t, nil, silent(reached, 1)), dialTestTransport(d)}
		},
		"TLS of a dialer": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.DialTLSContext = dialTestTLSDialer(tr, "")
			return stage{"wss://" + dialTestListen(t, nil, silent(reached, 1)), tr}
		},
		"CONNECT for ws": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "http://"+dialTestListen(t, nil, after(reached)))
			return stage{"ws://a.test", tr}
		},
		"CONNECT for wss": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "http://"+dialTestListen(t, nil, after(reached)))
			return stage{"wss://a.test", tr}
		},
		"TLS to the proxy for ws": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "https://"+dialTestListen(t, nil, silent(reached, 1)))
			return stage{"ws://a.test", tr}
		},
		"TLS to the proxy for wss": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "https://"+dialTestListen(t, nil, silent(reached, 1)))
			return stage{"wss://a.test", tr}
		},
		"TLS behind the proxy": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "http://"+dialTestListen(t, nil, func(p *dialTestPeer) {
				p.request()
				io.WriteString(p, "HTTP/1.1 200 OK\r\n\r\n")
				silent(reached, 1)(p)
			}))
			return stage{"wss://a.test", tr}
		},
		"SOCKS": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			tr.Proxy = dialTestProxy(t, "socks5://"+dialTestListen(t, nil, silent(reached, 3)))
			return stage{"ws://a.test", tr}
		},
		"response": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			return stage{"ws://" + dialTestListen(t, nil, after(reached)), dialTestTransport(d)}
		},
		"response over TLS": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			return stage{"wss://" + dialTestListen(t, serverTLS, after(reached)), dialTestTransport(d)}
		},
		"middle of the response": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			return stage{"ws://" + dialTestListen(t, nil, func(p *dialTestPeer) {
				p.request()
				io.WriteString(p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web")
				reached <- struct{}{}
				io.Copy(io.Discard, p.br)
			}), dialTestTransport(d)}
		},
		"body of a redirect": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			answer := "HTTP/1.1 302 Found\r\nLocation: /2\r\nContent-Length: 5\r\n\r\n"
			return stage{"ws://" + dialTestListen(t, nil, func(p *dialTestPeer) {
				p.request()
				io.WriteString(p, answer)
				reached <- struct{}{}
				io.Copy(io.Discard, p.br)
			}), dialTestTransport(d)}
		},
		"second response": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			to := dialTestListen(t, nil, after(reached))
			answer := "HTTP/1.1 302 Found\r\nLocation: ws://" + to + "/2\r\nContent-Length: 0\r\n\r\n"
			return stage{"ws://" + dialTestListen(t, nil, func(p *dialTestPeer) {
				p.request()
				io.WriteString(p, answer)
				io.Copy(io.Discard, p.br)
			}), dialTestTransport(d)}
		},
		"foreign RoundTripper": func(t *testing.T, d *dialTestDialer, reached chan<- struct{}) stage {
			tr := dialTestTransport(d)
			return stage{"ws://" + dialTestListen(t, nil, after(reached)), dialTestTripper(tr.RoundTrip)}
		},
	}
	for name, prepare := range stages {
		for _, how := range []string{"cancelled", "timed out"} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				d := new(dialTestDialer)
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
				dialTestGone(t, func() {
					c, resp, err := Dial(ctx, s.url, dialTestOptions(s.rt))
					if c != nil || resp != nil || !errors.Is(err, want) {
						t.Errorf("got %v, %v, %v; want %v", c, resp, err, want)
					}
				})
				if n := d.open(); n != 0 {
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
	_, _, err := Dial(ctx, "ws://a.test", dialTestOptions(never))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// TestDialLateConn: a deprecated dialer cannot be told to stop. What it
// returns after the dial is over must be closed, and no TLS handshake begun.
func TestDialLateConn(t *testing.T) {
	silent := dialTestListen(t, nil, func(p *dialTestPeer) { io.Copy(io.Discard, p.br) })
	d := new(dialTestDialer)
	tr := dialTestTransport(nil)
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
	dialTestGone(t, func() {
		if _, _, err := Dial(ctx, "wss://"+silent, dialTestOptions(tr)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(goOn)
	})
	if n := d.open(); n != 0 || len(d.conns) != 1 {
		t.Errorf("%d of %d connections are open", n, len(d.conns))
	}
}

// TestDialEndsWithResponse ends the context as the response arrives: whatever
// Dial makes of it, it must not return a connection that then dies, nor leave
// one open with an error.
func TestDialEndsWithResponse(t *testing.T) {
	serverTLS, _ := dialTestTLS()
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
			p := &dialTestPeer{nc, bufio.NewReader(nc)}
			if req := p.request(); req != nil {
				io.WriteString(p, dialTestSwitch(req, ""))
				cancel()
				p.echo()
			}
		}()
		d := new(dialTestDialer)
		nc, conf, _, err := dialHandshake(ctx, scheme+ln.Addr().String(), dialTestOptions(dialTestTransport(d)))
		if err == nil {
			dialTestEcho(t, nc, conf.early, "")
			nc.Close()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		dialTestEventually(t, func() bool { return d.open() == 0 }, func() string { return "a connection is open" })
		dialTestWait(t, done, "the server still waits")
	}
}
