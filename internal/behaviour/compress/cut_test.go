package compress_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// TestAbandonedCompressedReader: a reader that has enough does not keep the
// next messages from being understood.
func TestAbandonedCompressedReader(t *testing.T) {
	for i, p := range deflatetest.Kinds[:2] {
		wire, want := deflatetest.TakeoverWire(p.RecvTakeover, wstest.Frame)
		for _, tr := range wstest.Transports {
			for name, read := range readings {
				if name == "drained Reader" {
					continue
				}
				c, peer := compressedServer(t, tr.Pair, websocket.Options{}, p)
				go peer.Write(wire)
				for j, msg := range want {
					if j%2 == 0 {
						_, r, err := c.Reader(bg)
						if err != nil {
							t.Fatal(err)
						}
						// Nothing, a few bytes, or all but the end.
						part := make([]byte, []int{0, min(len(msg), 7), len(msg)}[j/2%3])
						if n, err := io.ReadFull(r, part); n > 0 && (err != nil || string(part) != msg[:n]) {
							t.Errorf("%d, %s: %q, %v", i, name, part[:n], err)
						}
						continue
					}
					if got, err := read(bg, c); err != nil || got != msg {
						t.Fatalf("%d, %s, %s: message %d: %.100q, %v", i, tr.Name, name, j, got, err)
					}
				}
			}
		}
	}
}

// TestCloseInsideCompressedMessage: the closing handshake is completed,
// wherever the message under way was left.
func TestCloseInsideCompressedMessage(t *testing.T) {
	msg := strings.Repeat("ü", 200)
	z := deflatetest.Deflated(msg)
	whole := wstest.Frame(0xc1, z)
	fragments := append(wstest.Frame(0x41, z[:3]), wstest.Frame(0x80, z[3:])...)
	for _, tr := range wstest.Transports {
		for i, p := range deflatetest.Kinds[:2] {
			for _, wire := range [][]byte{whole, fragments} {
				for _, sent := range []int{7, 9, 12, len(wire) - 1, len(wire)} {
					for _, read := range []int{-1, 0, 1, 7, 399} {
						c, peer := compressedServer(t, tr.Pair, websocket.Options{}, p)
						peer.Write(wire[:sent])
						if read >= 0 {
							ctx, cancel := context.WithCancel(bg)
							done := make(chan struct{})
							go func() {
								defer close(done)
								if _, r, err := c.Reader(ctx); err == nil {
									io.ReadFull(r, make([]byte, read)) // or as much as there is
								}
							}()
							wstest.Until(t, "it has enough, or all", func() bool {
								select {
								case <-done:
									return true
								default:
									return c.Stats().BytesRead == uint64(sent)
								}
							})
							cancel()
							<-done
						}
						closed := make(chan error, 1)
						go func() { closed <- c.Close(websocket.StatusGoingAway, "") }()
						r := &conntest.FrameReader{NC: peer}
						if f, err := r.Next(); err != nil || f.Opcode != websocket.OpClose {
							t.Fatal(f, err)
						}
						// Input that still comes is discarded unseen.
						peer.Write(wire[sent:])
						peer.Write(append(wstest.Frame(0xc1, "\x06\xff"), wstest.Frame(0xc1, z)...))
						peer.Write(conntest.CloseFrame(true, websocket.StatusGoingAway, ""))
						if err := <-closed; err != nil {
							t.Errorf("%s, %d: %d bytes sent, %d read: %v", tr.Name, i, sent, read, err)
						}
					}
				}
			}
		}
	}
}

// TestReadAppendKeepsToItsMemory: a call that is given memory, and goes on
// while the connection closes, neither inflates into it nor gives it away.
func TestReadAppendKeepsToItsMemory(t *testing.T) {
	c, peer := compressedServer(t, wstest.Transports[0].Pair, websocket.Options{}, deflatetest.Kinds[0])
	first := conntest.Frame(websocket.OpBinary, true, true, strings.Repeat("a", 100))
	peer.Write(first[:50])
	dst := make([]byte, 512) // as large as a buffer of the pool
	done := make(chan error, 1)
	go func() { done <- wstest.Third(c.ReadAppend(bg, dst[:0])) }()
	wstest.Until(t, "it reads", func() bool { return c.Stats().BytesRead == 50 })
	closed := make(chan error, 1)
	go func() { closed <- c.Close(websocket.StatusGoingAway, "") }()
	<-c.Context().Done()
	peer.Write(first[50:])
	peer.Write(wstest.Frame(0xc2, deflatetest.Deflated(strings.Repeat("b", 5000))))
	peer.Write(conntest.CloseFrame(true, websocket.StatusGoingAway, ""))
	if err := <-done; websocket.CloseCode(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if strings.Contains(string(dst), "b") {
		t.Error("a message that nobody gets was inflated into the caller's memory")
	}
}
