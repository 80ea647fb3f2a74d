package websocket

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/fields"
)

func TestAcceptKey(t *testing.T) {
	if got := AcceptKey(rfcKey); got != rfcAccept {
		t.Errorf("AcceptKey(%q) = %q, want %q", rfcKey, got, rfcAccept)
	}
}

// acceptServer runs Accept on a real server. It sends each outcome to the
// channel and cuts the connections.
func acceptServer(t *testing.T, opts *AcceptOptions) (addr string, outcomes <-chan error) {
	t.Helper()
	ch := make(chan error, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err == nil {
			c.CloseNow()
		}
		ch <- err
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), ch
}

func TestAcceptRefusals(t *testing.T) {
	type request = handshakeRequest
	tests := []struct {
		name   string
		spoil  func(*request)
		opts   AcceptOptions
		status int
		reason string            // all of it, or its beginning if it ends in "..."
		header map[string]string // what the answer has besides
	}{
		{name: "HTTP/1.0", spoil: func(q *request) { q.first = "GET / HTTP/1.0" },
			status: 505, reason: "a WebSocket handshake needs HTTP/1.1, the request is HTTP/1.0 (a proxy in between may have lowered the version, as nginx does without proxy_http_version 1.1)"},
		{name: "HTTP/2 without TLS", spoil: func(q *request) { q.first, q.lines = "PRI * HTTP/2.0", nil },
			status: 505, reason: "WebSocket over HTTP/2 is not served here, connect with HTTP/1.1"},
		{name: "POST", spoil: func(q *request) { q.first = "POST / HTTP/1.1"; q.add("Content-Length: 0") },
			status: 405, reason: `a WebSocket handshake is a GET request, not "POST"`, header: map[string]string{"Allow": "GET"}},
		{name: "lower-case method", spoil: func(q *request) { q.first = "get / HTTP/1.1" },
			status: 405, reason: `a WebSocket handshake is a GET request, not "get"`, header: map[string]string{"Allow": "GET"}},
		{name: "content", spoil: func(q *request) { q.add("Content-Length: 5"); q.rest = "hello" },
			status: 400, reason: "a WebSocket handshake has no content"},
		{name: "chunked content", spoil: func(q *request) { q.add("Transfer-Encoding: chunked"); q.rest = "0\r\n\r\n" },
			status: 400, reason: "a WebSocket handshake has no content"},
		{name: "empty host", spoil: func(q *request) { q.set("Host:") },
			status: 400, reason: "header Host is missing or empty"},

		{name: "plain HTTP request", spoil: func(q *request) { q.lines = q.lines[:1] },
			status: 426, reason: "this is a WebSocket endpoint, and header Upgrade is missing (a proxy in between may have removed it)",
			header: map[string]string{"Upgrade": "websocket"}},
		{name: "no Upgrade", spoil: func(q *request) { q.drop("Upgrade") },
			status: 426, reason: "this is a WebSocket endpoint, and header Upgrade is missing...",
			header: map[string]string{"Upgrade": "websocket"}},
		{name: "other Upgrade", spoil: func(q *request) { q.set("Upgrade: h2c") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "Upgrade with a version", spoil: func(q *request) { q.set("Upgrade: websocket/13") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "Upgrade in Unicode", spoil: func(q *request) { q.set("Upgrade: web\u017foc\u212aet") },
			status: 400, reason: `header Upgrade does not list "websocket"`},
		{name: "no Connection", spoil: func(q *request) { q.drop("Connection") },
			status: 400, reason: `header Connection does not list "Upgrade"`},
		{name: "other Connection", spoil: func(q *request) { q.set("Connection: keep-alive, upgraded", "Connection: not upgrade") },
			status: 400, reason: `header Connection does not list "Upgrade"`},

		{name: "no version", spoil: func(q *request) { q.drop("Sec-WebSocket-Version") },
			status: 426, reason: `header Sec-WebSocket-Version is "", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}},
		{name: "version 8", spoil: func(q *request) { q.set("Sec-WebSocket-Version: 8").drop("Sec-WebSocket-Key") },
			status: 426, reason: `header Sec-WebSocket-Version is "8", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13", "Upgrade": "websocket"}},
		{name: "version 013", spoil: func(q *request) { q.set("Sec-WebSocket-Version: 013") },
			status: 426, reason: `header Sec-WebSocket-Version is "013", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},
		{name: "list of versions", spoil: func(q *request) { q.set("Sec-WebSocket-Version: 13, 8") },
			status: 426, reason: `header Sec-WebSocket-Version is "13, 8", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},
		{name: "two versions", spoil: func(q *request) { q.set("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13") },
			status: 426, reason: `header Sec-WebSocket-Version is "13, 13", want 13`,
			header: map[string]string{"Sec-Websocket-Version": "13"}},

		{name: "no key", spoil: func(q *request) { q.drop("Sec-WebSocket-Key") },
			status: 400, reason: "header Sec-WebSocket-Key is there 0 times, want once"},
		{name: "two keys", spoil: func(q *request) { q.add("Sec-Websocket-Key: " + rfcKey) },
			status: 400, reason: "header Sec-WebSocket-Key is there 2 times, want once"},
		{name: "empty key", spoil: func(q *request) { q.set("Sec-WebSocket-Key:") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key of 15 bytes", spoil: func(q *request) { q.set("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key of 17 bytes", spoil: func(q *request) { q.set("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key without padding", spoil: func(q *request) { q.set("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "key in URL base64", spoil: func(q *request) { q.set("Sec-WebSocket-Key: " + strings.Repeat("_", 21) + "w==") },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},
		{name: "two keys in a line", spoil: func(q *request) { q.set("Sec-WebSocket-Key: " + rfcKey + ", " + rfcKey) },
			status: 400, reason: "header Sec-WebSocket-Key is not 16 bytes in base64"},

		{name: "other origin", spoil: func(q *request) { q.add("Origin: https://evil.example") },
			status: 403, reason: `origin "https://evil.example" is not the server's own, "http://server.example"; add "https://evil.example" to AcceptOptions.OriginPatterns to allow it`},
		{name: "other scheme", spoil: func(q *request) { q.add("Origin: https://server.example") },
			status: 403, reason: `origin "https://server.example" is not the server's own, "http://server.example"; add "https://server.example" to AcceptOptions.OriginPatterns to allow it`},
		{name: "null origin", spoil: func(q *request) { q.add("Origin: null") },
			status: 403, reason: `origin "null" has no host to compare; set AcceptOptions.CheckOrigin to allow it`},
		{name: "URL for an origin", spoil: func(q *request) { q.add("Origin: http://server.example/") },
			status: 403, reason: `origin "http://server.example/" has a path, and an origin ends with its host or port; the client must leave out what follows`},
		{name: "origin with a path", spoil: func(q *request) { q.add("Origin: https://server.example:8443/chat?x") },
			status: 403, reason: `origin "https://server.example:8443/chat?x" has a path...`},
		{name: "origin with a query", spoil: func(q *request) { q.add("Origin: http://[::1]?x/") },
			status: 403, reason: `origin "http://[::1]?x/" has a path...`},
		{name: "path for an origin", spoil: func(q *request) { q.add("Origin: file:///home/page.html") },
			status: 403, reason: `origin "file:///home/page.html" has no host...`},
		{name: "two origins", spoil: func(q *request) { q.add("Origin: http://server.example", "Origin: http://server.example") },
			opts: AcceptOptions{OriginPatterns: []string{"*"}}, status: 403, reason: "header Origin is there 2 times, want once"},
		{name: "origin that fits no pattern", spoil: func(q *request) { q.add("Origin: https://evil.example") },
			opts: AcceptOptions{OriginPatterns: []string{"*.server.example"}}, status: 403, reason: `origin "https://evil.example" is not...`},
		{name: "origin that CheckOrigin refuses", spoil: func(q *request) { q.add("Origin: http://server.example") },
			opts: AcceptOptions{CheckOrigin: func(*http.Request) bool { return false }}, status: 403,
			reason: `origin "http://server.example" is not allowed by AcceptOptions.CheckOrigin`},
		{name: "long origin", spoil: func(q *request) { q.add("Origin: " + strings.Repeat("x", 5000)) },
			status: 403, reason: `origin "` + strings.Repeat("x", 200) + `..." has no host to compare; set AcceptOptions.CheckOrigin to allow it`},

		{name: "subprotocol with a space", spoil: func(q *request) { q.add("Sec-WebSocket-Protocol: chat, super chat") },
			opts: AcceptOptions{Subprotocols: []string{"chat"}}, status: 400,
			reason: `header Sec-WebSocket-Protocol offers "super chat", which is not a token`},
		{name: "subprotocol beyond ASCII", spoil: func(q *request) { q.add("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: ch\xe4t") },
			status: 400, reason: `header Sec-WebSocket-Protocol offers "ch\xe4t", which is not a token`},

		{name: "malformed extensions", spoil: func(q *request) { q.add("Sec-WebSocket-Extensions: permessage-deflate; =10") },
			opts: AcceptOptions{Options: Options{Compression: new(CompressionOptions)}}, status: 400,
			reason: `header Sec-WebSocket-Extensions is malformed: want a token at "=10"`},
		{name: "malformed extensions behind fine ones", spoil: func(q *request) {
			q.add("Sec-WebSocket-Extensions: permessage-deflate, x;", "Sec-WebSocket-Extensions: y")
		}, opts: AcceptOptions{Options: Options{Compression: new(CompressionOptions)}}, status: 400,
			reason: `header Sec-WebSocket-Extensions is malformed: want a token at the end`},
		{name: "malformed extensions without compression", spoil: func(q *request) { q.add("Sec-WebSocket-Extensions: x y") },
			status: 400, reason: `header Sec-WebSocket-Extensions is malformed: want a comma or semicolon at "y"`},
		{name: "too many extensions", spoil: func(q *request) { q.add("Sec-WebSocket-Extensions: " + strings.Repeat("x,", 101)) },
			status: 400, reason: `header Sec-WebSocket-Extensions lists more than 100 extensions and parameters`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, outcomes := acceptServer(t, &test.opts)
			q := newHandshakeRequest()
			test.spoil(q)
			// A second request behind the refused one must find no ear.
			resp, body := exchangeRaw(t, addr, q.String()+newHandshakeRequest().String())
			err := mustReceive(t, outcomes)
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
			var refusal *HandshakeError
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
	type request = handshakeRequest
	speaks := AcceptOptions{Subprotocols: []string{"v2.chat", "v1.chat"}}
	tests := []struct {
		name        string
		edit        func(*request)
		opts        AcceptOptions
		subprotocol string
		accept      string // "" for rfcAccept
	}{
		{name: "plain", edit: func(q *request) {}},
		{name: "the key that RFC 6455, section 4.1, prints", accept: AcceptKey("AQIDBAUGBwgJCgsMDQ4PEC=="),
			edit: func(q *request) { q.set("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==") }},
		{name: "odd casing", edit: func(q *request) {
			q.lines = []string{
				"hOST: server.example", "uPGRADE: WebSOCKET", "cONNECTION: uPGRADE",
				"sec-websocket-version: 13", "SEC-WEBSOCKET-KEY: " + rfcKey,
			}
		}},
		{name: "lists", edit: func(q *request) {
			q.set("Connection: keep-alive,\tUPGRADE , x").set("Upgrade: h2c, websocket/1,websocket")
		}},
		{name: "repeated headers", edit: func(q *request) {
			q.set("Connection: keep-alive", "Connection: ,, upgrade,").set("Upgrade: h2c", "Upgrade: WebSocket")
		}},
		{name: "white space around values", edit: func(q *request) {
			q.set("Sec-WebSocket-Version: \t13 ").set("Sec-WebSocket-Key:" + rfcKey + "  ")
		}},
		{name: "absolute target", edit: func(q *request) {
			q.first = "GET http://server.example/chat HTTP/1.1"
			q.add("Origin: http://server.example")
		}},
		{name: "empty content", edit: func(q *request) { q.add("Content-Length: 0") }},
		{name: "same origin", edit: func(q *request) { q.add("Origin: http://server.example:80") }},
		{name: "compression that we do not want", edit: func(q *request) { q.add("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits") }},
		{name: "no common subprotocol", opts: speaks, edit: func(q *request) { q.add("Sec-WebSocket-Protocol: v3.chat, V2.CHAT") }},
		{name: "server's preference", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.add("Sec-WebSocket-Protocol: v1.chat, v2.chat") }},
		{name: "both preferences alike", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.add("Sec-WebSocket-Protocol: v2.chat, v1.chat") }},
		{name: "second best", opts: speaks, subprotocol: "v1.chat",
			edit: func(q *request) { q.add("Sec-WebSocket-Protocol: v3.chat, v1.chat") }},
		{name: "repeated subprotocols", opts: speaks, subprotocol: "v2.chat",
			edit: func(q *request) { q.add("Sec-WebSocket-Protocol: v1.chat,", "Sec-WebSocket-Protocol: ,v2.chat") }},
		{name: "subprotocol unasked for", opts: speaks, edit: func(q *request) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			addr, outcomes := acceptServer(t, &test.opts)
			q := newHandshakeRequest()
			test.edit(q)
			resp, behind := exchangeRaw(t, addr, q.String())
			if err := mustReceive(t, outcomes); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusSwitchingProtocols || behind != "" {
				t.Fatalf("status %d, body %q", resp.StatusCode, behind)
			}
			want := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {cmp.Or(test.accept, rfcAccept)}}
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
		opts  AcceptOptions
		set   http.Header // on the ResponseWriter
		fault string
	}{
		{name: "pattern", opts: AcceptOptions{OriginPatterns: []string{"https://ok.example", "[a-"}}, fault: `origin pattern "[a-"`},
		{name: "pattern with a path", opts: AcceptOptions{OriginPatterns: []string{"https://a.example/"}}, fault: `"https://a.example/" has a path`},
		{name: "subprotocol", opts: AcceptOptions{Subprotocols: []string{"ok", "not ok"}}, fault: `subprotocol "not ok"`},
		{name: "empty subprotocol", opts: AcceptOptions{Subprotocols: []string{""}}, fault: `subprotocol ""`},
		{name: "level", opts: AcceptOptions{Options: Options{Compression: &CompressionOptions{Level: 10}}}, fault: "Level is 10"},
		{name: "window", opts: AcceptOptions{Options: Options{Compression: &CompressionOptions{WindowBits: 7}}}, fault: "WindowBits is 7"},
		{name: "budget", opts: AcceptOptions{Options: Options{Compression: &CompressionOptions{MemoryBudget: -1}}}, fault: "MemoryBudget is -1"},
		{name: "CR LF in option", opts: AcceptOptions{Header: http.Header{"X-A": {"ok", "a\r\nSet-Cookie: b=c"}}}, fault: "header X-A holds CR"},
		{name: "LF in option", opts: AcceptOptions{Header: http.Header{"X-A": {"a\nb"}}}, fault: "header X-A holds CR"},
		{name: "NUL in option", opts: AcceptOptions{Header: http.Header{"X-A": {"a\x00"}}}, fault: "header X-A holds CR"},
		{name: "name in option", opts: AcceptOptions{Header: http.Header{"X-A: b\r\nX-B": {"c"}}}, fault: "is not a header name"},
		{name: "Upgrade in option", opts: AcceptOptions{Header: http.Header{"upgrade": {"h2c"}}}, fault: "header upgrade belongs to the handshake"},
		{name: "accept in option", opts: AcceptOptions{Header: http.Header{"Sec-WebSocket-Accept": {"x"}}}, fault: "belongs to the handshake"},
		{name: "subprotocol header in option", opts: AcceptOptions{Header: http.Header{"Sec-WebSocket-Protocol": {"x"}}}, fault: "use the option Subprotocols"},
		{name: "Content-Length in option", opts: AcceptOptions{Header: http.Header{"content-length": {"1"}}}, fault: "content-length cannot be sent"},
		{name: "Transfer-Encoding in option", opts: AcceptOptions{Header: http.Header{"Transfer-Encoding": {"chunked"}}}, fault: "Transfer-Encoding cannot be sent"},
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
				_, err := Accept(w, r, &test.opts)
				outcomes <- err
			}))
			defer srv.Close()
			resp, body := exchangeRaw(t, srv.Listener.Addr().String(), newHandshakeRequest().String())
			if resp.StatusCode != http.StatusInternalServerError || body != "Internal Server Error\n" {
				t.Errorf("answer %d %q, want a generic 500", resp.StatusCode, body)
			}
			if got := resp.Header.Get("Connection"); got != "close" {
				t.Errorf("Connection: %q, want close", got)
			}
			var fault *HandshakeError
			if err := mustReceive(t, outcomes); !errors.As(err, &fault) || fault.Status != 500 || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("Accept returned %v, want a 500 with %q", err, test.fault)
			}
		})
	}
}

// FuzzServerHandshake holds the steps against one slow look at the request.
// A line break in an input makes two header lines of it.
func FuzzServerHandshake(f *testing.F) {
	add := func(edit func(args []string)) {
		args := []string{"GET", "Upgrade", "websocket", "13", rfcKey, ""}
		edit(args)
		f.Add(args[0], args[1], args[2], args[3], args[4], args[5], 1, 1, int64(0))
	}
	add(func(a []string) {})
	add(func(a []string) { a[1] = "keep-alive\n ,UPGRADE,\t" })
	add(func(a []string) { a[2] = "webSocket\nh2c" })
	add(func(a []string) { a[2] = "web\u017focket" })
	add(func(a []string) { a[3] = "13\n13" })
	add(func(a []string) { a[4] = "dGhlIHNhbXBsZSBub25jZR==" })
	add(func(a []string) { a[4] = "dGhlIHNhbXBsZSBub25\rjZQ==" })
	add(func(a []string) { a[5] = "chat\nsuper, b@d" })
	add(func(a []string) { a[5] = "one,two\nthree" })
	f.Add("GET", "Upgrade", "websocket", "13", rfcKey, "", 2, 0, int64(0))
	f.Add("GET", "Upgrade", "websocket", "13", rfcKey, "", 1, 0, int64(-1))

	f.Fuzz(func(t *testing.T, method, connection, upgrade, version, key, protocol string, major, minor int, length int64) {
		header := http.Header{}
		for name, text := range map[string]string{
			"Connection": connection, "Upgrade": upgrade, "Sec-Websocket-Version": version,
			"Sec-Websocket-Key": key, "Sec-Websocket-Protocol": protocol,
		} {
			if text != "" {
				header[name] = strings.Split(text, "\n")
			}
		}
		r := &http.Request{
			Method: method, ProtoMajor: major, ProtoMinor: minor, Header: header,
			Host: "server.example", URL: &url.URL{Path: "/"}, ContentLength: length,
		}
		opts := &AcceptOptions{Subprotocols: []string{"two", "one"}}
		hs := serverHandshake{r: r, opts: opts}
		refusal := hs.run()
		if want := slowServerCheck(r); (refusal == nil) != want {
			t.Fatalf("%q HTTP/%d.%d, content %d, %q: %v, the slow check says %v", method, major, minor, length, header, refusal, want)
		}
		if refusal != nil {
			if refusal.Status < 400 || refusal.Status >= 500 && refusal.Status != 505 || strings.ContainsAny(refusal.Reason, "\r\n") {
				t.Fatalf("refused with %#v", refusal)
			}
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(hs.appendResponse(nil)))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode != 101 || got != AcceptKey(key) {
			t.Fatalf("answer %d, Sec-WebSocket-Accept: %q", resp.StatusCode, got)
		}
		offered := regexp.MustCompile(`[ \t]*[,\n][ \t]*`).Split(strings.Trim(protocol, " \t"), -1)
		want := ""
		if slices.Contains(offered, "two") {
			want = "two"
		} else if slices.Contains(offered, "one") {
			want = "one"
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Fatalf("offers %q: chose %q, want %q", protocol, got, want)
		}
	})
}

// slowServerCheck says whether the request is an opening handshake, the way
// one would put RFC 6455, section 4.2.1, in regular expressions. They see the
// lines of a header joined by line breaks.
func slowServerCheck(r *http.Request) bool {
	for name, expr := range slowHeaders {
		if !expr.MatchString(strings.Join(r.Header[name], "\n")) {
			return false
		}
	}
	return r.Method == "GET" && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && r.ContentLength == 0
}

// No flag i here: it folds beyond ASCII.
var slowHeaders = map[string]*regexp.Regexp{
	"Upgrade":                regexp.MustCompile(`\A((?s:.*)[,\n])?[ \t]*[Ww][Ee][Bb][Ss][Oo][Cc][Kk][Ee][Tt][ \t]*([,\n](?s:.*))?\z`),
	"Connection":             regexp.MustCompile(`\A((?s:.*)[,\n])?[ \t]*[Uu][Pp][Gg][Rr][Aa][Dd][Ee][ \t]*([,\n](?s:.*))?\z`),
	"Sec-Websocket-Version":  regexp.MustCompile(`\A13\z`),
	"Sec-Websocket-Key":      regexp.MustCompile(`\A[A-Za-z0-9+/]{22}==\z`),
	"Sec-Websocket-Protocol": regexp.MustCompile("\\A([ \\t,\\n]*[!#$%&'*+\\-.^_`|~0-9A-Za-z]+[ \\t]*([,\\n]|\\z))*[ \\t,\\n]*\\z"),
}

// FuzzResponseHeader: whatever header the user or a middleware sets, it is
// refused or stays the one line that it is.
func FuzzResponseHeader(f *testing.F) {
	f.Add("X-Request-Id", "7", false)
	f.Add("Set-Cookie", "a=b\r\nSet-Cookie: c=d", true)
	f.Add("X-A\r\nX-B", "", false)
	f.Add("trailer:x", "y", true)
	f.Add("sec-websocket-accept", "z", true)
	f.Fuzz(func(t *testing.T, name, value string, inherited bool) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {rfcKey},
		}
		hs := serverHandshake{r: r, opts: new(AcceptOptions)}
		if inherited {
			hs.inherited = http.Header{name: {value}}
		} else {
			hs.opts.Header = http.Header{name: {value}}
		}
		if fault := hs.run(); fault != nil {
			if fault.Status != 500 {
				t.Fatalf("%q: %q: %v", name, value, fault)
			}
			return
		}
		fixed := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n"
		line, ok := strings.CutPrefix(string(hs.appendResponse(nil)), fixed)
		if !ok {
			t.Fatalf("%q: %q spoils the response: %q", name, value, line)
		}
		if inherited && line == "\r\n" && hopHeader(name) {
			return // left out
		}
		line = strings.TrimSuffix(line, "\r\n\r\n")
		if line != name+": "+value || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("%q: %q makes the line %q", name, value, line)
		}
	})
}

// TestAppendResponseAllocations: a response is appended without allocations, if
// there is room for it and no header to sort.
func TestAppendResponseAllocations(t *testing.T) {
	hs := serverHandshake{opts: new(AcceptOptions), key: rfcKey}
	room := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if !bytes.Contains(hs.appendResponse(room), []byte(rfcAccept)) {
			t.Error("the accept value is missing")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
