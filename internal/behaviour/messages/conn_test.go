package messages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

func TestEcho(t *testing.T) {
	conntest.OverAll(t, websocket.Options{ReadLimit: 20 << 20}, func(t *testing.T, client, server *websocket.Conn) {
		done := make(chan error, 1)
		go func() { done <- conntest.EchoAll(server) }()
		sizes := []int{0, 1, 9, 10, 11, 125, 126, 1000, 4095, 4096, 16370, 16384, 16390, 65535, 65536, 1 << 20, 16 << 20}
		if wstest.Race {
			sizes = sizes[:len(sizes)-1] // the detector looks at every byte
		}
		for _, n := range sizes {
			want := wstest.Pattern(n)
			for _, typ := range []websocket.MessageType{websocket.Text, websocket.Binary} {
				go client.Write(bg, typ, want)
				gotType, got, err := conntest.Reads(client).Read(bg)
				if err != nil || gotType != typ || !bytes.Equal(got, want) {
					t.Fatalf("%v of %d bytes: got %v of %d, %v", typ, n, gotType, len(got), err)
				}
			}
		}
		if err := client.Close(websocket.StatusNormalClosure, "done"); err != nil {
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
	code   websocket.StatusCode
	remote bool
}

func wireSamples(masked bool) []wireSample {
	f := func(op websocket.Opcode, fin bool, p string) []byte { return conntest.Frame(op, fin, masked, p) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	bye := conntest.CloseFrame(masked, websocket.StatusNormalClosure, "bye")
	long := strings.Repeat("é", 100)
	return []wireSample{
		{"one text", join(f(websocket.OpText, true, "Hello"), bye), []string{"tHello"}, 1000, true},
		{"empty messages", join(f(websocket.OpText, true, ""), f(websocket.OpBinary, true, ""), bye), []string{"t", "b"}, 1000, true},
		{"two-byte length", join(f(websocket.OpText, true, long), bye), []string{"t" + long}, 1000, true},
		{"fragments with control frames between", join(
			f(websocket.OpText, false, "Zür"[:2]), f(websocket.OpPing, true, "p"), f(websocket.OpContinuation, false, "Zür"[2:3]), f(websocket.OpPong, true, ""),
			f(websocket.OpContinuation, false, ""), f(websocket.OpContinuation, true, "Zür"[3:]), bye), []string{"tZür"}, 1000, true},
		{"close without a code", join(f(websocket.OpBinary, true, "x"), conntest.CloseFrame(masked, websocket.StatusNoStatus, "")), []string{"bx"}, websocket.StatusNoStatus, true},
		{"bad UTF-8", join(f(websocket.OpText, true, "ok"), f(websocket.OpText, true, "a\xff")), []string{"tok"}, websocket.StatusInvalidPayload, false},
		{"continuation of nothing", join(f(websocket.OpText, true, "ok"), f(websocket.OpContinuation, true, "x")), []string{"tok"}, websocket.StatusProtocolError, false},
		{"wrong masking", join(f(websocket.OpText, true, "ok"), conntest.Frame(websocket.OpText, true, !masked, "x")), []string{"tok"}, websocket.StatusProtocolError, false},
		{"bad close code", conntest.CloseFrame(masked, 1004, ""), nil, websocket.StatusProtocolError, false},
	}
}

// TestEveryCut feeds each sample in two pieces, cut at every byte, so that
// the connection must read in between.
func TestEveryCut(t *testing.T) {
	for _, client := range []bool{false, true} {
		for _, s := range wireSamples(!client) {
			t.Run(fmt.Sprintf("client=%v/%s", client, s.name), func(t *testing.T) {
				for _, tr := range conntest.Kinds {
					t.Run(tr.Name, func(t *testing.T) {
						for cut := range s.wire {
							if tr.Name != "pipe" && testing.Short() && cut%7 != 0 {
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

func testCut(t *testing.T, k conntest.Kind, client bool, s wireSample, cut int) {
	t.Helper()
	c, peer := conntest.RawOf(t, k, client, websocket.Options{})
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
		var typ websocket.MessageType
		var p []byte
		if typ, p, err = conntest.Reads(c).Read(ctx); err != nil {
			break
		}
		msgs = append(msgs, typ.String()[:1]+string(p))
	}
	var ce *websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != s.code || ce.Remote != s.remote || fmt.Sprint(msgs) != fmt.Sprint(s.msgs) {
		t.Fatalf("cut at %d: got %q, then %v; want %q, then code %v (remote %v)", cut, msgs, err, s.msgs, s.code, s.remote)
	}
}

func TestMisuse(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		for name, err := range map[string]error{
			"message type 0":    client.Write(bg, 0, nil),
			"message type 8":    client.Write(bg, websocket.MessageType(websocket.OpClose), nil),
			"text not UTF-8":    client.Write(bg, websocket.Text, []byte{0xff}),
			"nil context":       client.Write(nil, websocket.Text, nil), //lint:ignore SA1012 on purpose
			"writer type":       wstest.Second(client.Writer(bg, 3)),
			"nil reader":        wstest.Third(client.Read(nil)),  //lint:ignore SA1012 on purpose
			"nil ping":          wstest.Second(client.Ping(nil)), //lint:ignore SA1012 on purpose
			"cancelled context": wstest.Third(client.Read(cancelled())),
			"cancelled write":   client.Write(cancelled(), websocket.Text, nil),
			"cancelled ping":    wstest.Second(client.Ping(cancelled())),
		} {
			if err == nil || errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		go conntest.EchoAll(server)
		if err := client.Write(bg, websocket.Text, []byte("still fine")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := conntest.Reads(client).Read(bg); string(p) != "still fine" || err != nil {
			t.Errorf("%q, %v", p, err)
		}

		w, err := client.Writer(bg, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("a\xff")); err == nil {
			t.Error("a stream took text that is not UTF-8")
		}
		if err := w.Close(); err == nil {
			t.Error("Close of a failed writer succeeded")
		}
		if err := client.Write(bg, websocket.Text, []byte("and again")); err != nil {
			t.Fatal(err)
		}
		if _, p, err := conntest.Reads(client).Read(bg); string(p) != "and again" || err != nil {
			t.Errorf("%q, %v", p, err)
		}
	})
}

func TestContexts(t *testing.T) {
	conntest.OverAll(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		go conntest.EchoAll(server)
		ctx, cancel := context.WithCancelCause(bg)
		type key struct{}
		for i, c := range []context.Context{ctx, bg, ctx, context.WithValue(ctx, key{}, 1), uncomparable{Context: ctx}, uncomparable{Context: ctx}} {
			if err := client.Write(c, websocket.Text, []byte("x")); err != nil {
				t.Fatal(i, err)
			}
			if _, _, err := conntest.Reads(client).Read(c); err != nil {
				t.Fatal(i, err)
			}
		}
		why := errors.New("why")
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		_, _, err := conntest.Reads(client).Read(ctx)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
}

// uncomparable is a context type that == would panic on.
type uncomparable struct {
	context.Context
	_ []int
}

func TestStats(t *testing.T) {
	client, server := websocket.Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	go conntest.EchoAll(server)
	for range 3 {
		client.Write(bg, websocket.Text, []byte("12345"))
		client.Read(bg)
	}
	want := websocket.Stats{MessagesRead: 3, MessagesWritten: 3, BytesRead: 3 * (2 + 5), BytesWritten: 3 * (6 + 5)}
	if got := client.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
