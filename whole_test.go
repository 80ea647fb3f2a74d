package websocket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket/internal/buffer"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// checkWhole compares the short cut with the long way: where it takes a
// message, that is the one that next, payload and endFrame deliver, and where it
// does not, it has changed nothing.
func checkWhole(t *testing.T, client bool, limit int64, wire []byte) (taken bool) {
	t.Helper()
	fast, slow := bytes.Clone(wire), bytes.Clone(wire)
	r := receiver{client: client, limit: limit}
	typ, p, n := r.whole(fast)
	if n == 0 {
		if !bytes.Equal(fast, wire) || r != (receiver{client: client, limit: limit}) {
			t.Fatalf("% x: refused, and changed", wire[:min(len(wire), 20)])
		}
		return false
	}
	m, ev, _, err := r.next(slow)
	if err != nil || ev != evData || !r.hdr.Fin || int64(len(slow)-m) < r.left {
		t.Fatalf("% x: taken, but %v, %v", wire[:min(len(wire), 20)], ev, err)
	}
	want := slow[m : m+int(r.left)]
	if err := r.payload(want); err != nil {
		t.Fatal(err)
	}
	msg := MessageType(r.msg)
	if end, err := r.endFrame(); !end || err != nil {
		t.Fatalf("% x: taken, but %v, %v", wire[:min(len(wire), 20)], end, err)
	}
	if n != m+len(want) || typ != msg || !bytes.Equal(p, want) {
		t.Fatalf("%v of %d bytes, %d in all; want %v of %d, %d", typ, len(p), n, msg, len(want), m+len(want))
	}
	return true
}

func TestWhole(t *testing.T) {
	const limit = 60_000
	for _, client := range []bool{false, true} {
		for _, size := range []int{0, 1, 2, 124, 125, 126, 127, 300, 40_000, limit} {
			for _, op := range []Opcode{OpText, OpBinary} {
				wire := append(frame(op, true, !client, strings.Repeat("a", size)), frame(OpBinary, true, !client, "behind it, long enough")...)
				if !checkWhole(t, client, limit, wire) {
					t.Errorf("client %v, %v of %d bytes is left to the long way", client, op, size)
				}
				if size > 20 && checkWhole(t, client, limit, wire[:size]) {
					t.Error("incomplete, and taken")
				}
			}
		}
		behind := frame(OpBinary, true, !client, "some more bytes behind it")
		for name, wire := range map[string][]byte{
			"over the limit":      frame(OpBinary, true, !client, strings.Repeat("a", limit+1)),
			"fragment":            frame(OpText, false, !client, "a"),
			"continuation":        frame(OpContinuation, true, !client, "a"),
			"ping":                frame(OpPing, true, !client, "a"),
			"close":               frame(OpClose, true, !client, "\x03\xe8"),
			"wrong mask":          frame(OpBinary, true, client, "a"),
			"not UTF-8":           frame(OpText, true, !client, "text \xff"),
			"unfinished UTF-8":    frame(OpText, true, !client, "text \xe2\x82"),
			"reserved bit":        append([]byte{0xC2}, frame(OpBinary, true, !client, "a")[1:]...),
			"reserved opcode":     append([]byte{0x83}, frame(OpBinary, true, !client, "a")[1:]...),
			"not its shortest":    longForm(client, 126, 125),
			"64 bits":             longForm(client, 127, 70_000),
			"64 bits, not needed": longForm(client, 127, 200),
		} {
			if checkWhole(t, client, limit, append(wire, behind...)) {
				t.Errorf("client %v: %s is taken", client, name)
			}
		}
	}
	// And whatever else: valid frames with a byte changed.
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		client := rnd.IntN(2) == 0
		wire := frame([]Opcode{OpText, OpBinary}[rnd.IntN(2)], true, !client, "grüße "+strings.Repeat("€", rnd.IntN(60)))
		wire = append(wire, "0123456789abcdef"...)
		wire[rnd.IntN(8)] ^= 1 << rnd.IntN(8)
		checkWhole(t, client, 100, wire)
	}
}

// longForm is a frame whose length takes the 16 or 64 bits of code 126 or 127.
func longForm(client bool, code byte, size int) []byte {
	b := []byte{0x82, code}
	if !client {
		b[1] |= 0x80
	}
	bits := 8
	if code == 127 {
		bits = 56
	}
	for ; bits >= 0; bits -= 8 {
		b = append(b, byte(size>>bits))
	}
	return append(b, make([]byte, size+4)...)
}

// TestMessagesJudges: a loop over Messages takes the short cut, and so has to
// refuse what it should.
func TestMessagesJudges(t *testing.T) {
	for name, tt := range map[string]struct {
		wire []byte
		code StatusCode
	}{
		"over the limit": {frame(OpBinary, true, true, strings.Repeat("a", 101)), StatusMessageTooBig},
		"not UTF-8":      {frame(OpText, true, true, "some text \xff"), StatusInvalidPayload},
		"not masked":     {frame(OpText, true, false, "some more text"), StatusProtocolError},
		"long form":      {longForm(false, 126, 50), StatusProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := Pipe()
			defer client.CloseNow()
			defer server.CloseNow()
			server.in.receiver.limit = 100
			client.t.Write(append(frame(OpText, true, true, "good"), tt.wire...))
			n := 0
			for m, err := range server.Messages(bg) {
				if err != nil {
					if CloseCode(err) != tt.code {
						t.Error(err)
					}
					break
				}
				if n++; string(m.Data) != "good" {
					t.Errorf("got %q", m.Data)
				}
			}
			if n != 1 {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// TestBreakHoldsNoBuffer: who breaks out of the loop and reads no more leaves
// nothing behind in the connection.
func TestBreakHoldsNoBuffer(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	for _, size := range []int{10, 30_000} {
		if err := client.Write(bg, Binary, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		for m, err := range server.Messages(bg) {
			if err != nil || len(m.Data) != size {
				t.Fatal(len(m.Data), err)
			}
			break
		}
		if server.in.buf != nil || server.in.msg != nil || server.in.lent || server.in.receiver.partial != nil {
			t.Errorf("%d bytes: it holds %+v", size, &server.in)
		}
	}
}

// TestWriteBesideWriter: a message does not get between the fragments of
// another, though nobody is writing just now.
func TestWriteBesideWriter(t *testing.T) {
	overTransports(t, Options{}, func(t *testing.T, client, server *Conn) {
		w, err := client.Writer(bg, Binary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, fragmentSize)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(bg, 10*time.Millisecond)
		defer cancel()
		if err := client.Write(ctx, Text, []byte("between")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		w.Close()
		if _, p, err := reads(server).Read(bg); len(p) != fragmentSize || err != nil {
			t.Error(len(p), err)
		}
	})
}

// lateContext ends between the first look at its error and the second one.
type lateContext struct {
	context.Context
	looks int
}

func (c *lateContext) Err() error {
	if c.looks++; c.looks == 1 {
		return nil
	}
	return c.Context.Err()
}

// TestGivenUpWriteLeavesTheRest: a call whose context ends when it has the write
// lock has taken over what is pending, and must leave it to others.
func TestGivenUpWriteLeavesTheRest(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	client.out.lock()
	client.coalesceLocked(outFrame{op: OpText, fin: true, p: []byte("held")})
	client.out.unlock()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	late := &lateContext{Context: ctx}
	if err := client.Write(late, Text, []byte("given up")); !errors.Is(err, context.Canceled) || late.looks < 2 {
		t.Error(err, late.looks)
	}
	if _, p, err := server.Read(bg); string(p) != "held" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

// TestCutWriteOnTLS: a transport that may have sent a part although it says
// that it has not.
func TestCutWriteOnTLS(t *testing.T) {
	_, c, _ := newShut(t, false)
	setWhole(c, false)
	ctx, cancel := context.WithCancel(bg)
	errs := make(chan error, 1)
	go func() { errs <- c.Write(ctx, Text, []byte("cut")) }()
	until(t, "it writes", func() bool { return busy(c) })
	cancel()
	if err := <-errs; CloseCode(err) != StatusAbnormalClosure || !errors.Is(err, context.Canceled) {
		t.Error(fmt.Sprint(err))
	}
	if err := c.Write(bg, Text, nil); CloseCode(err) != StatusAbnormalClosure {
		t.Error(err)
	}
}

// resetSpy notes whether the receiver is reset whenever it waits, for what peer then
// sends.
type resetSpy struct {
	transport.Conn
	c     *Conn
	peer  transport.Conn
	sends [][]byte
	waits []bool // all by the reader's goroutine
}

func (s *resetSpy) Wait(b *buffer.Buffer, idle bool) (*buffer.Buffer, error) {
	s.peer.Write(s.sends[len(s.waits)])
	s.waits = append(s.waits, s.c.in.receiver.partial == nil)
	return s.Conn.Wait(b, idle)
}

// TestWaitRests: after a control frame the receiver waits with nothing, and in
// the middle of a message with what it needs.
func TestWaitRests(t *testing.T) {
	client, server := Pipe()
	defer client.CloseNow()
	defer server.CloseNow()
	spy := &resetSpy{Conn: server.t, c: server, peer: client.t, sends: [][]byte{
		frame(OpPong, true, true, "unasked"),
		frame(OpText, false, true, "hel"),
		frame(OpContinuation, true, true, "lo"),
	}}
	server.t = spy
	if _, p, err := server.Read(bg); string(p) != "hello" || err != nil {
		t.Fatalf("%q, %v", p, err)
	}
	if want := []bool{true, true, false}; !slices.Equal(spy.waits, want) {
		t.Errorf("reset at its waits: %v, want %v", spy.waits, want)
	}
}
