package websocket

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
)

// drip is the connection under TLS as a Loop makes it: it hands out what it was
// fed, and then says that there is nothing yet.
type drip struct {
	net.Conn
	in []byte
}

func (d *drip) Read(p []byte) (int, error) {
	if len(d.in) == 0 {
		return 0, errAgain
	}
	n := copy(p, d.in)
	d.in = d.in[n:]
	return n, nil
}

// tap keeps what is written to it.
type tap struct {
	net.Conn
	out []byte
}

func (t *tap) Write(p []byte) (int, error) {
	t.out = append(t.out, p...)
	return len(p), nil
}

// inside is a connection whose inside changes after the handshake.
type inside struct{ net.Conn }

// TestTLSResumes pins what a Loop relies on: that crypto/tls goes on after an
// error of the connection under it that is temporary, wherever in a record it
// comes. If this fails with a new release of Go, Loop fails over TLS.
func TestTLSResumes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, step := range []int{1, 2, 5, 1000, 1 << 20} {
			t.Run(fmt.Sprint(tls.VersionName(version), " ", step), func(t *testing.T) {
				a, b := tcpPair(t)
				defer a.Close()
				defer b.Close()
				underClient, underServer := &inside{a}, &inside{b}
				client := tls.Client(underClient, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
				cfg := testTLS().Clone()
				cfg.MinVersion, cfg.MaxVersion = version, version
				server := tls.Server(underServer, cfg)
				done := make(chan error, 1)
				go func() { done <- server.Handshake() }()
				if err := client.Handshake(); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				// What the server says behind its handshake the client reads
				// when it is first asked to.
				out, in := &tap{Conn: a}, &drip{Conn: b}
				underClient.Conn, underServer.Conn = out, in

				var want, got []byte
				for _, n := range []int{1, 100, 20_000, 3} { // several records
					p := compressible(n, n)
					want = append(want, p...)
					if _, err := client.Write(p); err != nil {
						t.Fatal(err)
					}
				}
				buf := make([]byte, 4096)
				wire := out.out
				for {
					n, err := server.Read(buf)
					got = append(got, buf[:n]...)
					if err != nil && err != errAgain {
						t.Fatalf("crypto/tls does not go on after a temporary error: %v", err)
					}
					if err == nil {
						continue
					}
					if len(wire) == 0 {
						break
					}
					n = min(step, len(wire))
					in.in, wire = append(in.in, wire[:n]...), wire[n:]
				}
				if string(got) != string(want) {
					t.Fatalf("%d bytes of %d arrived", len(got), len(want))
				}
			})
		}
	}
}
