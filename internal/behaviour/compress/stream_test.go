package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
)

func TestCompressedEcho(t *testing.T) {
	for i, p := range deflatetest.Kinds {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			frames := make(chan websocket.Header, 1)
			client, server := compressedPair(t, p, websocket.Options{Trace: &websocket.Trace{
				FrameIn: func(_ *websocket.Conn, h websocket.Header) { frames <- h },
			}})
			go func() {
				for m, err := range server.Messages(bg) {
					if err != nil || server.Write(bg, m.Type, m.Data) != nil {
						return
					}
				}
			}()
			for j, n := range []int{1000, 0, 1, 1000, 130, 70_000, 1000, 1 << 20, 201, 3 << 20, 1000} {
				msg := deflatetest.Text(n, j+1)
				if err := client.Write(bg, websocket.Text, msg); err != nil {
					t.Fatal(err)
				}
				typ, got, err := client.Read(bg)
				if err != nil || typ != websocket.Text || !bytes.Equal(got, msg) {
					t.Fatalf("message of %d bytes came back as %v of %d, %v", len(msg), typ, len(got), err)
				}
				last := wstest.Receive(t, frames)
				if want := len(msg) >= max(p.Threshold, 100); (last.RSV == websocket.RSV1) != want || !last.Fin {
					t.Errorf("%d bytes were sent with header %+v", n, last)
				}
				if last.RSV == websocket.RSV1 && last.Length > int64(n) {
					t.Errorf("%d bytes were sent in %d", n, last.Length)
				}
			}
		})
	}
}

// readings are the ways to read a message. With an error there is what was read
// of it, which is something only for a Reader.
var readings = map[string]func(ctx context.Context, c *websocket.Conn) (string, error){
	"Read": func(ctx context.Context, c *websocket.Conn) (string, error) {
		_, p, err := c.Read(ctx)
		return string(p), err
	},
	"ReadAppend": func(ctx context.Context, c *websocket.Conn) (string, error) {
		_, p, err := c.ReadAppend(ctx, []byte("dst"))
		return strings.TrimPrefix(string(p), "dst"), err
	},
	"Messages": func(ctx context.Context, c *websocket.Conn) (string, error) {
		for m, err := range c.Messages(ctx) {
			return string(m.Data), err
		}
		return "", io.EOF
	},
	"Reader": func(ctx context.Context, c *websocket.Conn) (string, error) {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		p, err := io.ReadAll(r)
		return string(p), err
	},
	"drained Reader": func(ctx context.Context, c *websocket.Conn) (string, error) {
		_, r, err := c.Reader(ctx)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(io.Discard, r)
		return "", err
	},
}

// TestCompressedStreams: every way to write met by every way to read.
func TestCompressedStreams(t *testing.T) {
	reads := map[string]func(c *websocket.Conn) ([]byte, error){
		"Read": func(c *websocket.Conn) ([]byte, error) { _, p, err := c.Read(bg); return p, err },
		"ReadAppend": func(c *websocket.Conn) ([]byte, error) {
			_, p, err := c.ReadAppend(bg, []byte("x"))
			return bytes.TrimPrefix(p, []byte("x")), err
		},
		"Messages": func(c *websocket.Conn) ([]byte, error) {
			for m, err := range c.Messages(bg) {
				return bytes.Clone(m.Data), err
			}
			return nil, io.EOF
		},
		"Reader": func(c *websocket.Conn) ([]byte, error) {
			_, r, err := c.Reader(bg)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		},
		"Reader in small steps": func(c *websocket.Conn) ([]byte, error) {
			_, r, err := c.Reader(bg)
			if err != nil {
				return nil, err
			}
			return io.ReadAll(stepReader{t, r})
		},
	}
	writes := map[string]func(c *websocket.Conn, p []byte) error{
		"Write":             func(c *websocket.Conn, p []byte) error { return c.Write(bg, websocket.Text, p) },
		"WriteUncompressed": func(c *websocket.Conn, p []byte) error { return c.WriteUncompressed(bg, websocket.Text, p) },
		"Writer": func(c *websocket.Conn, p []byte) error {
			w, err := c.Writer(bg, websocket.Text)
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
	for i, p := range deflatetest.Kinds {
		client, server := compressedPair(t, p, websocket.Options{})
		for wn, write := range writes {
			for rn, read := range reads {
				for _, n := range []int{300, 0, 50, 40_000, 20_000} {
					msg := deflatetest.Text(n, n+i)
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
