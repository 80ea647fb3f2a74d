package dial_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/dial"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

// wrapped stands for the wrapper that the library puts under TLS.
type wrapped struct{ net.Conn }

func wrap(nc net.Conn) net.Conn { return wrapped{nc} }

func unwrap(nc net.Conn) net.Conn {
	if w, ok := nc.(wrapped); ok {
		return w.Conn
	}
	return nc
}

// dialHandshake makes a connection as websocket.Dial does, and returns it as it is
// below the frames, with the bytes behind the response. It does not judge the
// headers of a 101.
func dialHandshake(ctx context.Context, rawURL string, opts *websocket.DialOptions) (nc net.Conn, early []byte, resp *http.Response, err error) {
	if opts == nil {
		opts = new(websocket.DialOptions)
	}
	target, err := dial.ParseURL(rawURL)
	if err != nil {
		return nil, nil, nil, err
	}
	x, err := dial.New(ctx, target, dial.Config{
		Header:  opts.Header,
		Client:  opts.HTTPClient,
		Timeout: cmp.Or(opts.HandshakeTimeout, time.Minute),
		Sign: func(h http.Header) {
			h.Set("Upgrade", "websocket")
			h.Set("Connection", "Upgrade")
			h.Set("Sec-WebSocket-Key", base64.StdEncoding.EncodeToString([]byte(rand.Text()[:16])))
			h.Set("Sec-WebSocket-Version", "13")
		},
		Wrap:   wrap,
		Unwrap: unwrap,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	defer x.End()
	resp, err = x.Do()
	if err != nil {
		return nil, nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, err := x.Refused(resp)
		return nil, nil, nil, fmt.Errorf("refused: %s, %q, %w", resp.Status, body, err)
	}
	nc, early, err = x.TakeOver(resp)
	return nc, early, resp, err
}

// dialTestOptions are options to dial with rt.
func dialTestOptions(rt http.RoundTripper) *websocket.DialOptions {
	return &websocket.DialOptions{HTTPClient: &http.Client{Transport: rt}}
}

// dialTestConn dials and returns the connection below the frames, closed when the
// test ends, and the bytes that came early.
func dialTestConn(t *testing.T, url string, opts *websocket.DialOptions) (net.Conn, []byte, *http.Response) {
	t.Helper()
	nc, early, resp, err := dialHandshake(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, early, resp
}

// dialTestEcho checks that bytes go both ways, beginning with the early ones.
func dialTestEcho(t *testing.T, nc net.Conn, early []byte, want string) {
	t.Helper()
	// Not by a deadline: that there is none left over is part of the test.
	defer time.AfterFunc(10*time.Second, func() { nc.Close() }).Stop()
	if len(early) > len(want) {
		t.Fatalf("%d bytes came early, only %d were sent", len(early), len(want))
	}
	const ping = "how do you do?"
	if _, err := io.WriteString(nc, ping); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want)-len(early)+len(ping))
	if _, err := io.ReadFull(nc, got); err != nil {
		t.Fatalf("reading behind %d early bytes: %v", len(early), err)
	}
	if got := string(early) + string(got); got != want+ping {
		t.Fatalf("got %d bytes that differ from the %d sent", len(got), len(want+ping))
	}
}

// dialTestRefused checks that err is a refusal with this status, and that its
// text holds want.
func dialTestRefused(t *testing.T, err error, status int, want string) *websocket.HandshakeError {
	t.Helper()
	var he *websocket.HandshakeError
	if !errors.As(err, &he) {
		t.Fatalf("got %v, want a HandshakeError", err)
	}
	if he.Status != status || !strings.Contains(err.Error(), want) {
		t.Fatalf("got status %d, %q; want %d, %q", he.Status, err, status, want)
	}
	return he
}
