package websocket

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/transport"
)

// TestCloseFrames checks what goes over the wire when the peer closes or
// breaks the protocol: exactly one close frame, with this code, and then the
// end.
func TestCloseFrames(t *testing.T) {
	text := func(op Opcode, fin bool, p string) []byte { return frame(op, fin, true, p) }
	big := Header{Fin: true, Opcode: OpBinary, Masked: true, Length: 1 << 40}.Append(nil)
	for _, tt := range []struct {
		name    string
		wire    []byte
		code    StatusCode
		section string
	}{
		{"normal", closeFrame(true, 1000, "bye"), 1000, ""},
		{"none", closeFrame(true, StatusNoStatus, ""), StatusNoStatus, ""},
		{"registered 1014", closeFrame(true, 1014, ""), 1014, ""},
		{"private", closeFrame(true, 4999, ""), 4999, ""},
		{"data behind it", append(closeFrame(true, 1000, ""), text(OpText, true, "x")...), 1000, ""},
		{"reserved bit", []byte{0xc1, 0x80, 0, 0, 0, 0}, 1002, "5.2"},
		{"reserved opcode", []byte{0x83, 0x80, 0, 0, 0, 0}, 1002, "5.2"},
		{"no mask", frame(OpText, true, false, "x"), 1002, "5.1"},
		{"fragmented ping", []byte{0x09, 0x80, 0, 0, 0, 0}, 1002, "5.5"},
		{"long ping", []byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 1002, "5.5"},
		{"continuation", text(OpContinuation, true, "x"), 1002, "5.4"},
		{"new message inside", append(text(OpText, false, "x"), text(OpText, true, "x")...), 1002, "5.4"},
		{"length 2^63", append([]byte{0x82, 0xff, 0x80}, make([]byte, 11)...), 1002, "5.2"},
		{"length 5 in 16 bits", []byte{0x82, 0xfe, 0, 5, 0, 0, 0, 0}, 1002, "5.2"},
		{"close of one byte", text(OpClose, true, "x"), 1002, "5.5.1"},
		{"close code 2999", closeFrame(true, 2999, ""), 1002, "7.4"},
		{"close reason", closeFrame(true, 1000, "\xff"), 1007, "5.5.1"},
		{"text, at once", text(OpText, false, "a\xed\xa0\x80 and more")[:9], 1007, "8.1"},
		{"too big", big, 1009, "7.4.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overRaw(t, false, Options{}, func(t *testing.T, c *Conn, peer net.Conn) {
				go func() {
					peer.Write(tt.wire)
				}()
				_, _, err := reads(c).Read(bg)
				var ce *CloseError
				if !errors.As(err, &ce) || ce.Code != tt.code || ce.Remote != (tt.section == "") {
					t.Fatalf("Read: %v", err)
				}
				var pe *ProtocolError
				if errors.As(err, &pe) != (tt.section != "") || pe != nil && (pe.Section != tt.section || pe.Code != tt.code) {
					t.Errorf("Read: %v, want section %q", err, tt.section)
				}
				if tt.code == StatusMessageTooBig && (!errors.Is(err, ErrMessageTooBig) || !strings.Contains(err.Error(), "1048576") || !strings.Contains(err.Error(), "1099511627776")) {
					t.Errorf("Read: %v", err)
				}
				r := &frameReader{nc: peer}
				f, err := r.next()
				if err != nil || f.Opcode != OpClose {
					t.Fatalf("on the wire: %+v, %v", f, err)
				}
				if tt.code == StatusInvalidPayload && tt.section == "8.1" || tt.code == StatusMessageTooBig {
					transport.CloseWrite(peer) // the rest of the frame is waited for
				}
				if code, reason, err := parseClosePayload([]byte(f.payload)); code != tt.code || err != nil || reason == "" && tt.section != "" {
					t.Errorf("close frame with %v %q, %v", code, reason, err)
				}
				if f, err := r.next(); err != io.EOF {
					t.Errorf("then: %+v, %v", f, err)
				}
				peer.Close() // it is waited for
			})
		})
	}
}

func TestCloseNow(t *testing.T) {
	overTransports(t, Options{ReadLimit: 16 << 20}, func(t *testing.T, client, server *Conn) {
		if err := client.Write(bg, Text, nil); err != nil { // a loop's handler is stuck in it
			t.Fatal(err)
		}
		errs := make(chan error, 3)
		go func() { errs <- third(reads(client).Read(bg)) }()
		go func() {
			err := client.Write(bg, Binary, make([]byte, 16<<20))
			if err == nil && client.in.readLock.onLoop() { // a loop's queue has taken it
				err = client.Write(bg, Binary, nil)
			}
			errs <- err
		}()
		go func() { errs <- second(client.Ping(bg)) }()
		until(t, "all of them at work", func() bool {
			return client.Buffered() > 0 && atWork(client) && client.in.wanted.Load() > 0
		})
		client.CloseNow()
		for range 3 {
			if err := <-errs; CloseCode(err) != StatusAbnormalClosure || !errors.Is(err, errCloseNow) {
				t.Error(err)
			}
		}
		for {
			if _, _, err := reads(server).Read(bg); err != nil {
				if CloseCode(err) != StatusAbnormalClosure {
					t.Error(err)
				}
				break
			}
		}
	})
}

// TestContextWhereNobodyReads: a handler waits for the end of the connection between
// two messages, when a write fails. Context tells it, also if it is asked for late, and
// not while messages are being read. What has arrived is read afterwards.
func TestContextWhereNobodyReads(t *testing.T) {
	const timeout = 150 * time.Millisecond
	overRawKinds(t, transports, false, Options{CloseTimeout: timeout}, func(t *testing.T, c *Conn, peer net.Conn) {
		var all []byte
		for i := range 8 {
			all = append(all, text(strconv.Itoa(i))...)
		}
		go peer.Write(all)
		next := func(want string) {
			t.Helper()
			if _, p, err := reads(c).Read(bg); string(p) != want || err != nil {
				t.Fatalf("read %q, %v, want %q", p, err, want)
			}
		}
		next("0")
		ctx := c.Context()
		failed := errors.New("the write failed")
		c.breakWrite(failed)
		last := time.Now()
		for i := range 5 {
			time.Sleep(timeout)
			if err := ctx.Err(); err != nil && time.Since(last) < 2*timeout {
				t.Fatalf("the context has ended before message %d: %v", i+1, err)
			}
			next(strconv.Itoa(i + 1))
			last = time.Now()
		}
		for _, ctx := range []context.Context{ctx, c.Context()} {
			mustReceive(t, ctx.Done())
			if !errors.Is(context.Cause(ctx), failed) {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
		}
		next("6")
		next("7")
		if _, _, err := reads(c).Read(bg); !errors.Is(err, failed) {
			t.Errorf("at the end: %v", err)
		}
	})
}

// TestClientWaitsForServer: "the client SHOULD wait for the server to close
// the connection" (section 7.1.1), but not for ever.
func TestClientWaitsForServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(1000)
		defer b.Close()
		c := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
		go b.Write(closeFrame(false, StatusNormalClosure, ""))
		_, _, err := c.Read(bg)
		if CloseCode(err) != StatusNormalClosure {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Close(StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != maxLinger {
			t.Errorf("waited %v", d)
		}
	})
}

// TestCloseWakesWaitingWriters: a writer that waits its turn behind one that
// is stuck learns of the end when it begins, not when the timer ends it.
func TestCloseWakesWaitingWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := bufpipe.New(1000)
		defer b.Close()
		c := newConn(a, connConfig{opts: Options{}.withDefaults()})
		go c.Write(bg, Binary, make([]byte, 100_000))
		synctest.Wait()
		if n := c.Buffered(); n != 100_000 {
			t.Errorf("%d bytes buffered", n)
		}
		start := time.Now()
		waiting := make(chan error, 1)
		go func() { waiting <- c.Write(bg, Binary, nil) }()
		synctest.Wait()
		go c.Close(StatusGoingAway, "")
		if err := <-waiting; CloseCode(err) != StatusGoingAway || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-c.ended()
		synctest.Wait()
		if n := c.Buffered(); n != 0 {
			t.Errorf("%d bytes buffered in the end", n)
		}
	})
}

// TestBufferedLarge: what is being written counts, whether its size is kept with
// the turn or, being large, beside it.
func TestBufferedLarge(t *testing.T) {
	for _, size := range []int{1<<writeSizeBits - 1, 1 << writeSizeBits, 300_000} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(1000)
			defer b.Close()
			c := newConn(a, connConfig{opts: Options{}.withDefaults()})
			defer c.CloseNow()
			go c.Write(bg, Binary, make([]byte, size))
			synctest.Wait()
			if n := c.Buffered(); n != size {
				t.Errorf("%d of %d bytes buffered", n, size)
			}
		})
	}
}

// TestSetWriting: more than fits is as much as fits.
func TestSetWriting(t *testing.T) {
	var o outHalf
	const size = math.MaxInt - 7
	if o.setWriting(size); uint64(o.writing) != min(size, math.MaxUint32) {
		t.Errorf("%d of %d bytes", o.writing, size)
	}
}
