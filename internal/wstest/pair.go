package wstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// TCPPair returns both ends of a TCP connection on loopback.
func TCPPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- nc
	}()
	client, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return client, <-accepted
}

// TLSPair is TCPPair with TLS on top.
func TLSPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	a, b := TCPPair(t)
	return TLSOver(t, a, b)
}

// TLSOver puts TLS over a pair, and runs its handshake.
func TLSOver(t testing.TB, a, b net.Conn) (client, server net.Conn) {
	t.Helper()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	s := tls.Server(b, Certificate())
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c, s
}

// Certificate is a server's configuration with a certificate for localhost that
// nobody trusts.
var Certificate = sync.OnceValue(func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
})

// NoDeadlines is a connection that knows no deadlines, as a channel of SSH, and shows
// nothing of what it is made of. It has half-close, if Conn has it.
type NoDeadlines struct{ net.Conn }

func (NoDeadlines) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (NoDeadlines) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (NoDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func (n NoDeadlines) CloseWrite() error {
	if c, ok := n.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NoDeadlinesListener accepts connections that know no deadlines.
type NoDeadlinesListener struct{ net.Listener }

func (l NoDeadlinesListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return NoDeadlines{nc}, err
}

// RoundTrip has a byte go there and back.
func RoundTrip(t testing.TB, a, b net.Conn) {
	t.Helper()
	if err := errors.Join(a.SetDeadline(time.Time{}), b.SetDeadline(time.Time{})); err != nil {
		t.Error(err)
	}
	for _, ends := range [][2]net.Conn{{a, b}, {b, a}} {
		p := make([]byte, 1)
		if _, err := ends[0].Write([]byte("r")); err != nil {
			t.Error(err)
		} else if _, err := ends[1].Read(p); err != nil || p[0] != 'r' {
			t.Errorf("%q, %v", p, err)
		}
	}
}

// TCPUnder returns the TCP connection that nc is, or that is under its TLS; nil if
// there is none.
func TCPUnder(nc net.Conn) *net.TCPConn {
	if over, ok := nc.(*tls.Conn); ok {
		nc = over.NetConn()
	}
	if p, ok := nc.(interface{ Get() net.Conn }); ok { // what Loop.Listener puts under TLS
		nc = p.Get()
	}
	tcp, _ := nc.(*net.TCPConn)
	return tcp
}

// SmallBuffers gives the TCP connection under nc, if there is one, small buffers.
func SmallBuffers(t testing.TB, nc net.Conn) {
	t.Helper()
	if tcp := TCPUnder(nc); tcp != nil {
		if err := errors.Join(tcp.SetWriteBuffer(16<<10), tcp.SetReadBuffer(16<<10)); err != nil {
			t.Error(err)
		}
	}
}

// UnixPair returns both ends of a connection over a Unix socket.
func UnixPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	if client, err = net.Dial("unix", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// Opaque hides what a connection is made of, as one of a foreign package does.
type Opaque struct{ net.Conn }

// NeedsVisibleInput skips a test that says what keepalive finds out from input that
// nobody has read.
func NeedsVisibleInput(t testing.TB) {
	t.Helper()
	a, b := TCPPair(t)
	defer a.Close()
	defer b.Close()
	if transport.New(a).Probe(transport.AskInput).Readable == transport.Unknown {
		t.Skip("a socket does not tell here whether there is unread input")
	}
}
