package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

var bg = context.Background()

// echo echoes messages until the connection ends, and returns how it did.
func echo(c *Conn) error {
	for m, err := range c.Messages(bg) {
		if err != nil {
			return err
		}
		if err := c.Write(bg, m.Type, m.Data); err != nil {
			return err
		}
	}
	return nil
}

func pattern(n int) []byte {
	return bytes.Repeat([]byte("abcdefghijklmnopqrstuvwxyz0123456789 "), n/37+1)[:n]
}

func TestEcho(t *testing.T) {
	overTransports(t, Options{ReadLimit: 20 << 20}, func(t *testing.T, client, server *Conn) {
		done := make(chan error, 1)
		go func() { done <- echo(server) }()
		sizes := []int{0, 1, 9, 10, 11, 125, 126, 1000, 4095, 4096, 16370, 16384, 16390, 65535, 65536, 1 << 20, 16 << 20}
		if raceEnabled {
			sizes = sizes[:len(sizes)-1] // the detector looks at every byte
		}
		for _, n := range sizes {
			want := pattern(n)
			for _, typ := range []MessageType{Text, Binary} {
				go client.Write(bg, typ, want)
				gotType, got, err := client.Read(bg)
				if err != nil || gotType != typ || !bytes.Equal(got, want) {
					t.Fatalf("%v of %d bytes: got %v of %d, %v", typ, n, gotType, len(got), err)
				}
			}
		}
		if err := client.Close(StatusNormalClosure, "done"); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error("Messages after a normal closure:", err)
		}
	})
}

// wireSample is a stream from the peer and what it means.
type wireSample struct {
	name   string
	wire   []byte
	msgs   []string // type initial and payload
	code   StatusCode
	remote bool
}

func wireSamples(masked bool) []wireSample {
	f := func(op Opcode, fin bool, p string) []byte { return frame(op, fin, masked, p) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	bye := closeFrame(masked, StatusNormalClosure, "bye")
	long := strings.Repeat("é", 100)
	return []wireSample{
		{"one text", join(f(OpText, true, "Hello"), bye), []string{"tHello"}, 1000, true},
		{"empty messages", join(f(OpText, true, ""), f(OpBinary, true, ""), bye), []string{"t", "b"}, 1000, true},
		{"two-byte length", join(f(OpText, true, long), bye), []string{"t" + long}, 1000, true},
		{"fragments with control frames between", join(
			f(OpText, false, "Zür"[:2]), f(OpPing, true, "p"), f(OpContinuation, false, "Zür"[2:3]), f(OpPong, true, ""),
			f(OpContinuation, false, ""), f(OpContinuation, true, "Zür"[3:]), bye), []string{"tZür"}, 1000, true},
		{"close without a code", join(f(OpBinary, true, "x"), closeFrame(masked, StatusNoStatus, "")), []string{"bx"}, StatusNoStatus, true},
		{"bad UTF-8", join(f(OpText, true, "ok"), f(OpText, true, "a\xff")), []string{"tok"}, StatusInvalidPayload, false},
		{"continuation of nothing", join(f(OpText, true, "ok"), f(OpContinuation, true, "x")), []string{"tok"}, StatusProtocolError, false},
		{"wrong masking", join(f(OpText, true, "ok"), frame(OpText, true, !masked, "x")), []string{"tok"}, StatusProtocolError, false},
		{"bad close code", closeFrame(masked, 1004, ""), nil, StatusProtocolError, false},
	}
}

// TestEveryCut feeds each sample in two pieces, cut at every byte, so that
// the connection must read in between.
func TestEveryCut(t *testing.T) {
	for _, client := range []bool{false, true} {
		for _, s := range wireSamples(!client) {
			t.Run(fmt.Sprintf("client=%v/%s", client, s.name), func(t *testing.T) {
				for _, tr := range transports {
					t.Run(tr.name, func(t *testing.T) {
						for cut := range s.wire {
							if tr.name != "pipe" && testing.Short() && cut%7 != 0 {
								continue
							}
							testCut(t, tr.pair, client, s, cut)
						}
					})
				}
			})
		}
	}
}

func testCut(t *testing.T, pair func(testing.TB) (net.Conn, net.Conn), client bool, s wireSample, cut int) {
	t.Helper()
	nc, peer := pair(t)
	if !client {
		nc, peer = peer, nc
	}
	c := newConn(nc, connConfig{client: client, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	defer peer.Close()
	go func() {
		peer.Write(s.wire[:cut])
		for c.Stats().BytesRead < uint64(cut) && c.Context().Err() == nil {
			time.Sleep(10 * time.Microsecond)
		}
		peer.Write(s.wire[cut:])
		io.Copy(io.Discard, peer)
		peer.Close()
	}()
	ctx, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	var msgs []string
	var err error
	for {
		var typ MessageType
		var p []byte
		if typ, p, err = c.Read(ctx); err != nil {
			break
		}
		msgs = append(msgs, typ.String()[:1]+string(p))
	}
	var ce *CloseError
	if !errors.As(err, &ce) || ce.Code != s.code || ce.Remote != s.remote || fmt.Sprint(msgs) != fmt.Sprint(s.msgs) {
		t.Fatalf("cut at %d: got %q, then %v; want %q, then code %v (remote %v)", cut, msgs, err, s.msgs, s.code, s.remote)
	}
}

func TestReadMethodsAgree(t *testing.T) {
	// Each way of reading gets one message of a cycle, in turn.
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		sizes := []int{0, 3, 200, 5000, 20000, 70000}
		go func() {
			for range 4 {
				for _, n := range sizes {
					client.Write(bg, Binary, pattern(n))
				}
			}
			client.Close(StatusNormalClosure, "")
		}()
		var got [][]byte
		buf := []byte("prefix")
		for i := 0; i < 4*len(sizes); i++ {
			switch i % 4 {
			case 0:
				_, p, err := server.Read(bg)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			case 1:
				_, p, err := server.ReadAppend(bg, buf)
				if err != nil || !bytes.HasPrefix(p, buf) {
					t.Fatal(err)
				}
				got = append(got, p[len(buf):])
			case 2:
				for m, err := range server.Messages(bg) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, bytes.Clone(m.Data))
					break
				}
			case 3:
				_, r, err := server.Reader(bg)
				if err != nil {
					t.Fatal(err)
				}
				p, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p)
			}
		}
		for i, p := range got {
			if !bytes.Equal(p, pattern(sizes[i%len(sizes)])) {
				t.Errorf("message %d: %d bytes, want %d", i, len(p), sizes[i%len(sizes)])
			}
		}
		if _, _, err := server.Read(bg); CloseCode(err) != StatusNormalClosure {
			t.Error(err)
		}
	})
}

func TestReaderLeftInTheMiddle(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		go func() {
			for i := range 4 {
				w, _ := client.Writer(bg, Text)
				for range 3 {
					fmt.Fprintf(w, "%d%s", i, pattern(20000))
				}
				w.Close()
			}
		}()
		var readers []io.Reader
		for i := range 3 {
			_, r, err := server.Reader(bg)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
			p := make([]byte, 1)
			if _, err := io.ReadFull(r, p); err != nil || int(p[0]-'0') != i {
				t.Fatalf("message %d begins with %q, %v", i, p, err)
			}
		}
		if _, err := readers[0].Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Error("a reader whose message was left still reads:", err)
		}
		_, p, err := server.Read(bg)
		if err != nil || p[0] != '3' || len(p) != 3*20001 {
			t.Fatal(len(p), err)
		}
	})
}

// TestCancelledReadLosesNothing cancels reads at every byte of a stream and
// in every way of reading.
func TestCancelledReadLosesNothing(t *testing.T) {
	wire := bytes.Join([][]byte{
		frame(OpText, true, true, "first"), frame(OpText, false, true, "sec"), frame(OpPing, true, true, "ping"),
		frame(OpContinuation, true, true, "ond"), frame(OpBinary, true, true, "third"),
	}, nil)
	ways := map[string]func(ctx context.Context, c *Conn) (string, error){
		"Read": func(ctx context.Context, c *Conn) (string, error) {
			_, p, err := c.Read(ctx)
			return string(p), err
		},
		"ReadAppend": func(ctx context.Context, c *Conn) (string, error) {
			_, p, err := c.ReadAppend(ctx, []byte("dst"))
			return strings.TrimPrefix(string(p), "dst"), err
		},
		"Messages": func(ctx context.Context, c *Conn) (string, error) {
			for m, err := range c.Messages(ctx) {
				return string(m.Data), err
			}
			return "", io.EOF
		},
		"Reader": func(ctx context.Context, c *Conn) (string, error) {
			// A stream has given away what it had before it was cancelled.
			_, r, err := c.Reader(ctx)
			if err != nil {
				return "", err
			}
			p, err := io.ReadAll(r)
			return string(p), err
		},
	}
	for name, read := range ways {
		t.Run(name, func(t *testing.T) {
			overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
				var got []string
				rest := ""
				for i := range wire {
					ctx, cancel := context.WithCancel(bg)
					fed := make(chan struct{})
					go func() {
						defer close(fed)
						peer.Write(wire[i : i+1])
						until(t, "byte read", func() bool { return c.Stats().BytesRead > uint64(i) })
						cancel()
					}()
					for {
						p, err := read(ctx, c)
						if err == nil {
							got = append(got, rest+p)
							rest = ""
							continue
						}
						if !errors.Is(err, context.Canceled) {
							t.Fatalf("byte %d: %v", i, err)
						}
						rest += p
						break
					}
					<-fed
				}
				if fmt.Sprint(got) != "[first second third]" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

func TestConcurrentReader(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		first := make(chan error, 1)
		go func() {
			_, _, err := server.Read(bg)
			first <- err
		}()
		until(t, "reader at work", server.in.reading.Load)
		if _, _, err := server.Read(bg); !errors.Is(err, ErrConcurrentRead) {
			t.Errorf("second Read: %v", err)
		}
		if _, _, err := server.Reader(bg); !errors.Is(err, ErrConcurrentRead) {
			t.Errorf("second Reader: %v", err)
		}
		for _, err := range server.Messages(bg) {
			if !errors.Is(err, ErrConcurrentRead) {
				t.Errorf("second Messages: %v", err)
			}
		}
		client.Write(bg, Text, []byte("x"))
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// TestLoan reads, attends and closes while the body of a loop holds on to
// its message.
func TestLoan(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		go func() {
			for i := range 6 {
				client.Write(bg, Text, bytes.Repeat([]byte{byte('0' + i)}, 50))
			}
			echo(client)
		}()
		until(t, "all there", func() bool { return client.Stats().MessagesWritten == 6 })
		check := func(p []byte, c byte) {
			t.Helper()
			if !bytes.Equal(p, bytes.Repeat([]byte{c}, 50)) {
				t.Errorf("loaned bytes have changed: %q, want %q", p, c)
			}
		}
		for m := range server.Messages(bg) {
			check(m.Data, '0')
			_ = append(m.Data, "scribble over what follows"...)
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '1')
			}
			check(m.Data, '0')
			for inner := range server.Messages(bg) {
				check(inner.Data, '2')
				for innermost := range server.Messages(bg) {
					check(innermost.Data, '3')
					check(inner.Data, '2')
					break
				}
				if _, p, err := server.Read(bg); err != nil {
					t.Fatal(err)
				} else {
					check(p, '4')
				}
				check(inner.Data, '2')
				break
			}
			if _, p, err := server.Read(bg); err != nil {
				t.Fatal(err)
			} else {
				check(p, '5')
			}
			if _, err := server.Ping(bg); err != nil {
				t.Fatal(err)
			}
			if err := server.Close(StatusNormalClosure, ""); err != nil {
				t.Fatal(err)
			}
			check(m.Data, '0')
			break
		}
	})
}

func TestManyWriters(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		const writers, each = 8, 40
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				for j := range each {
					p := bytes.Repeat([]byte{byte(i)}, j*700+1)
					if i%4 == 3 {
						w, err := client.Writer(bg, Binary)
						if err != nil {
							t.Error(err)
							return
						}
						for len(p) > 0 {
							n := min(len(p), 9000)
							w.Write(p[:n])
							p = p[n:]
						}
						if err := w.Close(); err != nil {
							t.Error(err)
						}
					} else if err := client.Write(bg, Binary, p); err != nil {
						t.Error(err)
					}
					if j%10 == 0 {
						go client.Ping(t.Context())
					}
				}
			})
		}
		next := make([]int, writers)
		for range writers * each {
			_, p, err := server.Read(bg)
			if err != nil {
				t.Fatal(err)
			}
			i := int(p[0])
			if want := next[i]*700 + 1; len(p) != want || bytes.Count(p, p[:1]) != want {
				t.Fatalf("writer %d: message of %d bytes is mixed up or out of order, want %d", i, len(p), want)
			}
			next[i]++
		}
		wg.Wait()
	})
}

func TestCancelledWrite(t *testing.T) {
	overRaw(t, true, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		ctx, cancel := context.WithCancel(bg)
		go func() {
			io.ReadFull(peer, make([]byte, 100))
			cancel() // no transport takes all of the frame by itself
		}()
		err := c.Write(ctx, Binary, make([]byte, 16<<20))
		if !errors.Is(err, context.Canceled) || CloseCode(err) != StatusAbnormalClosure {
			t.Fatalf("got %v", err)
		}
		if err := c.Write(bg, Binary, nil); CloseCode(err) != StatusAbnormalClosure {
			t.Errorf("the next write: %v", err)
		}
		if c.Context().Err() == nil {
			t.Error("a frame was cut in the middle and the connection goes on")
		}
	})
}

// TestCancelledWriteBeforeItsFrame needs a transport that is full to the byte
// and stays so. A socket makes room as it likes.
func TestCancelledWriteBeforeItsFrame(t *testing.T) {
	a, peer := bufpipe.New(pipeSize)
	defer peer.Close()
	c := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	defer c.CloseNow()
	// The beginning of a frame, behind the connection's back.
	rest := frame(OpBinary, true, true, strings.Repeat("x", pipeSize))
	n, err := a.Write(rest[:pipeSize])
	if err != nil {
		t.Fatal(err)
	}
	rest = rest[n:]

	ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel()
	if err := c.Write(ctx, Text, []byte("lost")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	short, cancel1 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel1()
	gone, err := c.Writer(short, Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Write(make([]byte, fragmentSize)); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	w, err := c.Writer(bg, Text)
	if err != nil {
		t.Fatal(err)
	}
	ctx2, cancel2 := context.WithTimeout(bg, 10*time.Millisecond)
	defer cancel2()
	if err := c.Write(ctx2, Text, []byte("waits for the writer")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	done := make(chan error, 1)
	go func() {
		a.Write(rest)
		io.WriteString(w, "first")
		if err := w.Close(); err != nil {
			done <- err
		}
		done <- c.Write(bg, Text, []byte("after"))
	}()
	r := &frameReader{nc: peer}
	var texts []string
	for len(texts) < 2 {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.Opcode == OpText {
			texts = append(texts, f.payload)
		}
	}
	if err := <-done; err != nil || fmt.Sprint(texts) != "[first after]" {
		t.Errorf("%q, %v", texts, err)
	}
}

func TestMisuse(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		for name, err := range map[string]error{
			"message type 0":    client.Write(bg, 0, nil),
			"message type 8":    client.Write(bg, MessageType(OpClose), nil),
			"text not UTF-8":    client.Write(bg, Text, []byte{0xff}),
			"nil context":       client.Write(nil, Text, nil), //lint:ignore SA1012 on purpose
			"code 1005":         client.Close(StatusNoStatus, ""),
			"code 999":          client.Close(999, ""),
			"long reason":       client.Close(StatusNormalClosure, strings.Repeat("x", 124)),
			"reason not UTF-8":  client.Close(StatusNormalClosure, "\xff"),
			"writer type":       second(client.Writer(bg, 3)),
			"nil reader":        third(client.Read(nil)),
			"nil ping":          second(client.Ping(nil)),
			"cancelled context": third(client.Read(cancelled())),
			"cancelled write":   client.Write(cancelled(), Text, nil),
			"cancelled ping":    second(client.Ping(cancelled())),
		} {
			if err == nil || errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		go echo(server)
		if err := client.Write(bg, Text, []byte("still fine")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := client.Read(bg); string(p) != "still fine" || err != nil {
			t.Errorf("%q, %v", p, err)
		}

		w, err := client.Writer(bg, Text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("a\xff")); err == nil {
			t.Error("a stream took text that is not UTF-8")
		}
		if err := w.Close(); err == nil {
			t.Error("Close of a failed writer succeeded")
		}
		if err := client.Write(bg, Text, []byte("and again")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := client.Read(bg); string(p) != "and again" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

// uncomparable is a context type that == would panic on.
type uncomparable struct {
	context.Context
	_ []int
}

func TestContexts(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		go echo(server)
		ctx, cancel := context.WithCancelCause(bg)
		type key struct{}
		for i, c := range []context.Context{ctx, bg, ctx, context.WithValue(ctx, key{}, 1), uncomparable{Context: ctx}, uncomparable{Context: ctx}} {
			if err := client.Write(c, Text, []byte("x")); err != nil {
				t.Fatal(i, err)
			}
			if _, _, err := client.Read(c); err != nil {
				t.Fatal(i, err)
			}
		}
		why := errors.New("why")
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		_, _, err := client.Read(ctx)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
}

func TestStats(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	go echo(server)
	for range 3 {
		client.Write(bg, Text, []byte("12345"))
		client.Read(bg)
	}
	want := Stats{MessagesRead: 3, MessagesWritten: 3, BytesRead: 3 * (2 + 5), BytesWritten: 3 * (6 + 5)}
	if got := client.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestLoopDoesNotWaitForAttendant: while the body of a loop runs the attendant
// reads, for a ping; the loop must not wait for what that waits for.
func TestLoopDoesNotWaitForAttendant(t *testing.T) {
	overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
		go c.Ping(t.Context())
		if _, err := (&frameReader{nc: peer}).next(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		n := 0
		go peer.Write(append(frame(OpText, true, true, "one"), frame(OpText, true, true, "two")...))
		for _, err := range c.Messages(ctx) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				break
			}
			if n++; n == 2 {
				until(t, "attendant at work", func() bool {
					if c.in.mu.TryLock() {
						c.in.mu.Unlock()
						return false
					}
					return true
				})
				cancel()
			}
		}
		if n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestWriteWithOwnContext: the connection's own context ends when it begins to
// close. That must not cut the frame that the close frame is to follow.
func TestWriteWithOwnContext(t *testing.T) {
	overTransports(t, Options{ReadLimit: 16 << 20}, func(t *testing.T, client, server *Conn) {
		go func() { server.Write(server.Context(), Binary, make([]byte, 16<<20)) }()
		until(t, "in the middle of the frame", func() bool { return server.Buffered() > 0 })
		closed := make(chan error, 1)
		go func() { closed <- server.Close(StatusTryAgainLater, "slow") }()
		<-server.Context().Done()
		_, p, err := client.Read(bg)
		if len(p) != 16<<20 || err != nil {
			t.Errorf("%d bytes, %v", len(p), err)
		}
		if err := third(client.Read(bg)); CloseCode(err) != StatusTryAgainLater {
			t.Error(err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := server.Write(server.Context(), Text, nil); CloseCode(err) != StatusTryAgainLater {
			t.Error(err)
		}
	})
}

// TestMessagesEnd: how the peer closes decides whether a loop ends with an
// error.
func TestMessagesEnd(t *testing.T) {
	for code, isError := range map[StatusCode]bool{
		StatusNormalClosure: false, StatusGoingAway: false, StatusNoStatus: false,
		StatusProtocolError: true, StatusInternalError: true, StatusServiceRestart: true, 4000: true,
	} {
		a, b := bufpipe.New(1000)
		c := newConn(a, connConfig{opts: Options{}.withDefaults()})
		b.Write(closeFrame(true, code, ""))
		var got error
		for _, err := range c.Messages(bg) {
			got = err
		}
		if (got != nil) != isError || isError && CloseCode(got) != code {
			t.Errorf("%v: %v", code, got)
		}
		if _, err := c.NetConn(bg, Text).Read(make([]byte, 1)); (err == io.EOF) == isError {
			t.Errorf("%v: a stream ends with %v", code, err)
		}
		c.CloseNow()
		b.Close()
	}
}
