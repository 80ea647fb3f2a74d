package websocket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/extension"
)

// compression is what the ends of a connection that compresses have agreed on.
type compression = extension.Deflate

// compressing returns the agreement on p alone; nil for none.
func compressing(p *compression) (a agreement) {
	if p != nil {
		a.extensions = extension.Agreed{RSV: RSV1, Deflate: *p}
	}
	return a
}

// compressedPair returns both ends of a connection that compresses as p says,
// seen from the client.
func compressedPair(t testing.TB, p compression) (client, server *Conn) {
	t.Helper()
	q := p
	q.SendBits, q.RecvBits = p.RecvBits, p.SendBits
	q.SendTakeover, q.RecvTakeover = p.RecvTakeover, p.SendTakeover
	a, b := bufpipe.New(1 << 20)
	opts := Options{ReadLimit: 8 << 20}.withDefaults()
	client = newConn(a, connConfig{client: true, opts: opts, agreement: compressing(&p)})
	server = newConn(b, connConfig{opts: opts, agreement: compressing(&q)})
	t.Cleanup(func() {
		client.CloseNow()
		server.CloseNow()
	})
	return client, server
}

// compressions are a few of those that can be negotiated.
var compressions = []compression{
	{Level: 5, SendBits: 15, RecvBits: 15},
	{Level: 5, SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true},
	{Level: 1, SendBits: 8, RecvBits: 12, SendTakeover: true},
	{Level: 9, SendBits: 12, RecvBits: 8, RecvTakeover: true},
	{Level: 3, Threshold: 200, SendBits: 10, RecvBits: 9, SendTakeover: true, RecvTakeover: true},
}

func compressible(n, seed int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"Zoë %d","ok":%v},`, i*seed, i%7, i%3 == 0)
	}
	p := b.Bytes()[:n]
	for len(p) > 0 && p[len(p)-1] >= 0x80 { // not in the middle of a character
		p = p[:len(p)-1]
	}
	return p
}

func withTrace(o *Options, tr *Trace) *Options {
	c := *o
	c.Trace = tr
	return &c
}

func TestCompressedEcho(t *testing.T) {
	for i, p := range compressions {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			client, server := compressedPair(t, p)
			frames := make(chan Header, 1)
			server.opts = withTrace(server.opts, &Trace{FrameIn: func(_ *Conn, h Header) { frames <- h }})
			go func() {
				for m, err := range server.Messages(bg) {
					if err != nil || server.Write(bg, m.Type, m.Data) != nil {
						return
					}
				}
			}()
			for j, n := range []int{1000, 0, 1, 1000, 130, 70_000, 1000, 1 << 20, 201, 3 << 20, 1000} {
				msg := compressible(n, j+1)
				if err := client.Write(bg, Text, msg); err != nil {
					t.Fatal(err)
				}
				typ, got, err := client.Read(bg)
				if err != nil || typ != Text || !bytes.Equal(got, msg) {
					t.Fatalf("message of %d bytes came back as %v of %d, %v", len(msg), typ, len(got), err)
				}
				last := mustReceive(t, frames)
				if want := len(msg) >= max(p.Threshold, 100); (last.RSV == RSV1) != want || !last.Fin {
					t.Errorf("%d bytes were sent with header %+v", n, last)
				}
				if last.RSV == RSV1 && last.Length > int64(n) {
					t.Errorf("%d bytes were sent in %d", n, last.Length)
				}
			}
		})
	}
}

// readings are the ways to read a message. With an error there is what was read
// of it, which is something only for a Reader.
var readings = map[string]func(ctx context.Context, c *Conn) (string, error){
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
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		p, err := io.ReadAll(r)
		return string(p), err
	},
	"drained Reader": func(ctx context.Context, c *Conn) (string, error) {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(io.Discard, r)
		return "", err
	},
}

// resumedReader reads messages by Reader, and goes on with the same one after its
// context has ended.
type resumedReader struct{ r *messageReader }

func (s *resumedReader) read(ctx context.Context, c *Conn) (string, error) {
	if s.r == nil {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		s.r = r.(*messageReader)
	}
	p, err := io.ReadAll(readerFunc(func(p []byte) (int, error) { return s.r.read(ctx, p) }))
	if err == nil {
		s.r = nil
	}
	return string(p), err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestCompressedStreams: every way to write met by every way to read.
func TestCompressedStreams(t *testing.T) {
	reads := map[string]func(c *Conn) ([]byte, error){
		"Read": func(c *Conn) ([]byte, error) { _, p, err := c.Read(bg); return p, err },
		"ReadAppend": func(c *Conn) ([]byte, error) {
			_, p, err := c.ReadAppend(bg, []byte("x"))
			return bytes.TrimPrefix(p, []byte("x")), err
		},
		"Messages": func(c *Conn) ([]byte, error) {
			for m, err := range c.Messages(bg) {
				return bytes.Clone(m.Data), err
			}
			return nil, io.EOF
		},
		"Reader": func(c *Conn) ([]byte, error) {
			_, r, err := c.Reader(bg)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		},
		"Reader in small steps": func(c *Conn) ([]byte, error) {
			_, r, err := c.Reader(bg)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(stepReader{t, r})
		},
	}
	writes := map[string]func(c *Conn, p []byte) error{
		"Write":             func(c *Conn, p []byte) error { return c.Write(bg, Text, p) },
		"WriteUncompressed": func(c *Conn, p []byte) error { return c.WriteUncompressed(bg, Text, p) },
		"Writer": func(c *Conn, p []byte) error {
			w, err := c.Writer(bg, Text)
			if err != nil {
				return err
			}
			for len(p) > 0 {
				n := min(len(p), 5000)
				if _, err := w.Write(p[:n]); err != nil {
					return err
				}
				p = p[n:]
			}
			return w.Close()
		},
	}
	for i, p := range compressions {
		client, server := compressedPair(t, p)
		for wn, write := range writes {
			for rn, read := range reads {
				for _, n := range []int{300, 0, 50, 40_000, 20_000} {
					msg := compressible(n, n+i)
					errs := make(chan error, 1)
					go func() { errs <- write(client, msg) }()
					got, err := read(server)
					if err != nil || !bytes.Equal(got, msg) {
						t.Fatalf("%d: %s, %s: %d bytes arrived as %d: %v", i, wn, rn, len(msg), len(got), err)
					}
					if err := <-errs; err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// stepReader reads seven bytes at a time, and knows when there are none.
type stepReader struct {
	t testing.TB
	r io.Reader
}

func (s stepReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), 7)])
	if n == 0 && err == nil {
		s.t.Error("Read returned 0, nil")
	}
	return n, err
}
