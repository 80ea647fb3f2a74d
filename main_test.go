package websocket

import (
	"context"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

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
		return wstest.NoDeadlines{Conn: a}, wstest.NoDeadlines{Conn: b}
	}, false},
}

// seesUnread reports whether keepalive sees input that nobody has read.
func (k kind) seesUnread() bool { return k.name != "no deadlines" }

// kinds are those that all other behaviour tests run over.
var kinds = append(slices.Clip(transports),
	kind{"loop pipe", transports[0].pair, true},
	kind{"loop tcp", tcpPair, true},
	kind{"loop tls", pollableTLSPair, true})

// Short names for what most tests use.
var (
	tcpPair         = wstest.TCPPair
	tlsPair         = wstest.TLSPair
	tlsOver         = wstest.TLSOver
	testTLS         = wstest.Certificate
	ourGoroutines   = wstest.Goroutines
	openDescriptors = wstest.Sockets
	until           = wstest.Until
	heapAfter       = wstest.HeapAfter
	pattern         = wstest.Pattern
)

const (
	raceEnabled = wstest.Race
	loopPolls   = wstest.LoopPolls
)

type syncBuffer = wstest.Log

func mustReceive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	return wstest.Receive(t, ch)
}

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
	if n, ok := b.(wstest.NoDeadlines); ok { // the peer is not what is tested
		b = n.Conn
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

func appendFrame(dst []byte, h Header, p []byte) []byte { return h.appendFrame(dst, p) }

func (s *sender) next(op Opcode, fin bool, length int) (h Header) {
	s.header(&h, op, fin, 0, length)
	return h
}

var bg = context.Background()

// echo echoes messages until the connection ends, and returns how it did.
func echo(c *Conn) error {
	if r := reads(c); r != c {
		for {
			typ, p, err := r.Read(bg)
			if peerLeft(err) {
				return nil
			}
			if err == nil {
				err = c.Write(bg, typ, p)
			}
			if err != nil {
				return err
			}
		}
	}
	for m, err := range c.Messages(bg) {
		if err != nil {
			return err
		}
		if err := c.Write(bg, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }
