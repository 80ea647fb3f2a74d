package contract_test

import (
	"crypto/tls"
	"slices"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
)

// testTLS tests a server in both modes over TLS, or that it refuses to do that.
func testTLS(t *testing.T, path string, floor bool, supports []contract.Mode) {
	for _, mode := range []contract.Mode{contract.Conn, contract.Loop} {
		t.Run(string(mode)+",tls", func(t *testing.T) {
			flags := []string{"-mode", string(mode), "-tls"}
			if !slices.Contains(supports, mode) {
				if status := exitStatus(t, path, flags...); status != 3 {
					t.Errorf("exit status %d, want 3", status)
				}
				return
			}
			p := start(t, path, flags...)
			for _, size := range []int{1, 125, 5000, 100_000} {
				testSecureEcho(t, p, "/", size, floor)
			}
			for _, size := range []int{1, 125, 5000} { // together less than a queue may hold
				testSecureEcho(t, p, "/broadcast", size, floor)
			}
			p.terminate()
		})
	}
}

// testSecureEcho sends frames, the first of them in two records, and wants the bytes
// of a floor's reply, or the messages of another server.
func testSecureEcho(t *testing.T, p *process, path string, size int, floor bool) {
	t.Helper()
	c := dialSecure(t, p.addr, path)
	var first, rest []byte
	for i := range 5 {
		frame := masked(websocket.OpBinary, 0, payload(size, i))
		if i == 0 {
			first, rest = frame[:len(frame)/2], frame[len(frame)/2:]
		} else {
			rest = append(rest, frame...)
		}
	}
	c.write(first)
	c.write(rest)
	if floor {
		c.expect(slices.Concat(first, rest))
	} else {
		for i := range 5 {
			if _, got := c.readMessage(); string(got) != string(payload(size, i)) {
				t.Fatalf("%s: message %d of %d bytes comes back as %d others", path, i, size, len(got))
			}
		}
	}
	if state := c.Conn.(*tls.Conn).ConnectionState(); state.Version != tls.VersionTLS13 {
		t.Errorf("%s", tls.VersionName(state.Version))
	}
	c.Close()
}
