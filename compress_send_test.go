package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/flate/flatetest"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// Compressed messages on their way out: which are, and in what order.

// inflatingPeer reads the messages of a connection from the wire.
type inflatingPeer struct {
	t      testing.TB
	r      *frameReader
	slow   flatetest.Inflater
	frames int // of the last message
	RSV1   bool
}

// newInflatingPeer returns the peer of a connection that sends as p says.
func newInflatingPeer(t testing.TB, nc net.Conn, p compression) *inflatingPeer {
	return &inflatingPeer{t: t, r: &frameReader{nc: nc}, slow: flatetest.Inflater{Window: 1 << p.SendBits, Takeover: p.SendTakeover}}
}

// next returns the next message, and checks the reserved bits of its frames.
func (p *inflatingPeer) next() string {
	p.t.Helper()
	var msg []byte
	for p.frames = 0; ; {
		f, err := p.r.next()
		switch {
		case err != nil:
			p.t.Fatalf("after %d frames: %v", p.frames, err)
		case f.Opcode.IsControl():
			continue
		case p.frames == 0:
			p.RSV1 = f.RSV == RSV1
		}
		if (f.Opcode == OpContinuation) != (p.frames > 0) || f.RSV&^RSV1 != 0 || f.RSV != 0 && p.frames > 0 {
			p.t.Fatalf("frame %d of a message has header %+v", p.frames, f.Header)
		}
		p.frames++
		if !p.RSV1 {
			msg = append(msg, f.payload...)
		} else if msg, err = p.slow.Part([]byte(f.payload), f.Fin); err != nil {
			p.t.Fatal(err)
		}
		if f.Fin {
			return string(msg)
		}
	}
}

// overCompressing runs f over every transport with a client that compresses as p
// says, and its peer.
func overCompressing(t *testing.T, p compression, f func(t *testing.T, c *Conn, peer *inflatingPeer)) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			nc, peer := tr.pair(t)
			c := newConn(nc, connConfig{client: true, opts: Options{}.withDefaults(), agreement: compressing(&p)})
			defer peer.Close()
			defer c.CloseNow()
			f(t, c, newInflatingPeer(t, peer, p))
		})
	}
}

// TestWhatIsCompressed: large enough, smaller for it, and not forbidden. What
// leaves as it is does not disturb the history of the rest.
func TestWhatIsCompressed(t *testing.T) {
	for i, p := range compressions {
		p.Threshold = 100
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			overCompressing(t, p, func(t *testing.T, c *Conn, peer *inflatingPeer) {
				text, random := string(compressible(3000, 3)), string(noise(3000, 1))
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
					{msg: strings.Repeat(random, 15) + string(noise(50_000, 9)), compressed: true},
					{msg: string(noise(50_000, 7))},
					{msg: text, compressed: true},
				} {
					errs := make(chan error, 1)
					go func() {
						if tt.plain {
							errs <- c.WriteUncompressed(bg, Binary, []byte(tt.msg))
						} else {
							errs <- c.Write(bg, Binary, []byte(tt.msg))
						}
					}()
					if got := peer.next(); got != tt.msg {
						t.Fatalf("message %d of %d bytes arrived as %d", j, len(tt.msg), len(got))
					}
					if err := <-errs; err != nil {
						t.Fatal(err)
					}
					if peer.RSV1 != tt.compressed || peer.frames != 1 {
						t.Errorf("message %d: compressed %v, in %d frames", j, peer.RSV1, peer.frames)
					}
				}
			})
		})
	}
}

// TestIncompressibleWithTakeover: what was tried and not sent is nothing that
// a later message may refer to.
func TestIncompressibleWithTakeover(t *testing.T) {
	p := compression{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true}
	overCompressing(t, p, func(t *testing.T, c *Conn, peer *inflatingPeer) {
		random := string(noise(2000, 1))
		for i := range 3 {
			if err := c.Write(bg, Binary, []byte(random)); err != nil {
				t.Fatal(err)
			}
			// The same again compresses well only for one who has seen it.
			if got := peer.next(); got != random || peer.RSV1 {
				t.Errorf("%d: %d bytes, compressed %v", i, len(got), peer.RSV1)
			}
		}
		twice := random[:1000] + random[:1000]
		for i := range 3 {
			if err := c.Write(bg, Binary, []byte(twice)); err != nil {
				t.Fatal(err)
			}
			if got := peer.next(); got != twice || !peer.RSV1 {
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
		c := newConn(a, connConfig{opts: Options{}.withDefaults(), agreement: compressing(&compression{Level: level, SendBits: 15, RecvBits: 15})})
		defer c.CloseNow()
		if err := c.Write(bg, Text, compressible(50_000, 7)); err != nil {
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
	for i, p := range compressions {
		p.Threshold = 100
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			overCompressing(t, p, func(t *testing.T, c *Conn, peer *inflatingPeer) {
				text := string(compressible(100_000, 3))
				for _, tt := range []struct {
					parts      []string
					frames     int
					compressed bool
				}{
					{[]string{text[:50], text[50:99]}, 1, false},
					{[]string{text[:50], text[50:100]}, 1, true},
					{nil, 1, false},
					{[]string{string(noise(1000, 2))}, 1, false},
					{[]string{text[:fragmentSize], "x"}, 2, true},
					{[]string{text[:10_000], text[10_000:40_000], text[40_000:]}, 0, true},
					{[]string{string(noise(50_000, 3)), text[:1000]}, 2, true}, // too late to say no
					{[]string{text}, 2, true},
				} {
					errs := make(chan error, 1)
					go func() {
						w, err := c.Writer(bg, Binary)
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
					if got := peer.next(); got != want {
						t.Fatalf("%d bytes arrived as %d", len(want), len(got))
					}
					if err := <-errs; err != nil {
						t.Fatal(err)
					}
					if peer.RSV1 != tt.compressed || tt.frames != 0 && peer.frames != tt.frames {
						t.Errorf("%d bytes: compressed %v, in %d frames, want %v, %d", len(want), peer.RSV1, peer.frames, tt.compressed, tt.frames)
					}
				}
			})
		})
	}
}

// withTakeover keeps a window in the direction of writing.
var withTakeover = compression{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true}

// numbered returns a message that resembles the others, and begins with its name.
func numbered(name string) []byte { return append([]byte(name+": "), compressible(300, 3)...) }

func nameOf(msg string) string {
	name, rest, _ := strings.Cut(msg, ": ")
	if rest != string(compressible(300, 3)) {
		return fmt.Sprintf("%q, spoilt", name)
	}
	return name
}

// TestCancelledCompressedWrite: a message that was compressed and never left
// does not keep the following ones from being understood.
func TestCancelledCompressedWrite(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, c, nc := newShutConn(t, connConfig{client: client, agreement: compressing(&withTakeover)})
		peer := newInflatingPeer(t, nc, withTakeover)
		close(s.open)
		for i := range 4 {
			for _, name := range []string{"one", "two"} {
				if err := c.Write(bg, Text, numbered(name)); err != nil {
					t.Fatal(err)
				}
				if got := nameOf(peer.next()); got != name || !peer.RSV1 {
					t.Errorf("%d: got %s, compressed %v", i, got, peer.RSV1)
				}
			}
			s.shutAgain()
			ctx, cancel := context.WithCancel(bg)
			errs := make(chan error, 1)
			go func() {
				if i%2 == 0 {
					errs <- c.Write(ctx, Text, append(numbered("lost"), noise(100, 1)[0]&0x7f))
					return
				}
				w, err := c.Writer(ctx, Text)
				if err == nil {
					_, err = w.Write(bytes.Repeat([]byte("lost"), fragmentSize/4))
				}
				errs <- err
			}()
			was := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.writes }
			until(t, "it writes", func() bool { return was() == 3*(i+1) })
			cancel()
			if err := <-errs; !errors.Is(err, context.Canceled) || CloseCode(err) != 0 {
				t.Fatal(err)
			}
			close(s.open)
		}
		if err := c.Write(bg, Text, numbered("last")); err != nil {
			t.Fatal(err)
		}
		if got := nameOf(peer.next()); got != "last" {
			t.Errorf("got %s", got)
		}
	}
}

// TestCompressedAnswerBehindCancelledWrite: an answer that would be held while
// somebody else writes must not refer to what that one may yet take back.
func TestCompressedAnswerBehindCancelledWrite(t *testing.T) {
	s, c, nc := newShutConn(t, connConfig{agreement: compressing(&withTakeover)})
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	first, answer := make(chan error, 1), make(chan error, 1)
	go func() { first <- c.Write(ctx, Text, numbered("first")) }()
	until(t, "it writes", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.writes == 1 })
	nc.Write(append(frame(OpText, true, true, "request"), frame(OpText, true, true, "and another")...))
	if _, _, err := c.Read(bg); err != nil {
		t.Fatal(err)
	}
	go func() { answer <- c.Write(bg, Text, numbered("answer")) }()
	until(t, "it waits, or is held", func() bool { return waiters(c) == 1 || len(answer) == 1 })
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(s.open)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if got := nameOf(newInflatingPeer(t, nc, withTakeover).next()); got != "answer" {
		t.Errorf("got %s", got)
	}
}

// TestCompressedWritersMeet: those that wait leave together, in the order in
// which they were compressed.
func TestCompressedWritersMeet(t *testing.T) {
	for _, client := range []bool{false, true} {
		s, c, nc := newShutConn(t, connConfig{client: client, agreement: compressing(&withTakeover)})
		const n = 50
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := c.Write(bg, Text, numbered(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
			})
			until(t, "it waits", func() bool { return busy(c) && waiters(c) == i })
		}
		close(s.open)
		wg.Wait()
		if s.writes != 2 {
			t.Errorf("client %v: %d writes, want 2", client, s.writes)
		}
		peer := newInflatingPeer(t, nc, withTakeover)
		seen := map[string]bool{}
		for range n {
			seen[nameOf(peer.next())] = true
		}
		if len(seen) != n || !seen["0"] || !seen["49"] {
			t.Errorf("arrived: %v", seen)
		}
		if n := c.Stats().BytesWritten; n > 50*60+300 {
			t.Errorf("%d bytes for messages that resemble each other", n)
		}
	}
}

// TestCompressedWritersMeetAndGiveUp: as without compression, and what was
// compressed for nothing is forgotten.
func TestCompressedWritersMeetAndGiveUp(t *testing.T) {
	s, c, nc := newShutConn(t, connConfig{agreement: compressing(&withTakeover)})
	errs := map[string]chan error{}
	cancels := map[string]context.CancelFunc{}
	write := func(name string) {
		ctx, cancel := context.WithCancel(bg)
		errs[name], cancels[name] = make(chan error, 1), cancel
		go func() { errs[name] <- c.Write(ctx, Text, numbered(name)) }()
	}
	want := func(name string, target error) {
		t.Helper()
		if err := <-errs[name]; !errors.Is(err, target) {
			t.Errorf("%s: %v, want %v", name, err, target)
		}
	}
	write("first")
	until(t, "it writes", func() bool { return busy(c) })
	for i, name := range []string{"leader", "follower", "leaves early", "goes along", "second follower"} {
		write(name)
		until(t, "it waits", func() bool { return waiters(c) == i+1 })
	}
	cancels["leaves early"]()
	want("leaves early", context.Canceled)
	cancels["first"]()
	want("first", context.Canceled)
	until(t, "all leave", func() bool { return waiters(c) == 0 && busy(c) })
	cancels["goes along"]()
	want("goes along", context.Canceled)
	cancels["leader"]()
	want("leader", context.Canceled)
	want("follower", nil)
	want("second follower", nil)
	close(s.open)
	for _, name := range []string{"almost last", "last"} {
		if err := c.Write(bg, Text, numbered(name)); err != nil {
			t.Fatal(err)
		}
	}
	peer := newInflatingPeer(t, nc, withTakeover)
	var names []string
	for len(names) == 0 || names[len(names)-1] != "last" {
		names = append(names, nameOf(peer.next()))
	}
	if fmt.Sprint(names) != "[follower goes along second follower almost last last]" {
		t.Errorf("arrived: %q", names)
	}
	for _, cancel := range cancels {
		cancel()
	}
}

// TestCompressedAnswersLeaveTogether: those to a batch of requests, in one
// write.
func TestCompressedAnswersLeaveTogether(t *testing.T) {
	for i, p := range compressions[:2] {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			a, nc := bufpipe.New(pipeSize)
			defer nc.Close()
			conn := &counted{Conn: a}
			c := newConn(conn, connConfig{opts: Options{}.withDefaults(), agreement: compressing(&p)})
			defer c.CloseNow()
			go echo(c)
			peer := newInflatingPeer(t, nc, p)
			d := newDeflater()
			const batches, each = 20, 16
			for range batches {
				var batch []byte
				for j := range each {
					batch = append(batch, encode(true, wireFrame{0xc1, d.part(string(numbered(fmt.Sprint(j))), true)})...)
					if !p.RecvTakeover {
						d.w.Reset(&d.buf)
					}
				}
				nc.Write(batch)
				for j := range each {
					if got := nameOf(peer.next()); got != fmt.Sprint(j) || !peer.RSV1 {
						t.Fatalf("%d: got %s, want %d; compressed %v", i, got, j, peer.RSV1)
					}
				}
			}
			c.out.lock()
			defer c.out.unlock()
			if conn.writes > 2*batches { // preemption can split a batch
				t.Errorf("%d: %d writes for %d batches", i, conn.writes, batches)
			}
		}()
	}
}

// TestConcurrentCompressedWrites: whatever meets, every message arrives as it
// was, and those of one goroutine in their order.
func TestConcurrentCompressedWrites(t *testing.T) {
	const writers, each = 8, 60
	for i, p := range compressions {
		for _, tr := range transports {
			t.Run(fmt.Sprintf("%d/%s", i, tr.name), func(t *testing.T) {
				a, b := tr.pair(t)
				q := p
				q.SendBits, q.RecvBits, q.SendTakeover, q.RecvTakeover = p.RecvBits, p.SendBits, p.RecvTakeover, p.SendTakeover
				client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults(), agreement: compressing(&p)})
				server := newConn(b, connConfig{opts: Options{}.withDefaults(), agreement: compressing(&q)})
				defer client.CloseNow()
				defer server.CloseNow()
				message := func(w, n int) []byte {
					size := []int{10, 300, 150, 2000, 20_000, 1}[(w+n)%6]
					return append([]byte(fmt.Sprintf("%d %d ", w, n)), compressible(size, w+1)...)
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
								err = client.WriteUncompressed(ctx, Text, msg)
							case 1:
								var mw io.WriteCloser
								if mw, err = client.Writer(ctx, Text); err == nil {
									mw.Write(msg)
									err = mw.Close()
								}
							case 2:
								// One that may or may not arrive: it is given up while it waits.
								short, stop := context.WithCancel(bg)
								go stop()
								if err := client.Write(short, Text, []byte("maybe")); err != nil && CloseCode(err) != 0 {
									return // in the middle of a frame
								}
								fallthrough
							default:
								err = client.Write(ctx, Text, msg)
							}
							if err != nil && CloseCode(err) == 0 {
								t.Error(err)
							}
						}
					})
				}
				go func() {
					wg.Wait()
					client.Close(StatusNormalClosure, "")
				}()
				var next [writers]int
				go echo(client) // there are answers, too
				for m, err := range server.Messages(bg) {
					if err != nil {
						if CloseCode(err) != StatusAbnormalClosure {
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

// greedy is a transport that overwrites, before each write, what the pools of
// buffers have to give.
type greedy struct{ transport.Conn }

func (g greedy) WriteAll(b *transport.Backlog) (int, error) {
	for size := 1 << 10; size <= 1<<20; size *= 2 {
		for range 4 {
			p := buffer.Get(size).B
			p = p[:cap(p)]
			for i := range p {
				p[i] = 0xff
			}
		}
	}
	return g.Conn.WriteAll(b)
}

// TestCompressedBehindOthers: a large message is in the buffer that it was compressed
// into until it is written, also if something leaves ahead of it.
func TestCompressedBehindOthers(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		p := compression{Level: 1, SendBits: 15, RecvBits: 15, SendTakeover: takeover}
		a, b := tcpPair(t)
		c := newConn(a, connConfig{opts: Options{PingInterval: -1}.withDefaults(), agreement: compressing(&p)})
		defer c.CloseNow()
		defer b.Close()
		c.t = greedy{c.t}
		peer := newInflatingPeer(t, b, p)
		msg := string(compressible(200<<10, 3))
		for range 5 {
			c.out.lock()
			c.out.queueLocked().control.pongs = c.appendControl(nil, OpPong, []byte("ahead"))
			c.out.unlock()
			if err := c.Write(t.Context(), Text, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			if got := peer.next(); got != msg {
				t.Fatalf("takeover %v: another message has arrived", takeover)
			}
		}
	}
}
