package loop_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestMain(m *testing.M) { os.Exit(wstest.Main(m)) }

var bg = context.Background()

// soakTime is how long the soak test runs. It comes from the environment:
// SOAK=5m. Without it there is no soak, since what is random belongs to who
// looks at the outcome.
func soakTime(t *testing.T) time.Duration {
	s := os.Getenv("SOAK")
	if s == "" {
		t.Skip("SOAK is not set")
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newSoakConn(t *testing.T, rnd *rand.Rand, id uint32, logger *slog.Logger) (server *websocket.Conn, s *soakConn) {
	a, b := conntest.LoopKinds[rnd.IntN(2)].Pair(t)
	s = &soakConn{t: t, id: id, rnd: rnd, raw: a, closed: make(chan error, 1)}
	if rnd.IntN(3) == 0 {
		if _, ok := a.(*net.TCPConn); ok {
			a, b = wstest.TLSOver(t, a, conntest.Pollable(t, b))
		}
	}
	// A handler that stalls hears of the end by the second ping.
	opts := websocket.ConnOptions{Options: websocket.Options{
		ReadLimit: 2 << 20, PingInterval: 200 * time.Millisecond, PongTimeout: 10 * time.Second, Logger: logger,
	}}
	if rnd.IntN(3) == 0 {
		opts.Compression = &websocket.CompressionOptions{Level: 1, Threshold: 100, WindowBits: 12}
		opts.Extensions = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
		if rnd.IntN(2) == 0 {
			opts.Extensions += "; server_no_context_takeover; client_no_context_takeover"
		}
	}
	server = conntest.NewWith(t, b, &opts)
	opts.Client = true
	s.client = conntest.NewWith(t, a, &opts)
	return server, s
}
