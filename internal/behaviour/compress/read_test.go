package compress_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

// TestWindowIsKept: no distance beyond the window that was negotiated, and in
// the next message none to the last without takeover.
func TestWindowIsKept(t *testing.T) {
	for bits := uint8(8); bits <= 14; bits++ {
		d := deflatetest.NewDeflater()
		half := string(wstest.Noise(1<<bits/2, uint64(bits)))
		near := d.Part(half+half, true)
		d.Forget()
		far := d.Part(half+string(wstest.Noise(1<<bits/2+3, 99))+half, true)
		d.Forget()
		first, again := d.Part(half, true), d.Part(half, true)
		for _, tt := range []struct {
			takeover bool
			msgs     []string
			ok       int
		}{
			{false, []string{near}, 1}, {true, []string{near}, 1},
			{false, []string{far}, 0}, {true, []string{far}, 0},
			{false, []string{first, again}, 1}, {true, []string{first, again}, 2},
		} {
			c, peer := compressedServer(t, wstest.Transports[0].Pair, websocket.Options{}, extension.Deflate{Level: 5, SendBits: 15, RecvBits: bits, RecvTakeover: tt.takeover})
			for _, z := range tt.msgs {
				peer.Write(wstest.Frame(0xc2, z))
			}
			var err error
			n := 0
			for ; n < len(tt.msgs); n++ {
				if _, _, err = c.Read(bg); err != nil {
					break
				}
			}
			if n != tt.ok {
				t.Fatalf("window bits %d, takeover %v: %d messages of %d, then %v", bits, tt.takeover, n, tt.ok, err)
			}
			if n < len(tt.msgs) {
				wantCorrupt(t, err)
				if f, err := (&conntest.FrameReader{NC: peer}).Next(); err != nil || f.Opcode != websocket.OpClose || !strings.HasPrefix(f.Payload, "\x03\xef") {
					t.Errorf("the peer got %+v, %v, want a close frame with 1007", f, err)
				}
			}
		}
	}
}

// wantCorrupt checks that err is that of a connection that has received
// compressed data that is none.
func wantCorrupt(t *testing.T, err error) {
	t.Helper()
	var pe *websocket.ProtocolError
	if !errors.As(err, &pe) || pe.Code != websocket.StatusInvalidPayload || websocket.CloseCode(err) != websocket.StatusInvalidPayload || !strings.HasPrefix(pe.Section, "RFC 7692, section ") {
		t.Fatalf("got %v, want 1007 and RFC 7692", err)
	}
}

// TestBadCompressedInput: what the receiver refuses ends the connection,
// however it is read, before the message is complete.
func TestBadCompressedInput(t *testing.T) {
	bad := deflatetest.NewDeflater().Part("fine so far, and then \xff\xfe", false)
	for _, tt := range []struct {
		name string
		wire []byte
		code websocket.StatusCode
	}{
		{"bad text", wstest.Frame(0x41, bad), websocket.StatusInvalidPayload},
		{"corrupt", wstest.Frame(0x41, "\x06"), websocket.StatusInvalidPayload},
		{"RSV1 on a ping", append(wstest.Frame(0x41, "\x00"), wstest.Frame(0xc9, "")...), websocket.StatusProtocolError},
		{"RSV1 on a continuation", append(wstest.Frame(0x41, "\x00"), wstest.Frame(0x40, "")...), websocket.StatusProtocolError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, tr := range wstest.Transports {
				for name, read := range readings {
					for _, p := range deflatetest.Kinds[:2] {
						c, peer := compressedServer(t, tr.Pair, websocket.Options{}, p)
						peer.Write(tt.wire)
						if _, err := read(bg, c); websocket.CloseCode(err) != tt.code {
							t.Errorf("%s, %s: %v", tr.Name, name, err)
						}
						if f, err := (&conntest.FrameReader{NC: peer}).Next(); err != nil || f.Opcode != websocket.OpClose || f.Payload[:2] != string(binary.BigEndian.AppendUint16(nil, uint16(tt.code))) {
							t.Errorf("%s, %s: the peer got %+v, %v", tr.Name, name, f, err)
						}
					}
				}
			}
		})
	}
}

// bomb is 30 MiB of nothing, compressed.
func bomb() string {
	d := deflatetest.NewDeflater()
	var b strings.Builder
	for range 29 {
		b.WriteString(d.Part(strings.Repeat("\x00", 1<<20), false))
	}
	return b.String() + d.Part(strings.Repeat("\x00", 1<<20), true)
}

// TestBomb: thirty times what the limit is costs as much as the limit.
func TestBomb(t *testing.T) {
	const limit = 1 << 20
	z := bomb()
	one := wstest.Frame(0xc2, z)
	many := wstest.Frame(0x42, "")
	for rest := z; rest != ""; {
		n := min(len(rest), 10)
		many = append(many, wstest.Frame(0x00, rest[:n])...)
		rest = rest[n:]
	}
	many = append(many, wstest.Frame(0x80, "")...)
	for name, wire := range map[string][]byte{"one frame": one, "many fragments": many} {
		for how, read := range readings {
			for i, p := range deflatetest.Kinds[:2] {
				t.Run(fmt.Sprintf("%s/%s/%d", name, how, i), func(t *testing.T) {
					c, peer := compressedServer(t, wstest.TCPPair, websocket.Options{ReadLimit: limit}, p)
					go peer.Write(wire)
					// Buffers that an earlier message has left would not count.
					runtime.GC()
					runtime.GC()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					_, err := read(bg, c)
					runtime.ReadMemStats(&after)
					if websocket.CloseCode(err) != websocket.StatusMessageTooBig || !errors.Is(err, websocket.ErrMessageTooBig) {
						t.Fatal(err)
					}
					// A buffer that grows, which is io.ReadAll's own with a Reader.
					most := uint64(4 * limit)
					if how == "drained Reader" {
						most = limit / 2
					}
					// The race detector has pools drop what they are given.
					if n := after.TotalAlloc - before.TotalAlloc; n > most && !wstest.Race {
						t.Errorf("%d bytes were allocated", n)
					}
				})
			}
		}
	}
}

// TestCompressedLimit: a message as large as the limit passes.
func TestCompressedLimit(t *testing.T) {
	const limit = 100_000
	for how, read := range readings {
		for _, p := range deflatetest.Kinds[:2] {
			for _, size := range []int{limit, limit + 1} {
				c, peer := compressedServer(t, wstest.Transports[0].Pair, websocket.Options{ReadLimit: limit}, p)
				peer.Write(wstest.Frame(0xc2, deflatetest.Deflated(string(wstest.Pattern(size)))))
				got, err := read(bg, c)
				if size == limit && (err != nil || len(got) != size && how != "drained Reader") || size > limit && !errors.Is(err, websocket.ErrMessageTooBig) {
					t.Errorf("%s: %d bytes: %d, %v", how, size, len(got), err)
				}
			}
		}
	}
}

// TestCompressedLengthAllocatesNothing: frames that announce much more than the
// limit, and bring next to nothing, or nothing in many bytes.
func TestCompressedLengthAllocatesNothing(t *testing.T) {
	const n = 100
	head := websocket.Header{Fin: true, RSV: websocket.RSV1, Opcode: websocket.OpBinary, Masked: true, Length: 1 << 60}.Append(nil)
	wire := append(head, strings.Repeat("\x00\x00\x00\xff\xff", 10_000)...)
	for i, p := range deflatetest.Kinds[:2] {
		var conns []*websocket.Conn
		grown := wstest.HeapAfter(func() {
			for range n {
				a, b := bufpipe.New(len(wire))
				c := compressing(t, b, false, websocket.Options{ReadLimit: 10}, p)
				conns = append(conns, c)
				go c.Read(bg)
				a.Write(wire)
				wstest.Until(t, "read", func() bool { return c.Stats().BytesRead == uint64(len(wire)) })
			}
		})
		for _, c := range conns {
			c.CloseNow()
		}
		// A message under way has its tables, a window's room and two buffers.
		if per := grown / n; per > 48<<10+int64(len(wire)) {
			t.Errorf("%d: %d bytes per connection", i, per)
		}
	}
}
