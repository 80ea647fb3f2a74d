// Package limits dials servers with every combination of the options that limit the
// memory of compression. It serves the tests of package interop and of the
// module in servers.
package limits

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// Combinations are combinations of the options that limit memory, at and beyond the
// values at which the offer changes.
func Combinations() (all []*websocket.CompressionOptions) {
	for _, bits := range []int{0, 8, 9, 10, 12, 15} {
		for _, budget := range []int{0, 1, 8192, 40_000} {
			for i := range 4 {
				all = append(all, &websocket.CompressionOptions{
					Threshold: 1, WindowBits: bits, MemoryBudget: budget,
					ServerNoContextTakeover: i&1 != 0, ClientNoContextTakeover: i&2 != 0,
				})
			}
		}
	}
	return all
}

// Try dials, exchanges some messages, and reports whether they were compressed.
//
// The test fails if the negotiated parameters are beyond the options, or do not work.
// If Dial has refused a 101 response, the server's answer must be beyond the options,
// and the error must say what to set; Try then returns it as refused.
func Try(t *testing.T, url string, o *websocket.CompressionOptions) (compressed bool, refused error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	squeezed, ended := 0, make(chan struct{}) // compressed frames that came
	opts := &websocket.DialOptions{Options: websocket.Options{Compression: o}}
	opts.Trace = &websocket.Trace{FrameIn: func(_ *websocket.Conn, h websocket.Header) {
		if h.RSV&websocket.RSV1 != 0 {
			squeezed++
		}
	}, Close: func(*websocket.Conn, error) { close(ended) }}
	c, resp, err := websocket.Dial(ctx, url, opts)
	if resp == nil || err != nil && resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v: %v", *o, err)
	}
	answer := resp.Header.Get("Sec-WebSocket-Extensions")
	if (err == nil) != holds(o, answer) || err != nil && !strings.Contains(err.Error(), "; set ") {
		t.Errorf("%+v, answer %q: %v", *o, answer, err)
	}
	if err != nil {
		return false, err
	}
	defer c.CloseNow()
	for i, want := range messages() {
		if err := c.Write(ctx, websocket.Binary, want); err != nil {
			t.Fatalf("%+v, answer %q: message %d: %v", *o, answer, i, err)
		}
		_, got, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("%+v, answer %q: message %d: %v", *o, answer, i, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%+v, answer %q: message %d of %d bytes came back as %d others", *o, answer, i, len(want), len(got))
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("%+v, answer %q: Close: %v", *o, answer, err)
	}
	<-ended
	if (squeezed > 0) != (answer != "") {
		t.Errorf("%+v, answer %q: %d frames were compressed", *o, answer, squeezed)
	}
	return answer != "", nil
}

// holds reports whether the server's half of an answer is within the options. The
// client's half always is, since the client decides.
func holds(o *websocket.CompressionOptions, answer string) bool {
	if answer == "" || strings.Contains(answer, "server_no_context_takeover") {
		return true
	}
	bits := 15
	if _, value, ok := strings.Cut(answer, "server_max_window_bits="); ok {
		value, _, _ = strings.Cut(value, ";")
		bits, _ = strconv.Atoi(value)
	}
	return (o.WindowBits == 0 || bits <= o.WindowBits) && (o.MemoryBudget == 0 || 1<<bits <= o.MemoryBudget)
}

// messages are alike, so that the later ones refer to the earlier ones wherever
// that is allowed, at all distances up to and beyond the largest window.
func messages() (all [][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string { return fmt.Sprintf("%x ", rng.Uint32N(5000)) }
	var text strings.Builder
	for text.Len() < 50_000 {
		text.WriteString(word())
	}
	for _, size := range []int{10, 300, 300, 2000, 9000, 300, 50_000, 300, 20_000, 2000} {
		all = append(all, []byte(text.String()[:size]))
	}
	return all
}
