package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// Compressed messages that are cut off: by a context, by a reader that has
// enough, by the end of the connection.

// takeoverWire is a stream of compressed messages, and what they are. With
// takeover they refer to each other.
func takeoverWire(takeover bool) (wire []byte, msgs []string) {
	d := newDeflater()
	add := func(parts ...string) {
		b0 := byte(0x41)
		for i, p := range parts {
			if i == len(parts)-1 {
				b0 |= 0x80
			}
			wire = append(wire, encode(true, wireFrame{b0, d.part(p, b0&0x80 != 0)}, wireFrame{0x89, "ping"})...)
			b0 = 0
		}
		msgs = append(msgs, strings.Join(parts, ""))
		if !takeover {
			d.w.Reset(&d.buf)
		}
	}
	a, b := string(compressible(700, 3)), string(compressible(300, 3))
	add(b)
	add(a[:200], "", "ü"[:1], "ü"[1:]+a[200:], "")
	wire = append(wire, frame(OpText, true, true, "plain")...)
	msgs = append(msgs, "plain")
	add(strings.Repeat(a[:400], 100))
	add(b)
	add("")
	add(a, b)
	return wire, msgs
}

// TestCancelledCompressedRead: nothing is lost, wherever a read is cut off, and
// whichever way the next one reads.
func TestCancelledCompressedRead(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range readings {
		if name != "drained Reader" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	ways := map[string]func(i int) string{"mixed": func(i int) string { return names[i*7%len(names)] }}
	for _, name := range names {
		ways[name] = func(int) string { return name }
	}
	for i, p := range compressions[:2] {
		wire, want := takeoverWire(p.RecvTakeover)
		for way, name := range ways {
			for _, tr := range transports {
				t.Run(fmt.Sprintf("%d/%s/%s", i, way, tr.name), func(t *testing.T) {
					t.Parallel()
					step := 11
					switch {
					case tr.name != "pipe" || raceEnabled:
					case way == "mixed" || os.Getenv("SOAK") != "":
						step = 1
					default:
						step = 4
					}
					c, peer := compressedServer(t, tr.pair, Options{}, p)
					testCancelledReads(t, c, peer, wire, want, step, name)
				})
			}
		}
	}
}

func testCancelledReads(t *testing.T, c *Conn, peer net.Conn, wire []byte, want []string, step int, way func(i int) string) {
	var got []string
	rest, calls := "", 0
	var stream resumedReader
	read := func(ctx context.Context, name string) (string, error) {
		if name == "Reader" || stream.r != nil { // any other would discard the rest
			return stream.read(ctx, c)
		}
		return readings[name](ctx, c)
	}
	for done := 0; done < len(wire); {
		piece := wire[done:min(done+step, len(wire))]
		done += len(piece)
		ctx, cancel := context.WithCancel(bg)
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			peer.Write(piece)
			until(t, "bytes read", func() bool { return c.Stats().BytesRead >= uint64(done) })
			cancel()
		}()
		for {
			calls++
			p, err := read(ctx, way(calls))
			if err == nil {
				got = append(got, rest+p)
				rest = ""
				continue
			}
			if !errors.Is(err, context.Canceled) || CloseCode(err) != 0 {
				t.Fatalf("byte %d: %v", done, err)
			}
			rest += p
			break
		}
		<-fed
	}
	// A read that has found its context ended leaves what it could have had.
	for len(got) < len(want) {
		p, err := read(bg, way(0))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rest+p)
		rest = ""
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d messages\n%.1000q\nwant\n%.1000q", len(got), got, want)
	}
}

// TestAbandonedCompressedReader: a reader that has enough does not keep the
// next messages from being understood.
func TestAbandonedCompressedReader(t *testing.T) {
	for i, p := range compressions[:2] {
		wire, want := takeoverWire(p.RecvTakeover)
		for _, tr := range transports {
			for name, read := range readings {
				if name == "drained Reader" {
					continue
				}
				c, peer := compressedServer(t, tr.pair, Options{}, p)
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
						t.Fatalf("%d, %s, %s: message %d: %.100q, %v", i, tr.name, name, j, got, err)
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
	z := deflated(msg)
	whole := encode(true, wireFrame{0xc1, z})
	fragments := encode(true, wireFrame{0x41, z[:3]}, wireFrame{0x80, z[3:]})
	for _, tr := range transports {
		for i, p := range compressions[:2] {
			for _, wire := range [][]byte{whole, fragments} {
				for _, sent := range []int{7, 9, 12, len(wire) - 1, len(wire)} {
					for _, read := range []int{-1, 0, 1, 7, 399} {
						c, peer := compressedServer(t, tr.pair, Options{}, p)
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
							until(t, "it has enough, or all", func() bool {
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
						go func() { closed <- c.Close(StatusGoingAway, "") }()
						r := &frameReader{nc: peer}
						if f, err := r.next(); err != nil || f.Opcode != OpClose {
							t.Fatal(f, err)
						}
						// What still comes is discarded, and not even looked at.
						peer.Write(wire[sent:])
						peer.Write(encode(true, wireFrame{0xc1, "\x06\xff"}, wireFrame{0xc1, z}))
						peer.Write(closeFrame(true, StatusGoingAway, ""))
						if err := <-closed; err != nil {
							t.Errorf("%s, %d: %d bytes sent, %d read: %v", tr.name, i, sent, read, err)
						}
					}
				}
			}
		}
	}
}

// TestCloseUnderCompressedRead: likewise, with a call that reads under way.
func TestCloseUnderCompressedRead(t *testing.T) {
	for _, tr := range transports {
		for i, p := range compressions[:2] {
			wire, _ := takeoverWire(p.RecvTakeover)
			for name, read := range readings {
				for _, sent := range []int{0, 1, 20, 150, 300, 500} {
					c, peer := compressedServer(t, tr.pair, Options{}, p)
					peer.Write(wire[:sent])
					read1 := make(chan error, 1)
					go func() {
						for {
							if _, err := read(bg, c); err != nil {
								read1 <- err
								return
							}
						}
					}()
					until(t, "it reads", func() bool { return c.Stats().BytesRead == uint64(sent) && c.in.readLock.busy() })
					closed := make(chan error, 1)
					go func() { closed <- c.Close(StatusGoingAway, "") }()
					r := &frameReader{nc: peer}
					f := rawFrame{}
					for f.Opcode != OpClose {
						var err error
						if f, err = r.next(); err != nil {
							t.Fatal(err)
						}
					}
					peer.Write(wire[sent:])
					peer.Write(encode(true, wireFrame{0xc1, "\x06\xff"}))
					peer.Write(closeFrame(true, StatusGoingAway, ""))
					if err := <-closed; err != nil {
						t.Errorf("%s, %d, %s: %d bytes sent: %v", tr.name, i, name, sent, err)
					}
					if err := <-read1; CloseCode(err) != StatusGoingAway {
						t.Errorf("%s: the reader got %v", name, err)
					}
				}
			}
		}
	}
}

// TestReadAppendKeepsToItsMemory: a call that is given memory, and goes on
// while the connection closes, neither inflates into it nor gives it away.
func TestReadAppendKeepsToItsMemory(t *testing.T) {
	c, peer := compressedServer(t, transports[0].pair, Options{}, compressions[0])
	first := frame(OpBinary, true, true, strings.Repeat("a", 100))
	peer.Write(first[:50])
	dst := make([]byte, 512) // as large as a buffer of the pool
	done := make(chan error, 1)
	go func() { done <- third(c.ReadAppend(bg, dst[:0])) }()
	until(t, "it reads", func() bool { return c.Stats().BytesRead == 50 })
	closed := make(chan error, 1)
	go func() { closed <- c.Close(StatusGoingAway, "") }()
	<-c.Context().Done()
	peer.Write(first[50:])
	peer.Write(encode(true, wireFrame{0xc2, deflated(strings.Repeat("b", 5000))}))
	peer.Write(closeFrame(true, StatusGoingAway, ""))
	if err := <-done; CloseCode(err) != StatusGoingAway {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if strings.Contains(string(dst), "b") {
		t.Error("a message that nobody gets was inflated into the caller's memory")
	}
}
