package dial_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestHeads serves connections, and tells the head of each request as it
// came, line by line. It redirects /from to /to.
func dialTestHeads(t *testing.T) (addr string, heads chan []string) {
	heads = make(chan []string, 10)
	addr = wstest.Listen(t, nil, func(p *wstest.Peer) {
		var head []string
		for r := textproto.NewReader(p.R); ; {
			line, err := r.ReadLine()
			if err != nil {
				return
			}
			if line == "" {
				break
			}
			head = append(head, line)
		}
		heads <- head
		if strings.HasPrefix(head[0], "GET /from") {
			io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: /to?a b\"\r\nContent-Length: 0\r\n\r\n")
			return
		}
		req := &http.Request{Header: make(http.Header)}
		for _, line := range head[1:] {
			name, value, _ := strings.Cut(line, ": ")
			req.Header.Add(name, value)
		}
		io.WriteString(p, wstest.Switch(req, ""))
		p.Echo()
	})
	return addr, heads
}

// TestDialSpelling: names go out as RFC 6455 and the user spell them, by every
// kind of Transport and on every request of a chain, and CheckRedirect finds
// them as usual.
func TestDialSpelling(t *testing.T) {
	addr, heads := dialTestHeads(t)
	for _, rt := range []http.RoundTripper{wstest.Transport(nil), dialTestTripper(wstest.Transport(nil).RoundTrip)} {
		opts := dialTestOptions(rt)
		opts.Subprotocols = []string{"a"}
		opts.Compression = new(websocket.CompressionOptions)
		opts.Header = http.Header{
			"X-API-KEY": {"1", "2"}, "x-lower": {"3"}, "X-Plain": {"4"}, "X-SECRET": {"5"},
			"x-TWICE": {"6"}, "X-twice": {"7"}, "x-Once": {"8"}, "X-Once": {"9"},
			"user-agent": {"me"}, "content-length": {"100"}, "transfer-encoding": {"chunked"}, "AUTHORIZATION": {"Bearer x"},
		}
		opts.HTTPClient.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
			if req.Header.Get("X-SECRET") != "5" || req.Header.Get("X-API-KEY") != "1" {
				t.Errorf("CheckRedirect sees %v", req.Header)
			}
			req.Header.Del("X-SECRET")
			return nil
		}
		c, resp, err := websocket.Dial(t.Context(), "ws://"+addr+"/from", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for _, hop := range []string{"/from", "/to?a%20b%22"} {
			head := wstest.ReceiveFor(t, heads, "a request")
			want := []string{
				"GET " + hop + " HTTP/1.1", "Host: " + addr, "User-Agent: me", "Upgrade: websocket", "Connection: Upgrade",
				"Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
				"X-API-KEY: 1", "X-API-KEY: 2", "x-lower: 3", "X-Plain: 4", "X-SECRET: 5",
				"X-twice: 7", "X-twice: 6", "X-Once: 9", "X-Once: 8", "AUTHORIZATION: Bearer x",
			}
			if hop != "/from" {
				want = slices.DeleteFunc(want, func(line string) bool { return line == "X-SECRET: 5" })
			}
			head = slices.DeleteFunc(head, func(line string) bool {
				return strings.HasPrefix(line, "Sec-WebSocket-Key: ") || line == "Accept-Encoding: gzip"
			})
			slices.Sort(head)
			slices.Sort(want)
			if !slices.Equal(head, want) {
				t.Errorf("%T sent\n%s\nwant\n%s", rt, strings.Join(head, "\n"), strings.Join(want, "\n"))
			}
		}
		if h := resp.Request.Header; h.Get("X-API-KEY") != "1" || h.Get("Sec-WebSocket-Version") != "13" {
			t.Errorf("Conn.Request has %v", h)
		}
	}
}

// TestDialSpellingOfCredentials: a redirect to another origin does not carry
// them on, however they are spelled.
func TestDialSpellingOfCredentials(t *testing.T) {
	to, heads := dialTestHeads(t)
	from := wstest.Listen(t, nil, func(p *wstest.Peer) {
		p.Request()
		io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: ws://"+to+"/\r\nContent-Length: 0\r\n\r\n")
	})
	opts := dialTestOptions(wstest.Transport(nil))
	opts.Header = http.Header{"authorization": {"secret"}, "COOKIE": {"secret"}, "proxy-Authorization": {"secret"}, "X-API-KEY": {"1"}}
	dialTestConn(t, "ws://"+from, opts)
	head := strings.Join(wstest.ReceiveFor(t, heads, "the request"), "\n")
	if strings.Contains(head, "secret") || !strings.Contains(head, "X-API-KEY: 1") {
		t.Errorf("the other origin got\n%s", head)
	}
}

// TestDialQuery: what cannot be in a request line is escaped as browsers do.
func TestDialQuery(t *testing.T) {
	addr, heads := dialTestHeads(t)
	for _, tt := range []struct{ query, want string }{
		{"q=a b", "q=a%20b"},
		{"q=\x01\x1f\x7f", "q=%01%1F%7F"},
		{"q=a\tb\r\nc", "q=abc"},
		{`q="<>"`, "q=%22%3C%3E%22"},
		{"q=ü&r=\xff", "q=%C3%BC&r=%FF"},
		{"a=%20&b=%zz&c=?/:@-._~!$&'()*+,;=`{|}^[]\\", "a=%20&b=%zz&c=?/:@-._~!$&'()*+,;=`{|}^[]\\"},
		{" HTTP/1.1\r\nX: y", "%20HTTP/1.1X:%20y"},
	} {
		nc, _, _ := dialTestConn(t, "ws://"+addr+"/p?"+tt.query, nil)
		nc.Close()
		if head := wstest.ReceiveFor(t, heads, "the request"); head[0] != "GET /p?"+tt.want+" HTTP/1.1" || len(head) != 7 {
			t.Errorf("%q: server got %q", tt.query, head)
		}
	}
	for _, raw := range []string{"ws://h/p\x01?q", "ws://h\t/?q", "ws://h/p\n"} {
		if _, _, err := websocket.Dial(t.Context(), raw, nil); err == nil || !strings.Contains(err.Error(), "malformed URL") {
			t.Errorf("%q: got %v", raw, err)
		}
	}
}

// TestDialHost: a host that cannot be sent is refused before the network.
// net/http would send an empty Host header.
func TestDialHost(t *testing.T) {
	dialled := 0
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, io.ErrNoProgress
	}}
	for host, ok := range map[string]bool{
		"h": true, "h:80": true, "a.example": true, "a_b": true, "127.0.0.1:1": true, "[::1]": true, "[::1]:443": true, "bücher.example": true, "h.": true,
		"a b": false, " a": false, "a/b": false, "/run/a.sock": false, "a?b": false, "a#b": false, "u@a": false, "u:p@a": false, "http://a": false,
		"a:port": false, ":80": false, "[::1": false, "[::1%25lo]": false, `a"b`: false, "a<b": false, "a\tb": false, "a\x7f": false, "a%zz": false,
		"\xff": false, "xn--\u00fc": false,
	} {
		before := dialled
		opts := dialTestOptions(tr)
		opts.Header = http.Header{"Host": {host}}
		_, _, err := websocket.Dial(t.Context(), "ws://127.0.0.1/", opts)
		if ok != (dialled == before+1) {
			t.Errorf("%q: dialled %v, %v", host, dialled-before, err)
		}
		if !ok && (err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("websocket: header Host is %q, which cannot be sent: ", host))) {
			t.Errorf("%q: got %v", host, err)
		}
	}
	before := dialled
	if _, _, err := websocket.Dial(t.Context(), `ws://a"b/`, dialTestOptions(tr)); err == nil || !strings.Contains(err.Error(), `URL has the host "a\"b", which cannot be sent`) || dialled != before {
		t.Errorf("host in the URL: got %v", err)
	}
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		p.Request()
		io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: ws://a\"b/\r\nContent-Length: 0\r\n\r\n")
	})
	if _, _, err := websocket.Dial(t.Context(), "ws://"+addr, nil); err == nil || !strings.Contains(err.Error(), "the host cannot be sent") {
		t.Errorf("host in a redirect: got %v", err)
	}
}

// TestDialNamesOptions: headers that have an option of their own are refused
// with its name.
func TestDialNamesOptions(t *testing.T) {
	for name, option := range map[string]string{"Sec-WebSocket-Protocol": "Subprotocols", "sec-websocket-protocol": "Subprotocols", "Sec-WebSocket-Extensions": "Compression"} {
		_, _, err := websocket.Dial(t.Context(), "ws://127.0.0.1:1/", &websocket.DialOptions{Header: http.Header{name: {"a"}}})
		if err == nil || !strings.Contains(err.Error(), name+" belongs to the handshake and cannot be set; use the option "+option) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
