package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/bufpipe"
	"github.com/fullduplex-go/websocket/internal/extension"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/deflatetest"
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

// Compressed messages that are cut off: by a context, by a reader that has
// enough, by the end of the connection.

// TestCancelledCompressedRead: nothing is lost, wherever a read is cut off, and
// whichever way the next one reads.
func TestCancelledCompressedRead(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range readings {
		if name != "drained Reader" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	ways := map[string]func(i int) string{"mixed": func(i int) string { return names[i*7%len(names)] }}
	for _, name := range names {
		ways[name] = func(int) string { return name }
	}
	for i, p := range deflatetest.Kinds[:2] {
		wire, want := deflatetest.TakeoverWire(p.RecvTakeover, wstest.Frame)
		for way, name := range ways {
			for _, tr := range transports {
				t.Run(fmt.Sprintf("%d/%s/%s", i, way, tr.name), func(t *testing.T) {
					t.Parallel()
					step := 11
					switch {
					case tr.name != "pipe" || raceEnabled:
					case way == "mixed" || os.Getenv("SOAK") != "":
						step = 1
					default:
						step = 4
					}
					c, peer := compressedServer(t, tr.pair, Options{}, p)
					testCancelledReads(t, c, peer, wire, want, step, name)
				})
			}
		}
	}
}

func testCancelledReads(t *testing.T, c *Conn, peer net.Conn, wire []byte, want []string, step int, way func(i int) string) {
	var got []string
	rest, calls := "", 0
	var stream resumedReader
	read := func(ctx context.Context, name string) (string, error) {
		if name == "Reader" || stream.r != nil { // any other would discard the rest
			return stream.read(ctx, c)
		}
		return readings[name](ctx, c)
	}
	for done := 0; done < len(wire); {
		piece := wire[done:min(done+step, len(wire))]
		done += len(piece)
		ctx, cancel := context.WithCancel(bg)
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			peer.Write(piece)
			until(t, "bytes read", func() bool { return c.Stats().BytesRead >= uint64(done) })
			cancel()
		}()
		for {
			calls++
			p, err := read(ctx, way(calls))
			if err == nil {
				got = append(got, rest+p)
				rest = ""
				continue
			}
			if !errors.Is(err, context.Canceled) || CloseCode(err) != 0 {
				t.Fatalf("byte %d: %v", done, err)
			}
			rest += p
			break
		}
		<-fed
	}
	// A read that has found its context ended leaves what it could have had.
	for len(got) < len(want) {
		p, err := read(bg, way(0))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rest+p)
		rest = ""
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d messages\n%.1000q\nwant\n%.1000q", len(got), got, want)
	}
}

// TestCloseUnderCompressedRead: likewise, with a call that reads under way.
func TestCloseUnderCompressedRead(t *testing.T) {
	for _, tr := range transports {
		for i, p := range deflatetest.Kinds[:2] {
			wire, _ := deflatetest.TakeoverWire(p.RecvTakeover, wstest.Frame)
			for name, read := range readings {
				for _, sent := range []int{0, 1, 20, 150, 300, 500} {
					c, peer := compressedServer(t, tr.pair, Options{}, p)
					peer.Write(wire[:sent])
					read1 := make(chan error, 1)
					go func() {
						for {
							if _, err := read(bg, c); err != nil {
								read1 <- err
								return
							}
						}
					}()
					until(t, "it reads", func() bool { return c.Stats().BytesRead == uint64(sent) && c.in.readLock.busy() })
					closed := make(chan error, 1)
					go func() { closed <- c.Close(StatusGoingAway, "") }()
					r := &frameReader{nc: peer}
					f := rawFrame{}
					for f.Opcode != OpClose {
						var err error
						if f, err = r.next(); err != nil {
							t.Fatal(err)
						}
					}
					peer.Write(wire[sent:])
					peer.Write(encode(true, wireFrame{0xc1, "\x06\xff"}))
					peer.Write(closeFrame(true, StatusGoingAway, ""))
					if err := <-closed; err != nil {
						t.Errorf("%s, %d, %s: %d bytes sent: %v", tr.name, i, name, sent, err)
					}
					if err := <-read1; CloseCode(err) != StatusGoingAway {
						t.Errorf("%s: the reader got %v", name, err)
					}
				}
			}
		}
	}
}

// TestNewConnExtensions: both ends keep to what was agreed, as after a handshake.
func TestNewConnExtensions(t *testing.T) {
	on := Options{Compression: new(CompressionOptions)}
	small := Options{Compression: &CompressionOptions{MemoryBudget: 4 << 10}}
	for _, tt := range []struct {
		agreed string
		opts   Options
		want   compression // of the server's end; of the client's it is the reverse
	}{
		{"permessage-deflate", on, compression{SendBits: 15, RecvBits: 15, SendTakeover: true, RecvTakeover: true}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", on, compression{SendBits: 15, RecvBits: 15}},
		{"permessage-deflate; server_max_window_bits=10; client_max_window_bits=11", on, compression{SendBits: 10, RecvBits: 11, SendTakeover: true, RecvTakeover: true}},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", small, compression{SendBits: 15, RecvBits: 15}},
	} {
		o := ConnOptions{Options: tt.opts, Extensions: tt.agreed}
		cfg, err := o.config()
		if err != nil {
			t.Errorf("%s: %v", tt.agreed, err)
			continue
		}
		got := cfg.extensions.Deflate
		got.Level, got.Threshold = 0, 0
		if got != tt.want {
			t.Errorf("%s: the server has %+v, want %+v", tt.agreed, got, tt.want)
		}
		o.Client = true
		if cfg, err = o.config(); err != nil {
			t.Errorf("%s: client: %v", tt.agreed, err)
			continue
		}
		got = cfg.extensions.Deflate
		if tt.opts.Compression == small.Compression { // a client then never uses more, takeover or not
			got.SendBits = max(got.SendBits, tt.want.RecvBits)
		}
		if want := tt.want; got.SendBits != want.RecvBits || got.RecvBits != want.SendBits || got.SendTakeover != want.RecvTakeover || got.RecvTakeover != want.SendTakeover {
			t.Errorf("%s: the client has %+v, want the reverse of %+v", tt.agreed, got, want)
		}
		a, b := bufpipe.New(pipeSize)
		c := newConn(a, cfg)
		defer c.CloseNow()
		o.Client = false
		if cfg, err = o.config(); err != nil {
			t.Fatal(err)
		}
		s := newConn(b, cfg)
		defer s.CloseNow()
		msg := strings.Repeat("compressible ", 100)
		for range 3 {
			for _, ends := range [][2]*Conn{{c, s}, {s, c}} {
				before := ends[0].Stats().BytesWritten
				if err := ends[0].Write(bg, Text, []byte(msg)); err != nil {
					t.Fatal(err)
				}
				if _, p, err := ends[1].Read(bg); string(p) != msg || err != nil {
					t.Fatalf("%s: read %d bytes, %v", tt.agreed, len(p), err)
				}
				if n := ends[0].Stats().BytesWritten - before; n > 100 {
					t.Errorf("%s: a message of %d bytes took %d", tt.agreed, len(msg), n)
				}
			}
		}
	}
}

// TestConnForgetsCompressionOptions: what they point to is the user's, and a
// copy for each connection would keep those from sharing their options.
func TestConnForgetsCompressionOptions(t *testing.T) {
	conns := make(chan *Conn, 1)
	opts := &AcceptOptions{Options: Options{Compression: new(CompressionOptions)}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			t.Error(err)
		}
		conns <- c
	}))
	defer srv.Close()
	client, _, err := Dial(t.Context(), srv.URL, &DialOptions{Options: opts.Options})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseNow()
	server := wstest.Receive(t, conns)
	defer server.CloseNow()
	for _, c := range []*Conn{client, server} {
		if c.opts.Compression != nil {
			t.Errorf("client %v: the connection holds on to the user's CompressionOptions", c.client())
		}
	}
	if client.opts != server.opts {
		t.Error("options that are the same are not shared")
	}
	if h := server.Request().Header; h.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("Conn.Request has %v", h)
	}
	if opts.Compression == nil {
		t.Error("Accept or Dial changed the options")
	}
}
