//go:build !ws_unix && !ws_plain

package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// narrowPair is a TCP connection to a peer that takes few bytes, in small packets.
func narrowPair(t testing.TB) (peer, nc net.Conn) {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if cerr := rc.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	ln, err := small.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if nc, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if peer, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return peer, nc
}

// TestTLSSendNeverWaits: the socket is writable, but a record that it takes alone
// may be too large for what room it has: because of its send buffer, or of
// LimitUnsent, which for a Unix socket sets that.
func TestTLSSendNeverWaits(t *testing.T) {
	for _, k := range []struct {
		name          string
		pair          func(testing.TB) (net.Conn, net.Conn)
		buffer, limit int
	}{
		{"tcp/buffer", narrowPair, 1, 0},
		{"tcp/limit", narrowPair, 0, 2000},
		{"unix/buffer", wstest.UnixPair, 1, 0},
		{"unix/limit", wstest.UnixPair, 0, 1},
	} {
		for _, size := range []int{4000, 4090} {
			t.Run(fmt.Sprintf("%s/%d", k.name, size), func(t *testing.T) {
				t.Parallel()
				a, b := k.pair(t)
				if k.buffer > 0 {
					if err := b.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(k.buffer); err != nil {
						t.Fatal(err)
					}
				}
				client, server := tlsOver(t, a, b)
				c := newConn(server.(*tls.Conn), connConfig{opts: Options{}.withDefaults()})
				defer client.Close()
				defer c.CloseNow()
				if k.limit > 0 {
					if err := c.LimitUnsent(k.limit); err != nil {
						t.Fatal(err)
					}
				}
				late := time.AfterFunc(10*time.Second, func() {
					t.Error("Send waits")
					a.Close()
				})
				defer late.Stop()
				p := make([]byte, size)
				for {
					if err := c.Send(Binary, p); errors.Is(err, ErrBackpressure) {
						return
					} else if err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}
