package websocket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/transport"
)

// A Loop relies on a property of crypto/tls that its documentation does not
// promise: Read can be resumed after an error of the connection under it whose
// Temporary method reports true, at any byte, and loses nothing.

const tlsPromise = "crypto/tls does not behave as loop_tls_linux.go relies on: " +
	"tls.Conn.Read must go on after a temporary error; without that Loop must give TLS connections a goroutine each"

// fed is a connection that has what it was given to read, and never waits.
type fed struct {
	net.Conn // for its addresses
	mu       sync.Mutex
	input    []byte
	output   []byte
}

func (f *fed) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.input) == 0 {
		return 0, transport.ErrAgain
	}
	n := copy(p, f.input)
	f.input = f.input[n:]
	return n, nil
}

func (f *fed) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.output = append(f.output, p...)
	return len(p), nil
}

func (f *fed) take() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.output
	f.output = nil
	return p
}

func (f *fed) give(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.input = append(f.input, p...)
}

func (f *fed) SetDeadline(time.Time) error      { return nil }
func (f *fed) SetReadDeadline(time.Time) error  { return nil }
func (f *fed) SetWriteDeadline(time.Time) error { return nil }
func (f *fed) Close() error                     { return nil }

// fedTLS makes a handshake over a real connection and then puts a fed one under
// either end. What the server sends behind the handshake, tickets among it, has
// been left for the test.
func fedTLS(t *testing.T, version uint16) (client, server *tls.Conn, cf, sf *fed) {
	t.Helper()
	a, b := tcpPair(t)
	cp, sp := transport.NewPollable(a).(*transport.Pollable), transport.NewPollable(b).(*transport.Pollable)
	cfg := testTLS().Clone()
	cfg.MinVersion, cfg.MaxVersion = version, version
	client = tls.Client(cp, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	server = tls.Server(sp, cfg)
	done := make(chan error, 1)
	go func() { done <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	cf, sf = &fed{Conn: a}, &fed{Conn: b}
	// What is on its way to the client is read before the exchange.
	sp.Set(sf)
	rest, err := io.ReadAll(a)
	if err != nil {
		t.Fatal(err)
	}
	cf.give(rest)
	cp.Set(cf)
	return client, server, cf, sf
}

// TestTLSResumes feeds records cut at every byte, on both versions, in both
// directions, after each of which Read is called until it asks for more.
func TestTLSResumes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, step := range []int{1, 2, 7, 100, 5000, 1 << 20} {
			for _, toClient := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/client=%v", tls.VersionName(version), step, toClient), func(t *testing.T) {
					client, server, cf, sf := fedTLS(t, version)
					from, to, ff, tf := client, server, cf, sf
					if toClient {
						from, to, ff, tf = server, client, sf, cf
					}
					var want []byte
					size := 40_000 // several records
					if step == 1 {
						size = 3000
					}
					for _, n := range []int{1, 100, size, 0, 17} {
						p := pattern(n)
						if _, err := from.Write(p); err != nil {
							t.Fatal(err)
						}
						want = append(want, p...)
					}
					wire := append(tf.input, ff.take()...)
					tf.input = nil
					var got []byte
					buf := make([]byte, 1000)
					again := 0
					for len(wire) > 0 {
						n := min(step, len(wire))
						tf.give(wire[:n])
						wire = wire[n:]
						for {
							n, err := to.Read(buf)
							got = append(got, buf[:n]...)
							if errors.Is(err, transport.ErrAgain) {
								again++
								break
							}
							if err != nil {
								t.Fatalf("%s: after %d bytes and %d errors: %v", tlsPromise, len(got), again, err)
							}
						}
					}
					if !bytes.Equal(got, want) || again == 0 {
						t.Fatalf("%s: %d bytes of %d arrived, with %d errors", tlsPromise, len(got), len(want), again)
					}
					// And the other direction, after all these errors.
					if _, err := to.Write([]byte("answer")); err != nil {
						t.Fatalf("%s: writing: %v", tlsPromise, err)
					}
					ff.give(tf.take())
					if n, err := from.Read(buf); string(buf[:n]) != "answer" || err != nil {
						t.Fatalf("%s: %q, %v", tlsPromise, buf[:n], err)
					}
				})
			}
		}
	}
}
