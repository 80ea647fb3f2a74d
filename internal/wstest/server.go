package wstest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Peer is the server's end of one connection in a test of Dial.
type Peer struct {
	net.Conn
	R *bufio.Reader
}

// Request returns the next request, or nil when there is none any more.
func (p *Peer) Request() *http.Request {
	req, err := http.ReadRequest(p.R)
	if err != nil {
		return nil
	}
	return req
}

// Switch is a valid 101 response to req, with more header lines, each
// of which ends in CRLF.
func Switch(req *http.Request, lines string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + AcceptKey(req.Header.Get("Sec-WebSocket-Key")) + "\r\n" + lines + "\r\n"
}

// Echo sends back what comes until the client is gone.
func (p *Peer) Echo() { io.Copy(p.Conn, p.R) }

// Accept shakes hands and echoes.
func (p *Peer) Accept() {
	if req := p.Request(); req != nil {
		io.WriteString(p, Switch(req, ""))
		p.Echo()
	}
}

// Listen serves connections on loopback, each with a goroutine of its
// own. When the test ends it cuts them and waits. With a config it speaks TLS.
func Listen(t testing.TB, cfg *tls.Config, handle func(*Peer)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, ln, cfg, handle)
	return ln.Addr().String()
}

func Serve(t testing.TB, ln net.Listener, cfg *tls.Config, handle func(*Peer)) {
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
				handle(&Peer{c, bufio.NewReader(c)})
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

// TLS returns a server's TLS configuration for 127.0.0.1 and
// example.com, and the client's that trusts it.
var TLS = sync.OnceValues(func() (server, client *tls.Config) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	return &tls.Config{Certificates: ts.TLS.Certificates}, &tls.Config{RootCAs: pool}
})
