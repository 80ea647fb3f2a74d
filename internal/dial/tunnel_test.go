package dial

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
)

// TestTunnelBytes: what a proxy sends behind its answer belongs to the
// tunnel, wherever the packets are cut.
func TestTunnelBytes(t *testing.T) {
	const answer = "HTTP/1.1 200 Connection established\r\n\r\n" + "first words"
	for cut := range len(answer) {
		near, far := net.Pipe()
		go func() {
			if n, _ := far.Read(make([]byte, 1<<10)); n > 0 {
				io.WriteString(far, answer[:cut])
				io.WriteString(far, answer[cut:]+", and last")
			}
			far.Close()
		}()
		tr := newTransport(t.Context(), new(http.Transport), Target{}, nil)
		tunnel, err := tr.openTunnel(t.Context(), near, &url.URL{Scheme: "http", Host: "p"}, "a:1")
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(tunnel); string(b) != "first words, and last" || err != nil {
			t.Errorf("cut at %d: got %q, %v", cut, b, err)
		}
		near.Close()
	}
}
