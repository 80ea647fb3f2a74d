//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
)

// frameLog records the messages of a connection as they are on the wire.
type frameLog struct {
	mu      sync.Mutex
	in, out []wireMessage
	ended   chan struct{} // receives when a connection has ended
}

type wireMessage struct {
	compressed    bool
	frames, bytes int
}

func (tr *frameLog) trace() *websocket.Trace {
	record := func(list *[]wireMessage) func(*websocket.Conn, websocket.Header) {
		return func(_ *websocket.Conn, h websocket.Header) {
			tr.mu.Lock()
			defer tr.mu.Unlock()
			switch h.Opcode {
			case websocket.OpText, websocket.OpBinary:
				*list = append(*list, wireMessage{compressed: h.RSV == websocket.RSV1})
			case websocket.OpContinuation:
			default:
				return
			}
			m := &(*list)[len(*list)-1]
			m.frames++
			m.bytes += int(h.Length)
		}
	}
	tr.ended = make(chan struct{}, 100)
	return &websocket.Trace{FrameIn: record(&tr.in), FrameOut: record(&tr.out),
		Close: func(*websocket.Conn, error) { tr.ended <- struct{}{} }}
}

// sample is a message that both sides send.
type sample struct {
	what      string
	typ       websocket.MessageType
	data      []byte
	checkSize func(bytes int, d direction) string // returns what is wrong about the size on the wire; may be nil
}

// samples returns messages whose sizes show what the sender does. The digits are new
// every time, so only their repetition makes them shorter than half.
func samples() []sample {
	digits := func(n int) []byte {
		p := make([]byte, n/2)
		rand.Read(p)
		return []byte(hex.EncodeToString(p))
	}
	below := func(limit int) func(int, direction) string {
		return func(n int, _ direction) string {
			if n >= limit {
				return fmt.Sprintf("want less than %d", limit)
			}
			return ""
		}
	}
	prose := func(n int) []byte {
		var b bytes.Buffer
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "Message %d to the world (世界): %s\n", i, text)
		}
		return []byte(strings.ToValidUTF8(string(b.Bytes()[:n]), ""))
	}
	noise := make([]byte, 1<<20)
	rand.Read(noise)

	// Less than 250 bytes: zlib does not look further back in a window of 512.
	probe := digits(200)
	far := bytes.Repeat(digits(3000), 20)
	return []sample{
		{"nothing", websocket.Text, nil, nil},
		{"nothing", websocket.Binary, nil, nil},
		{"a byte", websocket.Text, []byte("x"), nil},
		{"digits", websocket.Text, probe, func(n int, _ direction) string {
			if n < 100 || n > 160 {
				return "want 100 to 160"
			}
			return ""
		}},
		{"the same digits", websocket.Text, probe, func(n int, d direction) string {
			switch {
			case d.takeover && n > 50:
				return "want at most 50, with takeover"
			case !d.takeover && n < 100:
				return "want at least 100, without takeover"
			}
			return ""
		}},
		{"digits that repeat after 3000 bytes", websocket.Binary, far, func(n int, d direction) string {
			switch {
			case d.bits >= 12 && n > len(far)/8:
				return fmt.Sprintf("want at most %d, with a window of %d bits", len(far)/8, d.bits)
			case d.bits < 12 && n < len(far)/2:
				return fmt.Sprintf("want at least %d, with a window of %d bits", len(far)/2, d.bits)
			}
			return ""
		}},
		{"1000 bytes", websocket.Text, prose(1000), below(500)},
		{"1000 bytes", websocket.Binary, prose(1000), below(500)},
		{"64 KiB", websocket.Text, prose(64 << 10), below(32 << 10)},
		{"1 MiB", websocket.Text, prose(1 << 20), below(1 << 19)},
		{"1 MiB of noise", websocket.Binary, noise, below(1<<20 + 1<<14)},
		{"3 MiB", websocket.Binary, prose(3 << 20), below(3 << 19)},
		{"fragments", websocket.Text, append([]byte("F"), prose(64<<10)...), below(32 << 10)},
	}
}

// exchangeAll has the peer echo every sample, compares the echoes, and then checks the
// sizes of both sides. ours and theirs are the negotiated parameters. fragments says
// whether the peer sends the last message in fragments.
func (tr *frameLog) exchangeAll(t *testing.T, c *websocket.Conn, fragments bool, ours, theirs direction) {
	t.Helper()
	ctx := testContext(t)
	messages := samples()
	for i, m := range messages {
		if i < len(messages)-1 {
			exchange(t, ctx, c, m.typ, m.data)
			continue
		}
		sent := make(chan error, 1)
		go func() { sent <- writeParts(ctx, c, m.data) }()
		expect(t, ctx, c, m.typ, m.data)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("Close: %v", err)
	}
	<-tr.ended // the last call of a hook

	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, side := range []struct {
		name      string
		messages  []wireMessage
		direction direction
		fragments bool
	}{{"we", tr.out, ours, true}, {"the peer", tr.in, theirs, fragments}} {
		if len(side.messages) != len(messages) {
			t.Errorf("%s sent %d messages, want %d", side.name, len(side.messages), len(messages))
			continue
		}
		for i, got := range side.messages {
			m := messages[i]
			if m.checkSize == nil {
				continue
			}
			if !got.compressed && m.what != "1 MiB of noise" { // some do not compress what does not shrink
				t.Errorf("%s sent %s uncompressed", side.name, m.what)
			}
			if wrong := m.checkSize(got.bytes, side.direction); wrong != "" {
				t.Errorf("%s sent %s (%d bytes) in %d bytes, %s", side.name, m.what, len(m.data), got.bytes, wrong)
			}
		}
		if n := side.messages[len(messages)-1].frames; side.fragments && n < 2 {
			t.Errorf("%s sent the last message in %d frames", side.name, n)
		}
	}
}

// writeParts streams a text.
func writeParts(ctx context.Context, c *websocket.Conn, data []byte) error {
	w, err := c.Writer(ctx, websocket.Text)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(data, 1000) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// echoCompressed sends every message back, as the scripts do.
func echoCompressed(ctx context.Context, c *websocket.Conn) {
	for m, err := range c.Messages(ctx) {
		if err != nil {
			return
		}
		if m.Type == websocket.Text && bytes.HasPrefix(m.Data, []byte("F")) {
			err = writeParts(ctx, c, m.Data)
		} else {
			err = c.Write(ctx, m.Type, m.Data)
		}
		if err != nil {
			return
		}
	}
}
