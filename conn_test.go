package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
)

var bg = context.Background()

// echo echoes messages until the connection ends, and returns how it did.
func echo(c *Conn) error {
	if r := reads(c); r != c {
		for {
			typ, p, err := r.Read(bg)
			if peerLeft(err) {
				return nil
			}
			if err == nil {
				err = c.Write(bg, typ, p)
			}
			if err != nil {
				return err
			}
		}
	}
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
				gotType, got, err := reads(client).Read(bg)
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
				for _, tr := range kinds {
					t.Run(tr.name, func(t *testing.T) {
						for cut := range s.wire {
							if tr.name != "pipe" && testing.Short() && cut%7 != 0 {
								continue
							}
							testCut(t, tr, client, s, cut)
						}
					})
				}
			})
		}
	}
}

func testCut(t *testing.T, k kind, client bool, s wireSample, cut int) {
	t.Helper()
	c, peer := k.raw(t, client, Options{})
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
		if typ, p, err = reads(c).Read(ctx); err != nil {
			break
		}
		msgs = append(msgs, typ.String()[:1]+string(p))
	}
	var ce *CloseError
	if !errors.As(err, &ce) || ce.Code != s.code || ce.Remote != s.remote || fmt.Sprint(msgs) != fmt.Sprint(s.msgs) {
		t.Fatalf("cut at %d: got %q, then %v; want %q, then code %v (remote %v)", cut, msgs, err, s.msgs, s.code, s.remote)
	}
}

func TestMisuse(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		for name, err := range map[string]error{
			"message type 0":    client.Write(bg, 0, nil),
			"message type 8":    client.Write(bg, MessageType(OpClose), nil),
			"text not UTF-8":    client.Write(bg, Text, []byte{0xff}),
			"nil context":       client.Write(nil, Text, nil), //lint:ignore SA1012 on purpose
			"writer type":       second(client.Writer(bg, 3)),
			"nil reader":        third(client.Read(nil)),  //lint:ignore SA1012 on purpose
			"nil ping":          second(client.Ping(nil)), //lint:ignore SA1012 on purpose
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
		if _, p, err := reads(client).Read(bg); string(p) != "still fine" || err != nil {
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
		if _, p, err := reads(client).Read(bg); string(p) != "and again" || err != nil {
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
			if _, _, err := reads(client).Read(c); err != nil {
				t.Fatal(i, err)
			}
		}
		why := errors.New("why")
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		_, _, err := reads(client).Read(ctx)
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

// halting is a connection of which every read that waits is preceded by empty ones.
type halting struct {
	net.Conn
	empty int32
	calls atomic.Int32
}

func (h *halting) Read(p []byte) (int, error) {
	if h.calls.Add(1)%(h.empty+1) != 0 {
		return 0, nil
	}
	return h.Conn.Read(p)
}

// neverEnding is a reader that returns nothing, ever.
type neverEnding struct{ net.Conn }

func (neverEnding) Read([]byte) (int, error) { return 0, nil }

func TestEmptyReads(t *testing.T) {
	for name, over := range map[string]func(net.Conn) net.Conn{
		"plain":        func(nc net.Conn) net.Conn { return &halting{Conn: nc, empty: 99} },
		"no deadlines": func(nc net.Conn) net.Conn { return deaf{&halting{Conn: nc, empty: 99}, io.EOF} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := bufpipe.New(pipeSize)
			c := newConn(over(a), connConfig{opts: Options{}.withDefaults()})
			peer := newConn(b, connConfig{client: true, opts: Options{}.withDefaults()})
			defer c.CloseNow()
			defer peer.CloseNow()
			go echo(c)
			for _, size := range []int{0, 1, 100, 5000, 500 << 10} {
				if err := peer.Write(bg, Binary, pattern(size)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := peer.Read(bg); len(p) != size || err != nil {
					t.Fatalf("%d bytes, %v, want %d", len(p), err, size)
				}
			}
		})
	}
}

func TestEndlessEmptyReads(t *testing.T) {
	a, b := bufpipe.New(pipeSize)
	defer b.Close()
	c := newConn(neverEnding{a}, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	err := third(c.Read(bg))
	if !errors.Is(err, io.ErrNoProgress) || !strings.Contains(err.Error(), "100 calls of Read of a websocket.neverEnding have returned neither bytes nor an error") {
		t.Errorf("error is %v", err)
	}
}

// TestEmptyReadsInHandshakes: they do no harm in any handshake.
func TestEmptyReadsInHandshakes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLoop(t, 1)
	served := make(chan error, 1)
	go func() {
		served <- l.Serve(haltingListener{ln}, nil, funcHandler{message: func(c *Conn, typ MessageType, p []byte) { c.Write(bg, typ, p) }})
	}()
	defer func() {
		l.Close()
		<-served
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		return &halting{Conn: nc, empty: 99}, err
	}}
	c, _, err := Dial(t.Context(), "ws://"+ln.Addr().String(), &DialOptions{HTTPClient: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if err := c.Write(bg, Text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
}

type haltingListener struct{ net.Listener }

func (l haltingListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return &halting{Conn: nc, empty: 99}, err
}

// TestEmptyWriteOnPipe: the other end of a net.Pipe writes nothing.
func TestEmptyWriteOnPipe(t *testing.T) {
	a, b := net.Pipe()
	c := newConn(a, connConfig{opts: Options{}.withDefaults()})
	defer c.CloseNow()
	go func() {
		b.Write(nil)
		b.Write(text("x"))
		io.Copy(io.Discard, b)
	}()
	if _, p, err := c.Read(bg); string(p) != "x" || err != nil {
		t.Errorf("read %q, %v", p, err)
	}
}
