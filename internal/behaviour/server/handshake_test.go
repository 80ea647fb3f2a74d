package server_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestAcceptKey(t *testing.T) {
	if got := websocket.AcceptKey(wstest.Key); got != wstest.Accept {
		t.Errorf("AcceptKey(%q) = %q, want %q", wstest.Key, got, wstest.Accept)
	}
}

// acceptServer runs Accept on a real server. It sends each outcome to the
// channel and cuts the connections.
func acceptServer(t *testing.T, opts *websocket.AcceptOptions) (addr string, outcomes <-chan error) {
	t.Helper()
	return wstest.AcceptServer(t, func(w http.ResponseWriter, r *http.Request) error {
		c, err := websocket.Accept(w, r, opts)
		if err == nil {
			c.CloseNow()
		}
		return err
	})
}

func TestAcceptRefusals(t *testing.T) {
	type request = wstest.Request
	tests := []struct {
		name   string
		spoil  func(*request)
		opts   websocket.AcceptOptions
		status int
		reason string            // all of it, or its beginning if it ends in "..."
		header map[string]string // what the answer has besides
	}{
		{name: "HTTP/1.0", spoil: func(q *request) { q.First = "GET / HTTP/1.0" },
			status: 505, reason: "a WebSocket handshake needs HTTP/1.1, the request is HTTP/1.0 (a proxy in between may have lowered the version, as nginx does without proxy_http_version 1.1)"},
		{name: "HTTP/2 without TLS", spoil: func(q *request) { q.First, q.Lines = "PRI * HTTP/2.0", nil },
			status: 505, reason: "WebSocket over HTTP/2 is not served here, connect with HTTP/1.1"},
		{name: "POST", spoil: func(q *request) { q.First = "POST / HTTP/1.1"; q.Add("Content-Length: 0") },
			status: 405, reason: `a WebSocket handshake is a GET request, not "POST"`, header: map[string]string{"Allow": "GET"}},
		{name: "lower-case method", spoil: func(q *request) { q.First = "get / HTTP/1.1" },
			status: 405, reason: `a WebSocket handshake is a GET request, not "get"`, header: map[string]string{"Allow": "GET"}},
		{name: "content", spoil: func(q *request) { q.Add("Content-Length: 5"); q.Rest = "hello" },
			status: 400, reason: "a WebSocket handshake has no content"},
		{name: "chunked content", spoil: func(q *request) { q.Add("Transfer-Encoding: chunked"); q.Rest = "0\r\n\r\n" },
			status: 400, reason: "a WebSocket handshake has no content"},
		{name: "empty host", spoil: func(q *request) { q.Set("Host:") },
			status: 400, reason: "header Host is missing or empty"},

		{name: "plain HTTP request", spoil: func(q *request) { q.Lines = q.Lines[:1] },
			status: 426, reason: "this is a WebSocket endpoint, and header Upgrade is missing (a proxy in between may have removed it)",
			header: map[string]string{"Upgrade": "websocket"}},
		{name: "no Upgrade", spoil: func(q *request) { q.Drop("Upgrade") },
			status: 426, reason: "this is a WebSocket endpoint, and header Upgrade is missing...",
			header: map[string]string{"Upgrade": "websocket"}},
		{name: "other Upgrade", spoil: func(q *request) { q.Set("Upgrade: h2c") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "Upgrade with a version", spoil: func(q *request) { q.Set("Upgrade: websocket/13") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "Upgrade in Unicode", spoil: func(q *request) { q.Set("Upgrade: web\u017foc\u212aet") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "no Connection", spoil: func(q *request) { q.Drop("Connection") },
			status: 400, reason: `header Connection does not list "Upgrade"`},
		{name: "other Connection", spoil: func(q *request) { q.Set("Connection: keep-alive, upgraded", "Connection: not upgrade") },
			status: 400, reason: `header Connection does not list "Upgrade"`},

		{name: "no version", spoil: func(q *request) { q.Drop("Sec-WebSocket-Version") },
			status: 426, reason: `header Sec-WebSocket-Version is "", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}},
		{name: "version 8", spoil: func(q *request) { q.Set("Sec-WebSocket-Version: 8").Drop("Sec-WebSocket-Key") },
			status: 426, reason: `header Sec-WebSocket-Version is "8", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}},
		{name: "version 013", spoil: func(q *request) { q.Set("Sec-WebSocket-Version: 013") },
			status: 426, reason: `header Sec-WebSocket-Version is "013", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},
		{name: "list of versions", spoil: func(q *request) { q.Set("Sec-WebSocket-Version: 13, 8") },
			status: 426, reason: `header Sec-WebSocket-Version is "13, 8", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},
		{name: "two versions", spoil: func(q *request) { q.Set("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13") },
			status: 426, reason: `header Sec-WebSocket-Version is "13, 13", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},

		{name: "no key", spoil: func(q *request) { q.Drop("Sec-WebSocket-Key") },
			status: 400, reason: "header Sec-WebSocket-Key is there 0 times, want once"},
		{name: "two keys", spoil: func(q *request) { q.Add("Sec-Websocket-Key: " + wstest.Key) },
			status: 400, reason: "header Sec-WebSocket-Key is there 2 times, want once"},
		{name: "empty key", spoil: func(q *request) { q.Set("Sec-WebSocket-Key:") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key of 15 bytes", spoil: func(q *request) { q.Set("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key of 17 bytes", spoil: func(q *request) { q.Set("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key without padding", spoil: func(q *request) { q.Set("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key in URL base64", spoil: func(q *request) { q.Set("Sec-WebSocket-Key: " + strings.Repeat("_", 21) + "w==") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "two keys in a line", spoil: func(q *request) { q.Set("Sec-WebSocket-Key: " + wstest.Key + ", " + wstest.Key) },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},

		{name: "other origin", spoil: func(q *request) { q.Add("Origin: https://evil.example") },
			status: 403, reason: `origin "https://evil.example" is not the server's own, "http://server.example"; add "https://evil.example" to AcceptOptions.OriginPatterns to allow it`},
		{name: "other scheme", spoil: func(q *request) { q.Add("Origin: https://server.example") },
			status: 403, reason: `origin "https://server.example" is not the server's own, "http://server.example"; add "https://server.example" to AcceptOptions.OriginPatterns to allow it`},
		{name: "null origin", spoil: func(q *request) { q.Add("Origin: null") },
			status: 403, reason: `origin "null" has no host to compare; set AcceptOptions.CheckOrigin to allow it`},
		{name: "URL for an origin", spoil: func(q *request) { q.Add("Origin: http://server.example/") },
			status: 403, reason: `origin "http://server.example/" has a path, and an origin ends with its host or port; the client must leave out what follows`},
		{name: "origin with a path", spoil: func(q *request) { q.Add("Origin: https://server.example:8443/chat?x") },
			status: 403, reason: `origin "https://server.example:8443/chat?x" has a path...`},
		{name: "origin with a query", spoil: func(q *request) { q.Add("Origin: http://[::1]?x/") },
			status: 403, reason: `origin "http://[::1]?x/" has a path...`},
		{name: "path for an origin", spoil: func(q *request) { q.Add("Origin: file:///home/page.html") },
			status: 403, reason: `origin "file:///home/page.html" has no host...`},
		{name: "two origins", spoil: func(q *request) { q.Add("Origin: http://server.example", "Origin: http://server.example") },
			opts: websocket.AcceptOptions{OriginPatterns: []string{"*"}}, status: 403, reason: "header Origin is there 2 times, want once"},
		{name: "origin that fits no pattern", spoil: func(q *request) { q.Add("Origin: https://evil.example") },
			opts: websocket.AcceptOptions{OriginPatterns: []string{"*.server.example"}}, status: 403, reason: `origin "https://evil.example" is not...`},
		{name: "origin that CheckOrigin refuses", spoil: func(q *request) { q.Add("Origin: http://server.example") },
			opts: websocket.AcceptOptions{CheckOrigin: func(*http.Request) bool { return false }}, status: 403,
			reason: `origin "http://server.example" is not allowed by AcceptOptions.CheckOrigin`},
		{name: "long origin", spoil: func(q *request) { q.Add("Origin: " + strings.Repeat("x", 5000)) },
			status: 403, reason: `origin "` + strings.Repeat("x", 200) + `..." has no host to compare; set AcceptOptions.CheckOrigin to allow it`},

		{name: "subprotocol with a space", spoil: func(q *request) { q.Add("Sec-WebSocket-Protocol: chat, super chat") },
			opts: websocket.AcceptOptions{Subprotocols: []string{"chat"}}, status: 400,
			reason: `header Sec-WebSocket-Protocol offers "super chat", which is not a token`},
		{name: "subprotocol beyond ASCII", spoil: func(q *request) { q.Add("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: ch\xe4t") },
			status: 400, reason: `header Sec-WebSocket-Protocol offers "ch\xe4t", which is not a token`},

		{name: "malformed extensions", spoil: func(q *request) { q.Add("Sec-WebSocket-Extensions: permessage-deflate; =10") },
			opts: websocket.AcceptOptions{Options: websocket.Options{Compression: new(websocket.CompressionOptions)}}, status: 400,
			reason: `header Sec-WebSocket-Extensions is malformed: want a token at "=10"`},
		{name: "malformed extensions behind fine ones", spoil: func(q *request) {
			q.Add("Sec-WebSocket-Extensions: permessage-deflate, x;", "Sec-WebSocket-Extensions: y")
		}, opts: websocket.AcceptOptions{Options: websocket.Options{Compression: new(websocket.CompressionOptions)}}, status: 400,
			reason: `header Sec-WebSocket-Extensions is malformed: want a token at the end`},
		{name: "malformed extensions without compression", spoil: func(q *request) { q.Add("Sec-WebSocket-Extensions: x y") },
			status: 400, reason: `header Sec-WebSocket-Extensions is malformed: want a comma or semicolon at "y"`},
		{name: "too many extensions", spoil: func(q *request) { q.Add("Sec-WebSocket-Extensions: " + strings.Repeat("x,", 101)) },
			status: 400, reason: `header Sec-WebSocket-Extensions lists more than 100 extensions and parameters`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, outcomes := acceptServer(t, &test.opts)
			q := wstest.NewRequest()
			test.spoil(q)
			// A second request behind the refused one must find no ear.
			resp, body := wstest.Exchange(t, addr, q.String()+wstest.NewRequest().String())
			err := wstest.Receive(t, outcomes)
			if len(outcomes) != 0 {
				t.Error("the connection was served after the refusal")
			}

			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			reason, isLine := strings.CutSuffix(body, "\n")
			if !isLine || strings.ContainsAny(reason, "\r\n") {
				t.Errorf("body %q is not one line", body)
			}
			if want, prefix := strings.CutSuffix(test.reason, "..."); prefix && !strings.HasPrefix(reason, want) || !prefix && reason != want {
				t.Errorf("reason %q, want %q", reason, test.reason)
			}
			var refusal *websocket.HandshakeError
			if !errors.As(err, &refusal) {
				t.Fatalf("Accept returned %v, want a HandshakeError", err)
			}
			if refusal.Status != test.status || refusal.Reason != reason {
				t.Errorf("Accept returned (%d, %q), and answered (%d, %q)", refusal.Status, refusal.Reason, resp.StatusCode, reason)
			}
			if !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), fmt.Sprint(test.status)) {
				t.Errorf("error %q lacks status or reason", err)
			}

			if got := resp.Header.Get("Connection"); got != "close" {
				t.Errorf("Connection: %q, want close", got)
			}
			if resp.Header.Get("Upgrade") != "" && !fields.HasToken(resp.Header, "Connection", "upgrade") {
				t.Error("Upgrade is not listed in Connection")
			}
			if got := resp.Header.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options: %q, want nosniff", got)
			}
			if got := resp.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type: %q", got)
			}
			for name, want := range test.header {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestAcceptAnswer(t *testing.T) {
	type request = wstest.Request
	speaks := websocket.AcceptOptions{Subprotocols: []string{"v2.chat", "v1.chat"}}
	tests := []struct {
		name        string
		edit        func(*request)
		opts        websocket.AcceptOptions
		subprotocol string
		accept      string // "" for rfcAccept
	}{
		{name: "plain", edit: func(q *request) {}},
		{name: "the key that RFC 6455, section 4.1, prints", accept: websocket.AcceptKey("AQIDBAUGBwgJCgsMDQ4PEC=="),
			edit: func(q *request) { q.Set("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==") }},
		{name: "odd casing", edit: func(q *request) {
			q.Lines = []string{
				"hOST: server.example", "uPGRADE: WebSOCKET", "cONNECTION: uPGRADE",
				"sec-websocket-version: 13", "SEC-WEBSOCKET-KEY: " + wstest.Key,
			}
		}},
		{name: "lists", edit: func(q *request) {
			q.Set("Connection: keep-alive,\tUPGRADE , x").Set("Upgrade: h2c, websocket/1,websocket")
		}},
		{name: "repeated headers", edit: func(q *request) {
			q.Set("Connection: keep-alive", "Connection: ,, upgrade,").Set("Upgrade: h2c", "Upgrade: WebSocket")
		}},
		{name: "white space around values", edit: func(q *request) {
			q.Set("Sec-WebSocket-Version: \t13 ").Set("Sec-WebSocket-Key:" + wstest.Key + "  ")
		}},
		{name: "absolute target", edit: func(q *request) {
			q.First = "GET http://server.example/chat HTTP/1.1"
			q.Add("Origin: http://server.example")
		}},
		{name: "empty content", edit: func(q *request) { q.Add("Content-Length: 0") }},
		{name: "same origin", edit: func(q *request) { q.Add("Origin: http://server.example:80") }},
		{name: "compression that we do not want", edit: func(q *request) { q.Add("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits") }},
		{name: "no common subprotocol", opts: speaks, edit: func(q *request) { q.Add("Sec-WebSocket-Protocol: v3.chat, V2.CHAT") }},
		{name: "server's preference", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.Add("Sec-WebSocket-Protocol: v1.chat, v2.chat") }},
		{name: "both preferences alike", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.Add("Sec-WebSocket-Protocol: v2.chat, v1.chat") }},
		{name: "second best", opts: speaks, subprotocol: "v1.chat",
			edit: func(q *request) { q.Add("Sec-WebSocket-Protocol: v3.chat, v1.chat") }},
		{name: "repeated subprotocols", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.Add("Sec-WebSocket-Protocol: v1.chat,", "Sec-WebSocket-Protocol: ,v2.chat") }},
		{name: "subprotocol unasked for", opts: speaks, edit: func(q *request) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, outcomes := acceptServer(t, &test.opts)
			q := wstest.NewRequest()
			test.edit(q)
			resp, behind := wstest.Exchange(t, addr, q.String())
			if err := wstest.Receive(t, outcomes); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusSwitchingProtocols || behind != "" {
				t.Fatalf("status %d, body %q", resp.StatusCode, behind)
			}
			want := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {cmp.Or(test.accept, wstest.Accept)}}
			if test.subprotocol != "" {
				want["Sec-Websocket-Protocol"] = []string{test.subprotocol}
			}
			if got, want := fmt.Sprint(resp.Header), fmt.Sprint(want); got != want {
				t.Errorf("header %s, want %s", got, want)
			}
		})
	}
}

func TestServerFaults(t *testing.T) {
	tests := []struct {
		name  string
		opts  websocket.AcceptOptions
		set   http.Header // on the ResponseWriter
		fault string
	}{
		{name: "pattern", opts: websocket.AcceptOptions{OriginPatterns: []string{"https://ok.example", "[a-"}}, fault: `origin pattern "[a-"`},
		{name: "pattern with a path", opts: websocket.AcceptOptions{OriginPatterns: []string{"https://a.example/"}}, fault: `"https://a.example/" has a path`},
		{name: "subprotocol", opts: websocket.AcceptOptions{Subprotocols: []string{"ok", "not ok"}}, fault: `subprotocol "not ok"`},
		{name: "empty subprotocol", opts: websocket.AcceptOptions{Subprotocols: []string{""}}, fault: `subprotocol ""`},
		{name: "level", opts: websocket.AcceptOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{Level: 10}}}, fault: "Level is 10"},
		{name: "window", opts: websocket.AcceptOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{WindowBits: 7}}}, fault: "WindowBits is 7"},
		{name: "budget", opts: websocket.AcceptOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{MemoryBudget: -1}}}, fault: "MemoryBudget is -1"},
		{name: "CR LF in option", opts: websocket.AcceptOptions{Header: http.Header{"X-A": {"ok", "a\r\nSet-Cookie: b=c"}}}, fault: "header X-A holds CR"},
		{name: "LF in option", opts: websocket.AcceptOptions{Header: http.Header{"X-A": {"a\nb"}}}, fault: "header X-A holds CR"},
		{name: "NUL in option", opts: websocket.AcceptOptions{Header: http.Header{"X-A": {"a\x00"}}}, fault: "header X-A holds CR"},
		{name: "name in option", opts: websocket.AcceptOptions{Header: http.Header{"X-A: b\r\nX-B": {"c"}}}, fault: "is not a header name"},
		{name: "Upgrade in option", opts: websocket.AcceptOptions{Header: http.Header{"upgrade": {"h2c"}}}, fault: "header upgrade belongs to the handshake"},
		{name: "accept in option", opts: websocket.AcceptOptions{Header: http.Header{"Sec-WebSocket-Accept": {"x"}}}, fault: "belongs to the handshake"},
		{name: "subprotocol header in option", opts: websocket.AcceptOptions{Header: http.Header{"Sec-WebSocket-Protocol": {"x"}}}, fault: "use the option Subprotocols"},
		{name: "Content-Length in option", opts: websocket.AcceptOptions{Header: http.Header{"content-length": {"1"}}}, fault: "content-length cannot be sent"},
		{name: "Transfer-Encoding in option", opts: websocket.AcceptOptions{Header: http.Header{"Transfer-Encoding": {"chunked"}}}, fault: "Transfer-Encoding cannot be sent"},
		{name: "CR LF in middleware", set: http.Header{"X-A": {"a\r\nX-B: c"}}, fault: "header X-A holds CR, LF or NUL (it was set on the ResponseWriter)"},
		{name: "name in middleware", set: http.Header{"X A": {"a"}}, fault: `"X A" is not a header name`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outcomes := make(chan error, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for name, values := range test.set {
					w.Header()[name] = values
				}
				_, err := websocket.Accept(w, r, &test.opts)
				outcomes <- err
			}))
			defer srv.Close()
			resp, body := wstest.Exchange(t, srv.Listener.Addr().String(), wstest.NewRequest().String())
			if resp.StatusCode != http.StatusInternalServerError || body != "Internal Server Error\n" {
				t.Errorf("answer %d %q, want a generic 500", resp.StatusCode, body)
			}
			if got := resp.Header.Get("Connection"); got != "close" {
				t.Errorf("Connection: %q, want close", got)
			}
			var fault *websocket.HandshakeError
			if err := wstest.Receive(t, outcomes); !errors.As(err, &fault) || fault.Status != 500 || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("Accept returned %v, want a 500 with %q", err, test.fault)
			}
		})
	}
}
