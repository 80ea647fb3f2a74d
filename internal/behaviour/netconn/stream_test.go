package netconn_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	stdutf8 "unicode/utf8"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/conntest"
)

// A NetConn as a stream: sizes, borders and counts.

// TestNetConnHugeWrite: io.Copy from a bytes.Reader is one Write, of more than any
// read limit.
func TestNetConnHugeWrite(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		want := wstest.Pattern(5<<20 + 123)
		for _, ends := range [][2]net.Conn{{a, b}, {b, a}} {
			sent := make(chan error, 1)
			go func() {
				n, err := io.Copy(ends[0], bytes.NewReader(want))
				if err == nil && n != int64(len(want)) {
					err = fmt.Errorf("wrote %d bytes of %d", n, len(want))
				}
				sent <- err
			}()
			got := make([]byte, len(want))
			if n, err := io.ReadFull(ends[1], got); err != nil {
				t.Fatalf("%d bytes, then %v", n, err)
			}
			if sha256.Sum256(got) != sha256.Sum256(want) {
				t.Error("the bytes differ")
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestNetConnFrames: what a Write is on the wire.
func TestNetConnFrames(t *testing.T) {
	text := strings.Repeat("a€😀€", 20_000) // 11 bytes, so that borders fall into characters
	for _, client := range []bool{true, false} {
		for _, tt := range []struct {
			typ    websocket.MessageType
			write  string
			frames int
		}{
			{websocket.Binary, "x", 1},
			{websocket.Binary, string(wstest.Pattern(32 << 10)), 1},
			{websocket.Binary, string(wstest.Pattern(32<<10 + 1)), 2},
			{websocket.Binary, string(wstest.Pattern(64 << 10)), 3},
			{websocket.Binary, string(wstest.Pattern(1 << 20)), 33},
			{websocket.Text, text, 7},
		} {
			t.Run(fmt.Sprintf("%v/%v/%d", client, tt.typ, len(tt.write)), func(t *testing.T) {
				conntest.OverRaw(t, client, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
					n := c.NetConn(bg, tt.typ)
					sent := make(chan error, 1)
					go func() {
						m, err := n.Write([]byte(tt.write))
						if err == nil && m != len(tt.write) {
							err = fmt.Errorf("wrote %d of %d", m, len(tt.write))
						}
						sent <- err
					}()
					r, got := conntest.FrameReader{NC: peer}, ""
					for i := range tt.frames {
						f, err := r.Next()
						if err != nil {
							t.Fatal(err)
						}
						if f.Opcode != websocket.Opcode(tt.typ) || !f.Fin || f.Masked != client || f.Length > 32<<10 || f.Length == 0 {
							t.Errorf("frame %d: %+v", i, f.Header)
						}
						if tt.typ == websocket.Text && !stdutf8.ValidString(f.Payload) {
							t.Errorf("frame %d is not UTF-8", i)
						}
						got += f.Payload
					}
					if got != tt.write {
						t.Errorf("%d bytes have arrived in %d frames, and are not what was written", len(got), tt.frames)
					}
					if err := <-sent; err != nil {
						t.Error(err)
					}
					if m := c.Stats().MessagesWritten; m != uint64(tt.frames) {
						t.Errorf("%d messages counted of %d", m, tt.frames)
					}
				})
			})
		}
	}
}

// countingConn counts the writes.
type countingConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestNetConnBatches: messages of a large Write leave by 64 KiB in one call.
func TestNetConnBatches(t *testing.T) {
	for _, client := range []bool{true, false} {
		a, b := wstest.TCPPair(t)
		defer b.Close()
		counting := &countingConn{Conn: a}
		c := conntest.New(t, counting, client, websocket.Options{})
		defer c.CloseNow()
		read := make(chan error, 1)
		go func() {
			_, err := io.CopyN(io.Discard, b, 1<<20)
			read <- err
		}()
		if _, err := c.NetConn(bg, websocket.Binary).Write(wstest.Pattern(1 << 20)); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		if n := counting.writes.Load(); n > 17 {
			t.Errorf("client %v: %d writes for 1 MiB", client, n)
		}
	}
}

// TestNetConnReadsAnySize: messages of a peer that makes them as it likes.
func TestNetConnReadsAnySize(t *testing.T) {
	opts := websocket.Options{ReadLimit: 1000}
	conntest.OverRaw(t, false, opts, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		n := c.NetConn(bg, websocket.Binary)
		big, part := string(wstest.Pattern(3<<20)), string(wstest.Pattern(700))
		want := big + part + part + part + "end"
		sent := make(chan error, 1)
		go func() {
			var out []byte
			out = append(out, conntest.Frame(websocket.OpBinary, true, true, big)...)
			out = append(out, conntest.Frame(websocket.OpBinary, true, true, "")...)
			out = append(out, conntest.Frame(websocket.OpBinary, false, true, part)...)
			out = append(out, conntest.Frame(websocket.OpContinuation, false, true, part)...)
			out = append(out, conntest.Frame(websocket.OpContinuation, false, true, "")...)
			out = append(out, conntest.Frame(websocket.OpContinuation, true, true, part)...)
			out = append(out, conntest.Frame(websocket.OpBinary, true, true, "end")...)
			out = append(out, conntest.CloseFrame(true, websocket.StatusNormalClosure, "")...)
			_, err := peer.Write(out)
			sent <- err
		}()
		var got bytes.Buffer
		p := make([]byte, 1013)
		for {
			m, err := n.Read(p)
			got.Write(p[:m])
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", got.Len(), err)
			}
			if m == 0 {
				t.Error("read nothing")
			}
		}
		if got.String() != want {
			t.Errorf("%d bytes, which differ from the %d sent", got.Len(), len(want))
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

// TestNetConnCompressed: a stream over permessage-deflate, with messages that
// inflate to more than any read limit.
func TestNetConnCompressed(t *testing.T) {
	for _, extensions := range []string{
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate",
	} {
		a, b := wstest.TCPPair(t)
		opts := websocket.ConnOptions{Extensions: extensions}
		opts.ReadLimit = 1000
		opts.Compression = &websocket.CompressionOptions{Level: 5, Threshold: 1}
		server := conntest.NewWith(t, b, &opts)
		opts.Client = true
		client := conntest.NewWith(t, a, &opts)
		defer client.CloseNow()
		defer server.CloseNow()
		want := bytes.Repeat([]byte("all the same, "), 300_000)
		sent := make(chan error, 1)
		go func() {
			if err := client.Write(bg, websocket.Binary, want[:2<<20]); err != nil { // one message
				sent <- err
				return
			}
			_, err := client.NetConn(bg, websocket.Binary).Write(want[2<<20:])
			sent <- err
		}()
		got := make([]byte, len(want))
		if n, err := io.ReadFull(server.NetConn(bg, websocket.Binary), got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// TestNetConnWriteCut: of a Write that is stopped, those messages count that have
// arrived whole.
func TestNetConnWriteCut(t *testing.T) {
	for _, client := range []bool{true, false} {
		t.Run(fmt.Sprint(client), func(t *testing.T) {
			conntest.OverRaw(t, client, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
				n := c.NetConn(bg, websocket.Binary)
				written := make(chan int, 1)
				go func() {
					defer c.CloseNow()
					m, err := n.Write(make([]byte, 64<<20))
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error(err)
					}
					written <- m
				}()
				r := conntest.FrameReader{NC: peer}
				arrived := 0
				for range 5 {
					f, err := r.Next()
					if err != nil {
						t.Fatal(err)
					}
					arrived += int(f.Length)
				}
				n.SetWriteDeadline(time.Now())
				want := <-written
				for {
					f, err := r.Next()
					if err != nil {
						break // the end, in the middle of a frame
					}
					if f.Opcode == websocket.OpBinary {
						arrived += int(f.Length)
					}
				}
				if arrived != want || want == 0 {
					t.Errorf("Write counted %d bytes; %d have arrived in whole messages", want, arrived)
				}
			})
		})
	}
}

// TestNetConnEmptyWrite sends nothing, and says what another Write would.
func TestNetConnEmptyWrite(t *testing.T) {
	conntest.OverRaw(t, true, websocket.Options{}, func(t *testing.T, c *websocket.Conn, peer net.Conn) {
		n := c.NetConn(bg, websocket.Binary)
		for _, p := range []string{"", "x"} {
			if m, err := n.Write([]byte(p)); m != len(p) || err != nil {
				t.Errorf("%q: %d, %v", p, m, err)
			}
		}
		r := conntest.FrameReader{NC: peer}
		if f, err := r.Next(); err != nil || f.Payload != "x" {
			t.Errorf("%+v, %v", f, err)
		}
		n.SetDeadline(time.Now().Add(-time.Hour))
		if m, err := n.Write(nil); m != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", m, err)
		}
		if m, err := n.Read(nil); m != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", m, err)
		}
		n.SetDeadline(time.Time{})
		if m, err := n.Read(nil); m != 0 || err != nil { // does not wait for a message
			t.Errorf("%d, %v", m, err)
		}
	})
}

// TestNetConnWritesApart: large Writes of several goroutines are not mixed.
func TestNetConnWritesApart(t *testing.T) {
	conntest.Over(t, websocket.Options{}, func(t *testing.T, client, server *websocket.Conn) {
		const writers, size = 4, 200_000
		a, b := client.NetConn(bg, websocket.Binary), server.NetConn(bg, websocket.Binary)
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				if _, err := a.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
				}
			})
		}
		p := make([]byte, size)
		for range writers {
			if _, err := io.ReadFull(b, p); err != nil {
				t.Fatal(err)
			}
			if i := bytes.IndexFunc(p, func(r rune) bool { return byte(r) != p[0] }); i >= 0 {
				t.Errorf("another Write begins after %d bytes of this", i)
			}
		}
		all.Wait()
	})
}
