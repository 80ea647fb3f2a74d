package websocket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// TestCloseTimeout closes towards peers that do not play along.
func TestCloseTimeout(t *testing.T) {
	for name, block := range map[string]bool{"peer ignores the close frame": false, "peer does not even read": true} {
		for _, client := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := bufpipe.New(1000)
					defer b.Close()
					c := newConn(a, connConfig{client: client, opts: Options{CloseTimeout: 3 * time.Second}.withDefaults()})
					if block {
						go c.Write(bg, Binary, make([]byte, 100_000))
						synctest.Wait()
					} else {
						go io.Copy(io.Discard, b)
					}
					start := time.Now()
					if err := c.Close(StatusNormalClosure, ""); err == nil {
						t.Error("no error")
					}
					if d := time.Since(start); d != 3*time.Second {
						t.Errorf("took %v", d)
					}
				})
			})
		}
	}
	overRaw(t, false, Options{CloseTimeout: 50 * time.Millisecond}, func(t *testing.T, c *Conn, peer net.Conn) {
		go c.Write(bg, Binary, make([]byte, 16<<20)) // fills the socket
		until(t, "busy", func() bool { return c.Buffered() > 0 })
		start := time.Now()
		if err := c.Close(StatusNormalClosure, ""); err == nil {
			t.Error("no error")
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("took %v", d)
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

func TestTrace(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	done := make(chan struct{})
	note := func(what string) func(*Conn, Header) {
		return func(_ *Conn, h Header) {
			mu.Lock()
			defer mu.Unlock()
			log.WriteString(what + h.Opcode.String() + " ")
		}
	}
	a, b := bufpipe.New(1000)
	opts := Options{Trace: &Trace{FrameIn: note("<"), FrameOut: note(">"), Close: func(_ *Conn, err error) {
		if CloseCode(err) != StatusGoingAway {
			t.Error(err)
		}
		close(done)
	}}}
	client := newConn(a, connConfig{client: true, opts: Options{}.withDefaults()})
	server := newConn(b, connConfig{opts: opts.withDefaults()})
	go echo(server)
	client.Write(bg, Text, []byte("x"))
	client.Read(bg)
	client.Ping(bg)
	client.Close(StatusGoingAway, "")
	<-done
	mu.Lock()
	defer mu.Unlock()
	if got := log.String(); got != "<text >text <ping >pong <close >close " {
		t.Error(got)
	}
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

// stuck is a transport whose writes take no byte until their deadline.
type stuck struct {
	net.Conn
	on       atomic.Bool
	deadline chan time.Time
}

func (s *stuck) Write(p []byte) (int, error) {
	if s.on.Load() {
		time.Sleep(time.Until(<-s.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	return s.Conn.Write(p)
}

func (s *stuck) SetWriteDeadline(t time.Time) error {
	if s.on.Load() && !t.IsZero() {
		select {
		case s.deadline <- t:
		default:
		}
	}
	return s.Conn.SetWriteDeadline(t)
}

// TestCloseNowOnTLS: crypto/tls would wait five seconds for room to say
// goodbye.
func TestCloseNowOnTLS(t *testing.T) {
	a, b := tcpPair(t)
	s := &stuck{Conn: b, deadline: make(chan time.Time, 1)}
	go func() {
		c := tls.Client(a, &tls.Config{InsecureSkipVerify: true})
		c.Handshake()
		io.Copy(io.Discard, c)
		c.Close()
	}()
	ts := tls.Server(s, testTLS())
	if err := ts.Handshake(); err != nil {
		t.Fatal(err)
	}
	c := newConn(ts, connConfig{opts: Options{}.withDefaults()})
	s.on.Store(true)
	start := time.Now()
	c.CloseNow()
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}

// lateReturn is a transport whose writes arrive long before they return.
type lateReturn struct{ net.Conn }

func (l lateReturn) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	time.Sleep(time.Second)
	return n, err
}

// TestAnswerOvertakesWrite: the peer's close frame and the end of its stream
// are there before our own write of a close frame has returned.
func TestAnswerOvertakesWrite(t *testing.T) {
	for _, client := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := bufpipe.New(1000)
			c := newConn(lateReturn{a}, connConfig{client: client, opts: Options{}.withDefaults()})
			go func() {
				if _, err := (&frameReader{nc: b}).next(); err != nil {
					t.Error(err)
				}
				b.Write(closeFrame(!client, StatusNormalClosure, ""))
				b.Close()
			}()
			if err := c.Close(StatusNormalClosure, ""); err != nil {
				t.Error(err)
			}
		})
	}
}
