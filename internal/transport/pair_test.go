package transport

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// A kind is a kind of connection that the tests run over.
type kind struct {
	name string
	pair func(t testing.TB) (nc, peer net.Conn)

	sees       bool // Readable and Room are known
	resumable  bool
	halfCloses bool
}

var kinds = []kind{
	{"pipe", pipePair, true, true, true},
	{"tcp", tcpPair, canPoll, hasSockets(), true},
	{"unix", unixPair, canPoll, hasSockets(), true},
	{"tls", tlsPair, canPoll, false, true},
	{"foreign", foreignPair, false, false, false},
	{"no deadlines", barePair, false, true, false},
}

// overKinds runs f over all kinds, with the transport on one end, and the other end.
func overKinds(t *testing.T, f func(t *testing.T, k kind, c Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			nc, peer := k.pair(t)
			c := New(nc)
			t.Cleanup(func() {
				c.Terminate(true)
				peer.Close()
			})
			peer.SetDeadline(time.Now().Add(20 * time.Second))
			f(t, k, c, peer)
		})
	}
}

// foreign is a connection that shows nothing of what it is made of.
type foreign struct{ net.Conn }

// noDeadlines is a foreign connection without deadlines.
type noDeadlines struct{ net.Conn }

func (noDeadlines) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (noDeadlines) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

func foreignPair(t testing.TB) (nc, peer net.Conn) {
	a, b := pipePair(t)
	return foreign{a}, b
}

func barePair(t testing.TB) (nc, peer net.Conn) {
	a, b := pipePair(t)
	return noDeadlines{a}, b
}

const pipeSize = 64 << 10

func pipePair(testing.TB) (nc, peer net.Conn) {
	a, b := bufpipe.New(pipeSize)
	return a, b
}

func tcpPair(t testing.TB) (nc, peer net.Conn) { return socketPair(t, "tcp", "127.0.0.1:0") }

func unixPair(t testing.TB) (nc, peer net.Conn) {
	return socketPair(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func socketPair(t testing.TB, network, addr string) (nc, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil && network == "unix" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if nc, err = net.Dial(network, ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if peer, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return nc, peer
}

var testTLS = sync.OnceValue(func() *tls.Config {
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	return &tls.Config{Certificates: srv.TLS.Certificates}
})

// tlsPair is TLS over a TCP connection that can be replaced.
func tlsPair(t testing.TB) (nc, peer net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	server := tls.Server(NewPollable(a), testTLS())
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// until waits for something that no event announces.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// pattern returns n bytes that differ from their neighbours.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	return p
}

// hasSockets says whether there is the type socket.
func hasSockets() bool {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return false
	}
	defer ln.Close()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return false
	}
	defer nc.Close()
	return newSocket(nc, nc.(*net.TCPConn)) != nil
}
