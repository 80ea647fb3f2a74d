package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// dialTestPeer is the server's end of one connection in a test of Dial.
type dialTestPeer struct {
	net.Conn
	br *bufio.Reader
}

// request returns the next request, or nil when there is none any more.
func (p *dialTestPeer) request() *http.Request {
	req, err := http.ReadRequest(p.br)
	if err != nil {
		return nil
	}
	return req
}

// dialTestSwitch is a valid 101 response to req, with more header lines, each
// of which ends in CRLF.
func dialTestSwitch(req *http.Request, lines string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + AcceptKey(req.Header.Get("Sec-WebSocket-Key")) + "\r\n" + lines + "\r\n"
}

// echo sends back what comes until the client is gone.
func (p *dialTestPeer) echo() { io.Copy(p.Conn, p.br) }

// accept shakes hands and echoes.
func (p *dialTestPeer) accept() {
	if req := p.request(); req != nil {
		io.WriteString(p, dialTestSwitch(req, ""))
		p.echo()
	}
}

// dialTestListen serves connections on loopback, each with a goroutine of its
// own. When the test ends it cuts them and waits. With a config it speaks TLS.
func dialTestListen(t *testing.T, cfg *tls.Config, handle func(*dialTestPeer)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialTestServe(t, ln, cfg, handle)
	return ln.Addr().String()
}

func dialTestServe(t *testing.T, ln net.Listener, cfg *tls.Config, handle func(*dialTestPeer)) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		over  bool
		conns []net.Conn
	)
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, nc)
			if over {
				nc.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				c := nc
				if cfg != nil {
					c = tls.Server(nc, cfg)
				}
				handle(&dialTestPeer{c, bufio.NewReader(c)})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		over = true
		for _, nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// dialTestTLS returns a server's TLS configuration for 127.0.0.1 and
// example.com, and the client's that trusts it.
var dialTestTLS = sync.OnceValues(func() (server, client *tls.Config) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	return &tls.Config{Certificates: ts.TLS.Certificates}, &tls.Config{RootCAs: pool}
})

// dialTestDialer is a dialer that remembers its connections, and finds the
// hosts that a test makes up.
type dialTestDialer struct {
	hosts map[string]string // host:port to the address to dial

	mu    sync.Mutex
	conns []net.Conn
	addrs []string
}

func (d *dialTestDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	d.addrs = append(d.addrs, addr)
	d.mu.Unlock()
	if real, ok := d.hosts[addr]; ok {
		addr = real
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		d.mu.Lock()
		d.conns = append(d.conns, nc)
		d.mu.Unlock()
	}
	return nc, err
}

// open returns how many of the connections are not closed.
func (d *dialTestDialer) open() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, nc := range d.conns {
		if !errors.Is(nc.SetDeadline(time.Time{}), net.ErrClosed) {
			n++
		}
	}
	return n
}

// dialTestTransport trusts the test's certificates, and dials with d if that
// is not nil.
func dialTestTransport(d *dialTestDialer) *http.Transport {
	_, cfg := dialTestTLS()
	tr := &http.Transport{TLSClientConfig: cfg.Clone()}
	if d != nil {
		tr.DialContext = d.DialContext
	}
	return tr
}

// dialTestOptions are options to dial with rt.
func dialTestOptions(rt http.RoundTripper) *DialOptions {
	return &DialOptions{HTTPClient: &http.Client{Transport: rt}}
}

// dialTestConn dials and returns the connection under it, closed when the
// test ends.
func dialTestConn(t *testing.T, url string, opts *DialOptions) (net.Conn, connConfig, *http.Response) {
	t.Helper()
	nc, cfg, resp, err := dialHandshake(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, cfg, resp
}

// dialTestEcho checks that bytes go both ways, beginning with the early ones.
func dialTestEcho(t *testing.T, nc net.Conn, early []byte, want string) {
	t.Helper()
	// Not by a deadline: that there is none left over is part of the test.
	defer time.AfterFunc(10*time.Second, func() { nc.Close() }).Stop()
	if len(early) > len(want) {
		t.Fatalf("%d bytes came early, only %d were sent", len(early), len(want))
	}
	const ping = "how do you do?"
	if _, err := io.WriteString(nc, ping); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want)-len(early)+len(ping))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatalf("reading behind %d early bytes: %v", len(early), err)
	}
	if got := string(early) + string(got); got != want+ping {
		t.Fatalf("got %d bytes that differ from the %d sent", len(got), len(want+ping))
	}
}

// dialTestGone runs f and fails the test if goroutines that it has started
// remain. They are told from those of other tests by a label that goroutines
// inherit.
func dialTestGone(t *testing.T, f func()) {
	t.Helper()
	label := fmt.Sprintf("%s-%p", t.Name(), &f)
	pprof.Do(context.Background(), pprof.Labels("dialtest", label), func(context.Context) { f() })
	var stacks string
	dialTestEventually(t, func() bool {
		var buf bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&buf, 1)
		stacks = buf.String()
		return !strings.Contains(stacks, label)
	}, func() string { return "goroutines are left:\n" + stacks })
}

// dialTestEventually polls for what gives no event, such as the end of
// somebody else's goroutine.
func dialTestEventually(t *testing.T, cond func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what())
		}
	}
}

// dialTestWait waits for an event, for a bounded time.
func dialTestWait[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("timed out: %s", what)
	}
	return v
}

// dialTestRefused checks that err is a refusal with this status, and that its
// text holds want.
func dialTestRefused(t *testing.T, err error, status int, want string) *HandshakeError {
	t.Helper()
	var he *HandshakeError
	if !errors.As(err, &he) {
		t.Fatalf("got %v, want a HandshakeError", err)
	}
	if he.Status != status || !strings.Contains(err.Error(), want) {
		t.Fatalf("got status %d, %q; want %d, %q", he.Status, err, status, want)
	}
	return he
}

// dialTestProxy returns a Transport.Proxy.
func dialTestProxy(t *testing.T, proxy string) func(*http.Request) (*url.URL, error) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return http.ProxyURL(u)
}
