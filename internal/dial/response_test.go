package dial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestAnswer dials a server that answers with what answer makes of the
// request, and then waits for the client to go.
func dialTestAnswer(t *testing.T, opts *websocket.DialOptions, answer func(*http.Request) string) (resp *http.Response, err error) {
	t.Helper()
	gone := make(chan struct{})
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		defer close(gone)
		if req := p.Request(); req != nil {
			io.WriteString(p, answer(req))
		}
		io.Copy(io.Discard, p.R)
	})
	if opts == nil {
		opts = dialTestOptions(wstest.Transport(nil))
	}
	wstest.NoGoroutines(t, func() {
		var c *websocket.Conn
		if c, resp, err = websocket.Dial(t.Context(), "ws://user:secret@"+addr+"/?token=secret", opts); c != nil {
			c.CloseNow()
		}
	})
	wstest.ReceiveFor(t, gone, "the connection is still open")
	if err != nil && (strings.Contains(err.Error(), "secret") || !strings.HasPrefix(err.Error(), "websocket: ")) {
		t.Errorf("got %q", err)
	}
	return resp, err
}

func TestDialChecksResponse(t *testing.T) {
	const head = "HTTP/1.1 101 Switching Protocols\r\n"
	accept := func(r *http.Request) string {
		return "Sec-WebSocket-Accept: " + websocket.AcceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	}
	for _, tt := range []struct {
		name   string
		answer func(*http.Request) string
		want   string // "" if it is valid
	}{
		{"as the RFC has it", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r)
		}, ""},
		{"other case, lists, spaces", func(r *http.Request) string {
			return head + "upgrade: WebSocket\r\nconnection: keep-alive\r\nCONNECTION: ,  uPGRADE\r\n" +
				strings.Replace(accept(r), ": ", ":  \t ", 1) + "sec-websocket-protocol:  b \r\nSec-WebSocket-Extensions: ,\r\n"
		}, ""},
		{"behind interim responses", func(r *http.Request) string {
			return "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r)
		}, ""},
		{"no Upgrade", func(r *http.Request) string {
			return head + "Connection: Upgrade\r\n" + accept(r)
		}, "header Upgrade is missing"},
		{"other Upgrade", func(r *http.Request) string {
			return head + "Upgrade: h2c\r\nConnection: Upgrade\r\n" + accept(r)
		}, `header Upgrade is "h2c"`},
		{"Upgrade with a Kelvin sign", func(r *http.Request) string {
			return head + "Upgrade: websoc\u212aet\r\nConnection: Upgrade\r\n" + accept(r)
		}, "header Upgrade is "},
		{"two Upgrades", func(r *http.Request) string {
			return head + "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + accept(r)
		}, `header Upgrade is "h2c"`},
		{"no Connection", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\n" + accept(r)
		}, "header Connection does not list"},
		{"other Connection", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: keep-alive, notupgrade\r\n" + accept(r)
		}, "header Connection does not list"},
		{"no Accept", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		}, "Sec-WebSocket-Accept is missing"},
		{"Accept for another key", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + websocket.AcceptKey("x") + "\r\n"
		}, "does not answer the key"},
		{"Accept in another case", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + strings.ToLower(accept(r))
		}, "does not answer the key"},
		{"the key itself as Accept", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + r.Header.Get("Sec-WebSocket-Key") + "\r\n"
		}, "does not answer the key"},
		{"two Accepts", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + accept(r)
		}, "is there 2 times"},
		{"an extension", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + "Sec-WebSocket-Extensions: permessage-deflate; a=1\r\n"
		}, `extension "permessage-deflate; a=1", which was not offered`},
		{"another subprotocol", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + "Sec-WebSocket-Protocol: c\r\n"
		}, `subprotocol "c", which was not offered`},
		{"a subprotocol in another case", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + "Sec-WebSocket-Protocol: B\r\n"
		}, `subprotocol "B", which was not offered`},
		{"two subprotocols", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + "Sec-WebSocket-Protocol: a, b\r\n"
		}, "more than one subprotocol"},
		{"two lines of subprotocols", func(r *http.Request) string {
			return head + "Upgrade: websocket\r\nConnection: Upgrade\r\n" + accept(r) + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"
		}, "more than one subprotocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := dialTestOptions(wstest.Transport(nil))
			opts.Subprotocols = []string{"a", "b"}
			resp, err := dialTestAnswer(t, opts, func(r *http.Request) string { return tt.answer(r) + "\r\n" + "\x81\x02hi" })
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			dialTestRefused(t, err, 101, tt.want)
			if !strings.HasPrefix(err.Error(), "websocket: server's handshake is invalid: ") || !strings.Contains(err.Error(), "RFC 6455, section 4.1") {
				t.Errorf("got %q", err)
			}
			if resp == nil || resp.StatusCode != 101 {
				t.Fatalf("got response %+v", resp)
			}
			if b, err := io.ReadAll(resp.Body); len(b) != 0 || err != nil {
				t.Errorf("response has body %q, %v", b, err)
			}
		})
	}
}

func TestDialReturnsRefusal(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<10)
	for _, tt := range []struct {
		name, answer string
		status       int
		text, reason string
		body         string
	}{
		{"with a reason", "HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\nyou may not\nok?", 403,
			"websocket: server refused the handshake: 403 Forbidden: you may not", "you may not", "you may not\nok?"},
		{"without a body", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404,
			"websocket: server refused the handshake: 404 Not Found", "Not Found", ""},
		{"that is a page", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", 502,
			"websocket: server refused the handshake: 502 Bad Gateway", "Bad Gateway", "<html>"},
		{"that is a success", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200,
			"websocket: server refused the handshake: 200 OK: hi", "hi", "hi"},
		{"in words of its own", "HTTP/1.1 499 Not \x1b[31m You\r\nContent-Length: 9\r\n\r\n\x00a\x1b[2Jb\xff\n", 499,
			"websocket: server refused the handshake: 499 Not  [31m You: a [2Jb", "a [2Jb", "\x00a\x1b[2Jb\xff\n"},
		{"of many words", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + long, 400,
			"websocket: server refused the handshake: 400 Bad Request: " + long[:200] + "...", long[:200] + "...", long[:4096]},
		{"that breaks off", "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsorry\r\nnonsense\r\n", 400,
			"websocket: server refused the handshake: 400 Bad Request: sorry", "sorry", "sorry"},
		{"of another version", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", 426,
			"websocket: server refused the handshake: 426 Upgrade Required", "Upgrade Required", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := dialTestAnswer(t, nil, func(*http.Request) string { return tt.answer })
			if he := dialTestRefused(t, err, tt.status, tt.text); err.Error() != tt.text || he.Reason != tt.reason {
				t.Errorf("got %q\nreason %q\nwant %q\nreason %q", err, he.Reason, tt.text, tt.reason)
			}
			if resp == nil || resp.StatusCode != tt.status || resp.Request.Context().Done() != nil {
				t.Fatalf("got response %+v", resp)
			}
			if b, err := io.ReadAll(resp.Body); string(b) != tt.body || err != nil {
				t.Errorf("got a body of %d bytes and %v, want %d", len(b), err, len(tt.body))
			}
		})
	}
}

// TestDialDoesNotWaitForBody: neither beyond the grace that it has for a
// refusal's body, nor beyond its context.
func TestDialDoesNotWaitForBody(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"itself", "context"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
				p.Request()
				io.WriteString(p, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nevent\r\n\r\n")
				io.Copy(io.Discard, p.R)
			})
			d := new(wstest.Dialer)
			opts := dialTestOptions(wstest.Transport(d))
			if by == "context" {
				opts.HTTPClient.Transport = dialTestTripper(func(r *http.Request) (*http.Response, error) {
					resp, err := wstest.Transport(d).RoundTrip(r)
					if err == nil {
						resp.Body = &dialTestBody{resp.Body, cancel}
					}
					return resp, err
				})
			}
			var (
				resp *http.Response
				err  error
			)
			start := time.Now()
			wstest.NoGoroutines(t, func() { _, resp, err = websocket.Dial(ctx, "ws://"+addr, opts) })
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
			dialTestRefused(t, err, 200, "200 OK: event")
			if b, err := io.ReadAll(resp.Body); string(b) != "event\r\n" || err != nil {
				t.Errorf("got body %q, %v", b, err)
			}
			if n := d.Open(); n != 0 {
				t.Errorf("%d connections are open", n)
			}
		})
	}
}

// dialTestBody calls read after each Read.
type dialTestBody struct {
	io.ReadCloser
	read func()
}

func (b *dialTestBody) Read(p []byte) (int, error) {
	defer b.read()
	return b.ReadCloser.Read(p)
}

func TestDialBoundsHeader(t *testing.T) {
	answer := func(size int) func(*http.Request) string {
		return func(r *http.Request) string {
			return wstest.Switch(r, "X-Pad: "+strings.Repeat("x", size)+"\r\n")
		}
	}
	if _, err := dialTestAnswer(t, nil, answer(60<<10)); err != nil {
		t.Errorf("60 KiB: %v", err)
	}
	resp, err := dialTestAnswer(t, nil, answer(64<<10))
	if resp != nil || err == nil || !strings.Contains(err.Error(), "exceeded 65536 bytes") {
		t.Errorf("64 KiB: got %v", err)
	}
	interim := strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n", 4<<10)
	if _, err := dialTestAnswer(t, nil, func(r *http.Request) string { return interim + answer(1)(r) }); err == nil || !strings.Contains(err.Error(), "exceeded 65536 bytes") {
		t.Errorf("interim responses without end: got %v", err)
	}
	tr := wstest.Transport(nil)
	tr.MaxResponseHeaderBytes = 1 << 20
	if _, err := dialTestAnswer(t, dialTestOptions(tr), answer(100<<10)); err != nil {
		t.Errorf("100 KiB with a bound of 1 MiB: %v", err)
	}
	tr.MaxResponseHeaderBytes = 1 << 10
	if _, err := dialTestAnswer(t, dialTestOptions(tr), answer(2<<10)); err == nil || !strings.Contains(err.Error(), "exceeded 1024 bytes") {
		t.Errorf("2 KiB with a bound of 1 KiB: got %v", err)
	}
}

func TestDialGarbage(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 101 x\r\nUpgrade websocket\r\n\r\n", "HTTP/2.0 abc\r\n\r\n", "HTTP/1.1\r\n\r\n"} {
		addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
			p.Request()
			io.WriteString(p, answer)
		})
		c, resp, err := websocket.Dial(t.Context(), "ws://"+addr, nil)
		var he *websocket.HandshakeError
		if c != nil || resp != nil || err == nil || errors.As(err, &he) {
			t.Errorf("%q: got %v, %v, %v", answer, c, resp, err)
		}
	}
}

func TestDialResponseHeaderTimeout(t *testing.T) {
	tr := wstest.Transport(nil)
	tr.ResponseHeaderTimeout = 10 * time.Millisecond
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) { io.Copy(io.Discard, p.R) })
	_, _, err := websocket.Dial(t.Context(), "ws://"+addr, dialTestOptions(tr))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "awaiting response headers") {
		t.Errorf("got %v", err)
	}
}

func TestDialTimeout(t *testing.T) {
	const tick = 10 * time.Millisecond
	for _, tt := range []struct{ client, handshake, want time.Duration }{
		{0, 0, 30 * time.Second}, {0, -1, time.Hour}, {0, tick, tick},
		{tick, 0, tick}, {tick, -1, tick}, {tick, 2 * tick, tick}, {2 * tick, tick, tick}, {time.Hour, 0, 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			_, _, err := websocket.Dial(ctx, "ws://h/", &websocket.DialOptions{HandshakeTimeout: tt.handshake, HTTPClient: &http.Client{
				Timeout: tt.client,
				Transport: dialTestTripper(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}),
			}})
			if got := time.Since(start); got != tt.want || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("client %v, handshake %v: %v after %v, want %v", tt.client, tt.handshake, err, got, tt.want)
			}
		})
	}
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) { io.Copy(io.Discard, p.R) })
	for _, opts := range []*websocket.DialOptions{
		{HandshakeTimeout: tick},
		{HTTPClient: &http.Client{Timeout: tick}},
	} {
		_, _, err := websocket.Dial(t.Context(), "ws://"+addr, opts)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprint("longer than ", tick)) {
			t.Errorf("got %v", err)
		}
	}
}
