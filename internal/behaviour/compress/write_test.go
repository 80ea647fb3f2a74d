package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// overCompressing runs f over every transport with a client that compresses as p
// says, and its peer.
func overCompressing(t *testing.T, p extension.Deflate, f func(t *testing.T, c *websocket.Conn, peer *deflatetest.Peer)) {
	for _, tr := range wstest.Transports {
		t.Run(tr.Name, func(t *testing.T) {
			nc, peer := tr.Pair(t)
			c := compressing(t, nc, true, websocket.Options{}, p)
			defer peer.Close()
			defer c.CloseNow()
			f(t, c, inflatingPeer(t, peer, p))
		})
	}
}

// TestWhatIsCompressed: large enough, smaller for it, and not forbidden. What
// leaves as it is does not disturb the history of the rest.
func TestWhatIsCompressed(t *testing.T) {
	for i, p := range deflatetest.Kinds {
		p.Threshold = 100
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			overCompressing(t, p, func(t *testing.T, c *websocket.Conn, peer *deflatetest.Peer) {
				text, random := string(deflatetest.Text(3000, 3)), string(wstest.Noise(3000, 1))
				for j, tt := range []struct {
					msg        string
					plain      bool // WriteUncompressed
					compressed bool
				}{
					{msg: text[:100], compressed: true},
					{msg: text[:99]},
					{msg: ""},
					{msg: text, compressed: true},
					{msg: random},
					{msg: text, compressed: true},
					{msg: text, plain: true},
					{msg: random[:500]},
					{msg: text[1000:] + random[:40], compressed: true},
					{msg: random[100:201]},
					{msg: random[200:300]},
					{msg: random, plain: true},
					{msg: text, compressed: true},
					// Larger than the window, which it pushes out.
					{msg: strings.Repeat(random, 15) + string(wstest.Noise(50_000, 9)), compressed: true},
					{msg: string(wstest.Noise(50_000, 7))},
					{msg: text, compressed: true},
				} {
					errs := make(chan error, 1)
					go func() {
						if tt.plain {
							errs <- c.WriteUncompressed(bg, websocket.Binary, []byte(tt.msg))
						} else {
							errs <- c.Write(bg, websocket.Binary, []byte(tt.msg))
						}
					}()
					if got := peer.Next(); got != tt.msg {
						t.Fatalf("message %d of %d bytes arrived as %d", j, len(tt.msg), len(got))
					}
					if err := <-errs; err != nil {
						t.Fatal(err)
					}
					if peer.RSV1 != tt.compressed || peer.Frames != 1 {
						t.Errorf("message %d: compressed %v, in %d frames", j, peer.RSV1, peer.Frames)
					}
				}
			})
		})
	}
}

// TestIncompressibleWithTakeover: what was tried and not sent is nothing that
// a later message may refer to.
func TestIncompressibleWithTakeover(t *testing.T) {
	p := extension.Deflate{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true}
	overCompressing(t, p, func(t *testing.T, c *websocket.Conn, peer *deflatetest.Peer) {
		random := string(wstest.Noise(2000, 1))
		for i := range 3 {
			if err := c.Write(bg, websocket.Binary, []byte(random)); err != nil {
				t.Fatal(err)
			}
			// The same again compresses well only for one who has seen it.
			if got := peer.Next(); got != random || peer.RSV1 {
				t.Errorf("%d: %d bytes, compressed %v", i, len(got), peer.RSV1)
			}
		}
		twice := random[:1000] + random[:1000]
		for i := range 3 {
			if err := c.Write(bg, websocket.Binary, []byte(twice)); err != nil {
				t.Fatal(err)
			}
			if got := peer.Next(); got != twice || !peer.RSV1 {
				t.Errorf("%d: %d bytes, compressed %v", i, len(got), peer.RSV1)
			}
		}
	})
}

// TestLevels: a better level makes it smaller.
func TestLevels(t *testing.T) {
	size := func(level int) uint64 {
		a, b := bufpipe.New(1 << 20)
		defer b.Close()
		c := compressing(t, a, false, websocket.Options{}, extension.Deflate{Level: level, SendBits: 15, RecvBits: 15})
		defer c.CloseNow()
		if err := c.Write(bg, websocket.Text, deflatetest.Text(50_000, 7)); err != nil {
			t.Fatal(err)
		}
		return c.Stats().BytesWritten
	}
	if one, five, nine := size(1), size(5), size(9); one <= five || five <= nine {
		t.Errorf("levels 1, 5 and 9 make %d, %d and %d bytes", one, five, nine)
	}
}

// TestCompressedWriter: RSV1 is on the first fragment, and that decides.
func TestCompressedWriter(t *testing.T) {
	for i, p := range deflatetest.Kinds {
		p.Threshold = 100
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			overCompressing(t, p, func(t *testing.T, c *websocket.Conn, peer *deflatetest.Peer) {
				text := string(deflatetest.Text(100_000, 3))
				for _, tt := range []struct {
					parts      []string
					frames     int
					compressed bool
				}{
					{[]string{text[:50], text[50:99]}, 1, false},
					{[]string{text[:50], text[50:100]}, 1, true},
					{nil, 1, false},
					{[]string{string(wstest.Noise(1000, 2))}, 1, false},
					{[]string{text[:(16 << 10)], "x"}, 2, true},
					{[]string{text[:10_000], text[10_000:40_000], text[40_000:]}, 0, true},
					{[]string{string(wstest.Noise(50_000, 3)), text[:1000]}, 2, true}, // too late to say no
					{[]string{text}, 2, true},
				} {
					errs := make(chan error, 1)
					go func() {
						w, err := c.Writer(bg, websocket.Binary)
						if err != nil {
							errs <- err
							return
						}
						for _, p := range tt.parts {
							io.WriteString(w, p)
						}
						errs <- w.Close()
					}()
					want := strings.Join(tt.parts, "")
					if got := peer.Next(); got != want {
						t.Fatalf("%d bytes arrived as %d", len(want), len(got))
					}
					if err := <-errs; err != nil {
						t.Fatal(err)
					}
					if peer.RSV1 != tt.compressed || tt.frames != 0 && peer.Frames != tt.frames {
						t.Errorf("%d bytes: compressed %v, in %d frames, want %v, %d", len(want), peer.RSV1, peer.Frames, tt.compressed, tt.frames)
					}
				}
			})
		})
	}
}

// TestConcurrentCompressedWrites: whatever meets, every message arrives as it
// was, and those of one goroutine in their order.
func TestConcurrentCompressedWrites(t *testing.T) {
	const writers, each = 8, 60
	for i, p := range deflatetest.Kinds {
		for _, tr := range wstest.Transports {
			t.Run(fmt.Sprintf("%d/%s", i, tr.Name), func(t *testing.T) {
				a, b := tr.Pair(t)
				client := compressing(t, a, true, websocket.Options{}, p)
				server := compressing(t, b, false, websocket.Options{}, deflatetest.Mirror(p))
				defer client.CloseNow()
				defer server.CloseNow()
				message := func(w, n int) []byte {
					size := []int{10, 300, 150, 2000, 20_000, 1}[(w+n)%6]
					return append([]byte(fmt.Sprintf("%d %d ", w, n)), deflatetest.Text(size, w+1)...)
				}
				var wg sync.WaitGroup
				for w := range writers {
					ctx, cancel := context.WithCancel(bg)
					defer cancel()
					wg.Go(func() {
						for n := range each {
							var err error
							switch msg := message(w, n); (w + n) % 9 {
							case 0:
								err = client.WriteUncompressed(ctx, websocket.Text, msg)
							case 1:
								var mw io.WriteCloser
								if mw, err = client.Writer(ctx, websocket.Text); err == nil {
									mw.Write(msg)
									err = mw.Close()
								}
							case 2:
								// One that may or may not arrive: it is given up while it waits.
								short, stop := context.WithCancel(bg)
								go stop()
								if err := client.Write(short, websocket.Text, []byte("maybe")); err != nil && websocket.CloseCode(err) != 0 {
									return // in the middle of a frame
								}
								fallthrough
							default:
								err = client.Write(ctx, websocket.Text, msg)
							}
							if err != nil && websocket.CloseCode(err) == 0 {
								t.Error(err)
							}
						}
					})
				}
				go func() {
					wg.Wait()
					client.Close(websocket.StatusNormalClosure, "")
				}()
				var next [writers]int
				go conntest.EchoAll(client) // there are answers, too
				for m, err := range server.Messages(bg) {
					if err != nil {
						if websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
							t.Error(err)
						}
						return
					}
					if string(m.Data) == "maybe" {
						continue
					}
					var w, n int
					fmt.Sscan(string(m.Data[:min(len(m.Data), 10)]), &w, &n)
					if n != next[w] || !bytes.Equal(m.Data, message(w, n)) {
						t.Fatalf("writer %d: message %d of %d bytes in the place of %d", w, n, len(m.Data), next[w])
					}
					next[w]++
				}
				for w, n := range next {
					if n != each {
						t.Errorf("writer %d: %d messages of %d", w, n, each)
					}
				}
			})
		}
	}
}
