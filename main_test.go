package websocket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

// TestMain fails the run if the tests leave goroutines or descriptors behind.
func TestMain(m *testing.M) {
	parallelWaits()
	fds := openDescriptors()
	code := m.Run()
	if code == 0 {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if err := checkLeaks(fds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// parallelWaits has 32 parallel tests run at once, unless -parallel says otherwise:
// they wait more than they compute.
func parallelWaits() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "32"); err != nil {
			panic(err)
		}
	}
}

// checkLeaks waits until the goroutines of this package are gone and no more
// descriptors are open than there were, and tells what is left after a while.
func checkLeaks(fds int) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := ourGoroutines()
		runtime.GC() // closes what only a finalizer holds, which is not our way but net/http's
		now := openDescriptors()
		if len(left) == 0 && now <= fds {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("leaked: %d descriptors (%d before), goroutines:\n%s", now, fds, strings.Join(left, "\n\n"))
		}
	}
}

func ourGoroutines() (stacks []string) {
	buf := make([]byte, 8<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for i, g := range strings.Split(string(buf), "\n\n") {
		if i > 0 && strings.Contains(g, "fullduplex-go/websocket") {
			stacks = append(stacks, g)
		}
	}
	return stacks
}

// openDescriptors counts this process's sockets; where the system does not
// tell, it is 0.
func openDescriptors() (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// kind is a kind of connection that the behaviour tests run over.
type kind struct {
	name string
	pair func(t testing.TB) (client, server net.Conn)
	loop bool // on a Loop
}

// transports are those that the tests of blocking reads run over.
var transports = []kind{
	{"pipe", func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(pipeSize)
		return a, b
	}, false},
	{"tcp", tcpPair, false},
	{"tls", tlsPair, false},
	{"no deadlines", func(testing.TB) (net.Conn, net.Conn) {
		a, b := bufpipe.New(pipeSize)
		return noDeadlines{a, a}, noDeadlines{b, b}
	}, false},
}

// noDeadlines is a connection that knows no deadlines, as a channel of SSH. It has
// half-close, but shows nothing else of what it is made of.
type noDeadlines struct {
	net.Conn
	under *bufpipe.Conn
}

func (noDeadlines) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (noDeadlines) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
func (n noDeadlines) CloseWrite() error              { return n.under.CloseWrite() }

// seesUnread reports whether keepalive sees input that nobody has read.
func (k kind) seesUnread() bool { return k.name != "no deadlines" }

// kinds are those that all other behaviour tests run over.
var kinds = append(slices.Clip(transports),
	kind{"loop pipe", transports[0].pair, true},
	kind{"loop tcp", tcpPair, true},
	kind{"loop tls", pollableTLSPair, true})

func tcpPair(t testing.TB) (client, server net.Conn) {
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

func tlsPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	return tlsOver(t, a, b)
}

func tlsOver(t testing.TB, a, b net.Conn) (client, server net.Conn) {
	t.Helper()
	cfg := testTLS()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
	s := tls.Server(b, cfg)
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

var testTLS = sync.OnceValue(func() *tls.Config {
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

// overTransports runs f with a connected pair over every kind of connection. It
// reads by reads.
func overTransports(t *testing.T, opts Options, f func(t *testing.T, client, server *Conn)) {
	t.Helper()
	overPairs(t, kinds, opts, f)
}

// overBlocking is overTransports for tests of the reading methods themselves.
func overBlocking(t *testing.T, opts Options, f func(t *testing.T, client, server *Conn)) {
	t.Helper()
	overPairs(t, transports, opts, f)
}

func overPairs(t *testing.T, kinds []kind, opts Options, f func(t *testing.T, client, server *Conn)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, b := k.pair(t)
			client := newConn(a, connConfig{client: true, opts: opts.withDefaults()})
			server := newConn(b, connConfig{opts: opts.withDefaults()})
			defer client.CloseNow()
			defer server.CloseNow()
			if k.loop {
				l := newTestLoop(t, 2)
				readOnLoop(t, l, client)
				readOnLoop(t, l, server)
			}
			f(t, client, server)
		})
	}
}

// overRaw runs f over every kind of connection with a Conn in the given role,
// which it reads by reads, and the bare transport of its peer.
func overRaw(t *testing.T, client bool, opts Options, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	overRawKinds(t, kinds, client, opts, f)
}

// overBlockingRaw is overRaw for tests of the reading methods themselves.
func overBlockingRaw(t *testing.T, client bool, opts Options, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	overRawKinds(t, transports, client, opts, f)
}

func overRawKinds(t *testing.T, kinds []kind, client bool, opts Options, f func(t *testing.T, c *Conn, peer net.Conn)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			c, peer := k.raw(t, client, opts)
			f(t, c, peer)
		})
	}
}

// raw makes a Conn in the given role, and the bare transport of its peer.
func (k kind) raw(t testing.TB, client bool, opts Options) (c *Conn, peer net.Conn) {
	a, b := k.pair(t)
	if !client {
		a, b = b, a
	}
	if n, ok := b.(noDeadlines); ok { // the peer is not what is tested
		b = n.under
	}
	b.SetDeadline(time.Now().Add(20 * time.Second))
	c = newConn(a, connConfig{client: client, opts: opts.withDefaults()})
	if k.loop {
		readOnLoop(t, newTestLoop(t, 1), c)
	}
	t.Cleanup(func() { // first of all, so that nothing waits for the peer to close
		c.CloseNow()
		b.Close()
	})
	return c, b
}

// frame encodes a frame as a client sends it if masked is set.
func frame(op Opcode, fin, masked bool, payload string) []byte {
	h := Header{Fin: fin, Opcode: op, Masked: masked, Length: int64(len(payload))}
	if masked {
		h.Key = [4]byte{0x37, 0xfa, 0x21, 0x3d}
	}
	return appendFrame(nil, h, []byte(payload))
}

// closeFrame encodes a close frame; code 1005 stands for no payload.
func closeFrame(masked bool, code StatusCode, reason string) []byte {
	return frame(OpClose, true, masked, string(appendClosePayload(nil, code, reason)))
}

// rawFrame is a frame that a test's bare peer has received.
type rawFrame struct {
	Header
	payload string
}

// frameReader reads frames from a bare transport.
type frameReader struct {
	nc  net.Conn
	buf []byte
}

func (r *frameReader) next() (rawFrame, error) {
	for {
		h, n, err := ParseHeader(r.buf)
		if err != nil {
			return rawFrame{}, err
		}
		if n > 0 && int64(len(r.buf)-n) >= h.Length {
			p := r.buf[n : n+int(h.Length)]
			Mask(p, h.Key, 0)
			r.buf = r.buf[n+int(h.Length):]
			return rawFrame{h, string(p)}, nil
		}
		p := make([]byte, 64<<10)
		m, err := r.nc.Read(p)
		r.buf = append(r.buf, p[:m]...)
		if m == 0 && err != nil {
			return rawFrame{}, err
		}
	}
}

// until waits for something that no event announces.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		runtime.Gosched()
		time.Sleep(50 * time.Microsecond)
	}
}

func appendFrame(dst []byte, h Header, p []byte) []byte { return h.appendFrame(dst, p) }

func (s *sender) next(op Opcode, fin bool, length int) (h Header) {
	s.header(&h, op, fin, 0, length)
	return h
}
