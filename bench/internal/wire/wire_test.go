//go:build linux

package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// The head that net/http puts before the content; its dates have always the same
// length.
const (
	head200 = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 100\r\n\r\n"
	head204 = "HTTP/1.1 204 No Content\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n"
)

func TestBytesOfPolls(t *testing.T) {
	s := newSite(t, false, nil)
	for _, tt := range []struct {
		browser bool
		request string
	}{
		{true, strings.Replace(browser.fetch, "{path}", "/poll/1003?after=10001", 1)},
		{false, "GET /poll/1003?after=10001 HTTP/1.1\r\nHost: app.example.com\r\nUser-Agent: Go-http-client/1.1\r\nAccept-Encoding: gzip\r\n\r\n"},
	} {
		r := newRunner(t, s, Job{Kind: Poll, Browser: tt.browser})
		c := r.mustOpen(t, 3)
		for i := range 3 {
			m := c.meter(t)
			s.Publish(3)
			if err := c.ask(feed.PollPath); err != nil {
				t.Fatal(err)
			}
			m.want(t, fmt.Sprintf("browser %v, poll %d with an update", tt.browser, i), len(tt.request), len(head200)+testSize)
			m = c.meter(t)
			if err := c.ask(feed.PollPath); err != nil {
				t.Fatal(err)
			}
			m.want(t, fmt.Sprintf("browser %v, poll %d without", tt.browser, i), len(tt.request), len(head204))
		}
		if c.polls.Load() != 7 || c.missed.Load() != 0 {
			t.Errorf("browser %v: %d polls, %d missed", tt.browser, c.polls.Load(), c.missed.Load())
		}
	}
}

func TestBytesOfLongPolls(t *testing.T) {
	s := newSite(t, false, nil)
	r := newRunner(t, s, Job{Kind: LongPoll, Browser: true})
	c := r.mustOpen(t, 0)
	request := strings.Replace(browser.fetch, "{path}", "/wait/1000?after=10001", 1)
	for i := range 3 {
		m := c.meter(t)
		s.Publish(0) // before the request: it need not wait
		if err := c.ask(feed.WaitPath); err != nil {
			t.Fatal(err)
		}
		m.want(t, fmt.Sprintf("request %d", i), len(request), len(head200)+testSize)
	}
}

// receive has the client receive an update that is published for it.
func (s *site) receive(t *testing.T, c *client) {
	t.Helper()
	// A server has answered a handshake before it attaches the connection.
	s.await(t, "a subscriber", func() bool { return s.Subscribers(c.index) == 1 })
	s.Publish(c.index)
	text, err := c.stream.next()
	if err == nil {
		err = c.got(text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so, for which there is no event.
func (s *site) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
	}
}

func TestBytesOfStreams(t *testing.T) {
	const record = 5 + 1 + 16 // header, type and tag of TLS 1.3 (RFC 8446, section 5.2)
	for _, tt := range []struct {
		kind   string
		secure bool
		want   int
	}{
		{Events, false, len("6c\r\ndata: \n\n\r\n") + testSize}, // a chunk
		{WebSocket, false, 2 + testSize},
		{WebSocket, true, record + 2 + testSize},
		{Events, true, record + 9 + len("data: \n\n") + testSize}, // a frame of HTTP/2
	} {
		what := fmt.Sprintf("%s, TLS %v", tt.kind, tt.secure)
		s := newSite(t, tt.secure, nil)
		c := newRunner(t, s, Job{Kind: tt.kind, TLS: tt.secure}).mustOpen(t, 7)
		s.receive(t, c) // HTTP/2 acknowledges settings meanwhile
		for range 3 {
			m := c.meter(t)
			s.receive(t, c)
			m.want(t, what, 0, tt.want)
			n, header, err := segments(c.conn.Conn)
			if err != nil {
				t.Fatal(err)
			}
			// One with the update, and one with the acknowledgement, which may
			// come later.
			if n -= m.segments; n < 1 || n > 3 || header != 40 && header != 52 {
				t.Errorf("%s: %d segments with headers of %d bytes", what, n, header)
			}
		}
	}
}

func TestBytesOfHandshake(t *testing.T) {
	s := newSite(t, false, nil)
	c := newRunner(t, s, Job{Kind: WebSocket}).mustOpen(t, 0)
	const response = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: 0123456789012345678901234567\r\n\r\n"
	request := strings.Replace(browser.webSocket, "{path}", "/ws/1000", 1)
	if c.setupSent != int64(len(request)) || c.setupReceived != int64(len(response)) {
		t.Errorf("%d bytes sent and %d received, want %d and %d", c.setupSent, c.setupReceived, len(request), len(response))
	}
}

// Under TLS there is no telling what it should be, but both ends count the same.
func TestBothEndsCountTheSame(t *testing.T) {
	for _, job := range []Job{
		{Kind: Poll, Browser: true, TLS: true}, {Kind: Poll, TLS: true}, {Kind: LongPoll, Browser: true, TLS: true},
		{Kind: Events, TLS: true}, {Kind: WebSocket, TLS: true}, {Kind: Poll}, {Kind: WebSocket},
	} {
		s := newSite(t, job.TLS, nil)
		c := newRunner(t, s, job).mustOpen(t, 0)
		for range 5 {
			switch job.Kind {
			case Poll, LongPoll:
				s.Publish(0)
				if err := c.ask(feed.PollPath); err != nil {
					t.Fatal(err)
				}
			default:
				s.receive(t, c)
			}
		}
		s.await(t, fmt.Sprintf("what is under way, with %+v", job), func() bool {
			return c.conn.in.Load() == s.out.Load() && c.conn.out.Load() == s.in.Load()
		})
		if c.updates.Load() != 5 {
			t.Errorf("%+v: %d updates", job, c.updates.Load())
		}
	}
}

func TestCompressed(t *testing.T) {
	for _, options := range []websocket.CompressionOptions{
		{Threshold: -1},
		{Threshold: -1, ServerNoContextTakeover: true},
		{}, // agrees, and sends what is small as it is
	} {
		s := newSite(t, false, &options)
		c := newRunner(t, s, Job{Kind: WebSocket, Compressed: true}).mustOpen(t, 2)
		before := c.conn.in.Load()
		const n = 50
		for range n {
			s.receive(t, c)
		}
		smaller := c.conn.in.Load()-before < n*(2+testSize)
		if smaller != (options.Threshold < 0) {
			t.Errorf("%+v: %d bytes for %d updates", options, c.conn.in.Load()-before, n)
		}
	}
}

// Requests are the captured ones, except for the path.
func TestBrowser(t *testing.T) {
	for name, request := range map[string]string{"fetch": browser.fetch, "EventSource": browser.eventSource, "WebSocket": browser.webSocket} {
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(requestFor(request, "/some/path?x=1"))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cookie, err := req.Cookie("session"); err != nil || len(cookie.Value) < 20 || req.Host != host || req.URL.RequestURI() != "/some/path?x=1" || req.UserAgent() == "" {
			t.Errorf("%s: %+v", name, req)
		}
	}
	for name, header := range map[string]http.Header{"fetch": browser.fetch2, "EventSource": browser.eventSource2} {
		if !strings.Contains(header.Get("Cookie"), "session=") || header.Get("Accept") == "" || header.Get("User-Agent") != headerOf(browser.fetch, "User-Agent") {
			t.Errorf("%s: %v", name, header)
		}
	}
	if v := BrowserVersion(); !strings.Contains(v, "Chromium") {
		t.Errorf("version %q", v)
	}
	for _, bad := range []string{"", strings.Replace(browserText, "== websocket", "== webpocket", 1), strings.Replace(browserText, "\npriority: ", "\npriority", 1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("no panic: %.60q", bad)
				}
			}()
			parseBrowser(bad)
		}()
	}
}

// answering is a server that sends the same to every connection that says
// something, and then does nothing.
func answering(t *testing.T, answer string) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					accept := websocket.AcceptKey(req.Header.Get("Sec-WebSocket-Key"))
					io.WriteString(c, strings.ReplaceAll(answer, "{accept}", accept))
				}
			}()
		}
	}()
	return &site{server: &httptest.Server{Listener: l}}
}

func TestBadServers(t *testing.T) {
	update := func(topic, seq int) string {
		s := fmt.Sprintf(`{"topic":%d,"seq":%d,"at":1,"note":"`, topic, seq)
		return s + strings.Repeat(".", testSize-len(s)-2) + `"}`
	}
	ok := func(content string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
	}
	switched := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
	events := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
	frame := func(first byte, payload string) string { return string([]byte{first, byte(len(payload))}) + payload }
	for _, tt := range []struct{ kind, answer, want string }{
		{Poll, "HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", `status 500: "bad"`},
		{Poll, ok("hello"), "no update"},
		{Poll, ok(update(1000, 10001) + " "), "half an update"},
		{Poll, ok(update(1001, 10001)), "topic 1001"},
		{Poll, ok(update(1000, 10000)), "update 10000 after 10000"},
		{Poll, ok(strings.Replace(update(1000, 10001), "....", "", 1)), "96 bytes"},
		{Poll, ok(strings.Repeat("x", maxContent+1)), "does not end"},
		{Poll, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "does not keep"},
		{Poll, "nonsense\r\n\r\n", "malformed"},
		{Events, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no events"},
		{Events, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n", "text/plain"},
		{Events, events + "retry\n", `the line "retry"`},
		{Events, events + "data: x\n\n", "no update"},
		{WebSocket, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "answered with 200"},
		{WebSocket, strings.Replace(switched, "{accept}", "x", 1), "Sec-WebSocket-Accept"},
		{WebSocket, strings.Replace(switched, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1), "Sec-WebSocket-Extensions"},
		{WebSocket, switched + frame(0x81, "x"), "no update"},
		{WebSocket, switched + frame(0x82, "x"), "unexpected frame"},
		{WebSocket, switched + frame(0x01, "x"), "unexpected frame"},
		{WebSocket, switched + frame(0xc1, "x"), "unexpected frame"},
		{WebSocket, switched + frame(0x88, "\x03\xe8bye"), `closed: 1000 "bye"`},
		{WebSocket, switched + "\x81\x7f\x00\x00\x00\x01\x00\x00\x00\x00", "a frame of"},
	} {
		s := answering(t, tt.answer)
		r := newRunner(t, s, Job{Kind: tt.kind, Browser: true})
		c, err := r.open(r.ctx, 0)
		if err == nil {
			var text []byte
			if text, err = c.stream.next(); err == nil {
				err = c.got(text)
			}
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %.60q: error %v, want %q", tt.kind, tt.answer, err, tt.want)
		}
	}
}

// A ping is answered, and no message.
func TestPong(t *testing.T) {
	end, other := net.Pipe()
	defer other.Close()
	update := bytes.Repeat([]byte("u"), testSize)
	go func() {
		defer end.Close()
		end.Write(append([]byte{0x89, 2, 'h', 'i', 0x81, testSize}, update...))
	}()
	pong := make(chan []byte, 2) // header and payload
	s := &socketStream{r: bufio.NewReader(other), size: testSize, c: writerConn{Conn: other, wrote: pong}}
	got, err := s.next()
	if err != nil || !bytes.Equal(got, update) {
		t.Errorf("%q, %v", got, err)
	}
	if h := <-pong; h[0] != 0x8a || h[1] != 0x80|2 {
		t.Errorf("% x", h)
	}
}

// writerConn passes on what is written.
type writerConn struct {
	net.Conn
	wrote chan []byte
}

func (c writerConn) Write(p []byte) (int, error) {
	c.wrote <- bytes.Clone(p)
	return len(p), nil
}
