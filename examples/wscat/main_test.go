package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serve starts a server whose connections handler serves and returns its
// http URL, which is as good as a ws one.
func serve(t *testing.T, handler func(*websocket.Conn)) string {
	t.Helper()
	ws := &websocket.Server{Handler: handler}
	ws.OriginPatterns = []string{"https://page.example"}
	ws.Subprotocols = []string{"soup", "stew"}
	server := httptest.NewServer(ws)
	t.Cleanup(func() {
		ws.Close()
		server.Close()
	})
	return server.URL
}

// echo returns the messages of c and, at its end, the close code.
func echo(c *websocket.Conn) websocket.StatusCode {
	ctx := context.Background()
	for msg, err := range c.Messages(ctx) {
		if err == nil {
			err = c.Write(ctx, msg.Type, msg.Data)
		}
		if err != nil {
			return websocket.CloseCode(err)
		}
	}
	return websocket.CloseCode(context.Cause(c.Context()))
}

type result struct {
	code           int
	stdout, stderr string
}

// wscat runs the program to its end.
func wscat(t *testing.T, stdin io.Reader, args ...string) result {
	t.Helper()
	var stdout, stderr buffer
	code := run(t.Context(), args, stdin, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func (r result) want(t *testing.T, code int, stdout string, stderr ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if r.stdout != stdout {
		t.Errorf("standard output is\n%s\nwant\n%s", r.stdout, stdout)
	}
	for _, s := range stderr {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("standard error does not say %q", s)
		}
	}
	if t.Failed() {
		t.Logf("standard error is\n%s", r.stderr)
	}
}

// endless is a standard input where nobody types.
func endless(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

func TestLines(t *testing.T) {
	codes := make(chan websocket.StatusCode, 1)
	url := serve(t, func(c *websocket.Conn) { codes <- echo(c) })
	stdin := strings.NewReader("one\r\n\nzwölf 🙂\nno line feed")
	wscat(t, stdin, "-wait", "200ms", url).
		want(t, 0, "one\n\nzwölf 🙂\nno line feed\n", "connected to "+url+"\n", "closed with 1000 (normal closure)\n")
	if code := <-codes; code != websocket.StatusNormalClosure {
		t.Errorf("the server was told %v", code)
	}
}

func TestBinary(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) { echo(c) })
	data := make([]byte, 100_000) // more than a block
	rand.Read(data)
	wscat(t, bytes.NewReader(data), "-binary", "-wait", "500ms", url).want(t, 0, string(data))
}

func TestHexDump(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		c.Write(context.Background(), websocket.Binary, []byte("0123456789abcdef\x00\xff"))
		c.Write(context.Background(), websocket.Binary, nil)
	})
	wscat(t, endless(t), url).want(t, 0, ""+
		"00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"+
		"00000010  00 ff                                             |..|\n"+
		"00000000\n")
}

func TestHandshakeFlags(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		h := c.Request().Header
		for _, v := range h.Values("X-Color") {
			c.Write(context.Background(), websocket.Text, []byte(v))
		}
		c.Write(context.Background(), websocket.Text, []byte(h.Get("Origin")+" "+c.Subprotocol()))
	})
	wscat(t, endless(t), "-H", "X-Color: red", "-H", "x-color:green", "-origin", "https://page.example",
		"-subprotocol", "stew", "-subprotocol", "soup", url).
		want(t, 0, "red\ngreen\nhttps://page.example soup\n", ", subprotocol soup\n")
}

// The result of -compress is shown, and without it compression is not offered.
func TestCompress(t *testing.T) {
	for _, tt := range []struct {
		server *websocket.CompressionOptions
		args   []string
		want   string // how the line about the connection ends
		frames string // of the messages that the server gets
	}{
		{&websocket.CompressionOptions{WindowBits: 10}, []string{"-compress"},
			", permessage-deflate; client_max_window_bits=10\n", "compressed"},
		{nil, []string{"-compress"}, ", no compression\n", "plain"},
		{&websocket.CompressionOptions{}, nil, "", "plain"},
	} {
		frames := make(chan string, 10)
		ws := &websocket.Server{Handler: func(c *websocket.Conn) { echo(c) }}
		ws.Compression = tt.server
		ws.Trace = &websocket.Trace{FrameIn: func(_ *websocket.Conn, h websocket.Header) {
			switch {
			case h.Opcode != websocket.OpText:
			case h.RSV == websocket.RSV1:
				frames <- "compressed"
			default:
				frames <- "plain"
			}
		}}
		server := httptest.NewServer(ws)
		line := strings.Repeat("again and ", 100) + "\n"
		r := wscat(t, strings.NewReader(line), append(tt.args, "-wait", "200ms", server.URL)...)
		r.want(t, 0, line, "connected to "+server.URL+tt.want)
		if tt.want == "" && !strings.HasPrefix(r.stderr, "connected to "+server.URL+"\n") {
			t.Errorf("standard error is\n%s", r.stderr)
		}
		if got := <-frames; got != tt.frames {
			t.Errorf("%q: the server got a %s message", tt.args, got)
		}
		ws.Close()
		server.Close()
	}
}

func TestClosedByPeer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(*websocket.Conn)
		code   int
		stderr string
	}{
		{"normal", func(c *websocket.Conn) { c.Close(1000, "enough") }, 0, `closed by the peer with 1000 (normal closure): "enough"`},
		{"going away", func(c *websocket.Conn) { c.Close(1001, "") }, 1, "closed by the peer with 1001 (going away)"},
		{"application", func(c *websocket.Conn) { c.Close(4321, "grüß\x1b[31m") }, 1, "closed by the peer with 4321: \"grüß"},
		{"cut", func(c *websocket.Conn) { c.CloseNow() }, 1, "connection lost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, tt.end)
			r := wscat(t, endless(t), url)
			r.want(t, tt.code, "", tt.stderr)
			if strings.Contains(r.stderr, "\x1b") {
				t.Errorf("standard error has an escape: %q", r.stderr)
			}
		})
	}
}

func TestSignal(t *testing.T) {
	codes := make(chan websocket.StatusCode, 1)
	url := serve(t, func(c *websocket.Conn) { codes <- echo(c) })
	ctx, cancel := context.WithCancel(context.Background())
	var last string
	status := notify(func(line string) {
		if strings.HasPrefix(line, "connected") {
			cancel()
		}
		last = line
	})
	if code := run(ctx, []string{url}, endless(t), io.Discard, status); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if want := "closed with 1000 (normal closure)\n"; last != want {
		t.Errorf("the last status is %q, want %q", last, want)
	}
	if code := <-codes; code != websocket.StatusNormalClosure {
		t.Errorf("the server was told %v", code)
	}
}

// A server that hangs up without an answer to our close frame has not closed
// the connection normally.
func TestUnansweredClose(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: "+websocket.AcceptKey(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		io.ReadFull(nc, make([]byte, 8)) // a masked close frame with a code
	}))
	defer server.Close()
	wscat(t, strings.NewReader(""), "-wait", "0s", server.URL).want(t, 1, "", "the closing handshake was not completed")
}

// A negative -wait leaves the end to the server.
func TestWaitForServer(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		_, p, err := c.Read(context.Background())
		if err != nil || string(p) != "last line" {
			t.Errorf("server got %q, %v", p, err)
		}
		c.Write(context.Background(), websocket.Text, []byte("reply"))
		c.Close(websocket.StatusNormalClosure, "done")
	})
	wscat(t, strings.NewReader("last line\n"), "-wait", "-1s", url).want(t, 0, "reply\n", `"done"`)
}

// notify is a writer that calls f with each write.
type notify func(string)

func (f notify) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

func TestPing(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) { echo(c) })
	ctx, cancel := context.WithCancel(context.Background())
	pings := 0
	status := notify(func(line string) {
		rtt, ok := strings.CutPrefix(line, "ping: ")
		if !ok {
			return
		}
		if d, err := time.ParseDuration(strings.TrimSuffix(rtt, "\n")); err != nil || d <= 0 {
			t.Errorf("round-trip time in %q: %v, %v", line, d, err)
		}
		if pings++; pings == 2 {
			cancel()
		}
	})
	if code := run(ctx, []string{"-ping", "10ms", url}, endless(t), io.Discard, status); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if pings < 2 {
		t.Errorf("%d pings", pings)
	}
}

func TestInsecure(t *testing.T) {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		c.Write(context.Background(), websocket.Text, []byte("secret"))
	}}
	server := httptest.NewUnstartedServer(ws)
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	defer ws.Close()
	url := "wss" + strings.TrimPrefix(server.URL, "https")
	wscat(t, endless(t), url).want(t, 1, "", "certificate")
	wscat(t, endless(t), "-insecure", url).want(t, 0, "secret\n")
}

func TestRefused(t *testing.T) {
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, body, http.StatusServiceUnavailable)
	}))
	defer server.Close()
	for _, body = range []string{"no seats", "no \x1b[31mseats", "no seats\nat this table"} {
		r := wscat(t, endless(t), server.URL)
		text := strings.ReplaceAll(body, "\x1b", "␛")
		r.want(t, 1, "", "503", text)
		if n := strings.Count(r.stderr, text); n != 1 {
			t.Errorf("%q is told %d times in\n%s", text, n, r.stderr)
		}
	}

	server.Close()
	wscat(t, endless(t), server.URL).want(t, 1, "", "refused")
}

func TestReadLimit(t *testing.T) {
	codes := make(chan websocket.StatusCode, 1)
	url := serve(t, func(c *websocket.Conn) {
		c.Write(context.Background(), websocket.Binary, make([]byte, 101))
		codes <- echo(c)
	})
	wscat(t, endless(t), "-max", "100", url).want(t, 1, "", "message too big")
	if code := <-codes; code != websocket.StatusMessageTooBig {
		t.Errorf("the server was told %v", code)
	}
}

func TestInvalidUTF8(t *testing.T) {
	lines := make(chan string, 10)
	url := serve(t, func(c *websocket.Conn) {
		defer close(lines)
		for {
			_, p, err := c.Read(context.Background())
			if err != nil {
				return
			}
			lines <- string(p)
		}
	})
	wscat(t, strings.NewReader("good\nb\xffd\nnever\n"), "-wait", "-1s", url).want(t, 1, "", "line 2 is not UTF-8")
	var got []string
	for line := range lines {
		got = append(got, line)
	}
	if len(got) != 1 || got[0] != "good" {
		t.Errorf("the server got %q, want only the first line", got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestBrokenOutput(t *testing.T) {
	url := serve(t, func(c *websocket.Conn) {
		c.Write(context.Background(), websocket.Text, []byte("one"))
		c.Write(context.Background(), websocket.Text, []byte("two"))
		echo(c)
	})
	var stderr buffer
	if code := run(t.Context(), []string{url}, endless(t), brokenWriter{}, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if n := strings.Count(stderr.String(), "disk full"); n != 1 {
		t.Errorf("the failure is told %d times:\n%s", n, &stderr)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"ws://one.example", "ws://two.example"},
		{"-nonsense", "ws://one.example"},
		{"-H", "no colon", "ws://one.example"},
	} {
		r := wscat(t, endless(t), args...)
		r.want(t, 2, "", "usage: wscat")
	}
	wscat(t, endless(t), "-help").want(t, 0, "", "usage: wscat", "-subprotocol name")
}

func TestPrintable(t *testing.T) {
	if got := printable("a\tb\nc\x1b[2J\x07\r\x7f\u009bé"); got != "a\tb\nc␛[2J␇␍␡\ufffdé" {
		t.Errorf("got %q", got)
	}
}
