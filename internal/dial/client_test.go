package dial_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

func TestDialRefusesURL(t *testing.T) {
	for _, tt := range []struct{ raw, want string }{
		{"", `scheme "" is none of`},
		{"h/p", `scheme "" is none of`},
		{"ftp://h", `scheme "ftp" is none of`},
		{"wss+unix:///a:/b", `scheme "wss+unix" is none of`},
		{"ws:", "no host"},
		{"ws:///p", "no host"},
		{"ws://:80/p", "no host"},
		{"ws:h/p", "no host"},
		{"ws://h/p#f", "fragment"},
		{"ws://h/p#", "fragment"},
		{"ws+unix:///s:/p#f", "fragment"},
		{"ws://h:port/", "malformed"},
		{"ws://h/\x7f", "malformed"},
		{"ws+unix://host/s:/p", "want ws+unix:///"},
		{"ws+unix:s:/p", "want ws+unix:///"},
		{"ws+unix:///s:p", "must begin with /"},
		{"ws+unix:///a:b.sock:/p", "must begin with /"},
		// Each holds a password that must not show up in the error.
		{"ws://user:secret@h:port/", "malformed"},
		{"ws://user:sec/secret@h/", "malformed"},
		{"ws://user:%secret@h/", "malformed"},
		{"ftp://user:secret@h/", "none of"},
		{"ws://user:secret@:80/", "no host"},
		{"ws://user:secret@h/#", "fragment"},
	} {
		c, resp, err := websocket.Dial(t.Context(), tt.raw, nil)
		if c != nil || resp != nil || err == nil {
			t.Fatalf("%s: got %v, %v, %v", tt.raw, c, resp, err)
		}
		if s := err.Error(); !strings.Contains(s, tt.want) || strings.Contains(s, "secret") || strings.Contains(s, "user") {
			t.Errorf("%s: got %q, want %q", tt.raw, s, tt.want)
		}
	}
}

func TestDialRefusesOptions(t *testing.T) {
	never := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a connection was made")
		return nil, io.EOF
	}}
	for _, tt := range []struct {
		opts websocket.DialOptions
		want string
	}{
		{websocket.DialOptions{Header: http.Header{"X": {"a\r\nB: c"}}}, "CR, LF or NUL"},
		{websocket.DialOptions{Header: http.Header{"X Y": {"a"}}}, "not a header name"},
		{websocket.DialOptions{Header: http.Header{"sec-websocket-key": {"a"}}}, "belongs to the handshake"},
		{websocket.DialOptions{Header: http.Header{"Upgrade": {"a"}}}, "belongs to the handshake"},
		{websocket.DialOptions{Header: http.Header{"Host": {"a", "b"}}}, "Host must have one value"},
		{websocket.DialOptions{Header: http.Header{"Host": {"a"}, "host": {"b"}}}, "Host must have one value"},
		{websocket.DialOptions{Header: http.Header{"Host": nil}}, "Host must have one value"},
		{websocket.DialOptions{Subprotocols: []string{"a", "b c"}}, "not a token"},
		{websocket.DialOptions{Subprotocols: []string{"a", "b", "a"}}, "offered twice"},
		{websocket.DialOptions{Header: http.Header{"Sec-WebSocket-Extensions": {"a"}}}, "belongs to the handshake"},
		{websocket.DialOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{Level: 10}}}, "Level is 10"},
		{websocket.DialOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{WindowBits: 7}}}, "WindowBits is 7"},
		{websocket.DialOptions{Options: websocket.Options{Compression: &websocket.CompressionOptions{MemoryBudget: -1}}}, "MemoryBudget is -1"},
	} {
		tt.opts.HTTPClient = &http.Client{Transport: never}
		c, resp, err := websocket.Dial(t.Context(), "ws://127.0.0.1/", &tt.opts)
		if c != nil || resp != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v, %v, %v; want %q", tt.opts, c, resp, err, tt.want)
		}
	}
	var none context.Context
	if _, _, err := websocket.Dial(none, "ws://127.0.0.1/", nil); err == nil || !strings.Contains(err.Error(), "nil context") {
		t.Errorf("nil context: got %v", err)
	}
}

// TestDialRequest looks at the bytes that a server gets to see.
func TestDialRequest(t *testing.T) {
	heads := make(chan []string, 2)
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		var head []string
		r := textproto.NewReader(p.R)
		for {
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
		req, _ := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.Join(head, "\r\n") + "\r\n\r\n")))
		io.WriteString(p, wstest.Switch(req, "Sec-WebSocket-Protocol: b\r\nX-Served: yes\r\n"))
		p.Echo()
	})
	opts := &websocket.DialOptions{
		Header:       http.Header{"host": {"example.org"}, "Origin": {"https://o"}, "x-tOKEN": {"1"}, "X-Token": {"2"}, "User-Agent": {"me"}},
		Subprotocols: []string{"a", "b"},
	}
	var keys []string
	for range 2 {
		c, resp, err := websocket.Dial(t.Context(), "ws://user:pa%20ss@"+addr+"/p%2Fq?x=y&z", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		head := wstest.ReceiveFor(t, heads, "the request")
		for _, want := range []string{
			"GET /p%2Fq?x=y&z HTTP/1.1",
			"Host: example.org",
			"Upgrade: websocket",
			"Connection: Upgrade",
			"Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Protocol: a, b",
			"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:pa ss")),
			"Origin: https://o",
			"X-Token: 1",
			"X-Token: 2",
			"User-Agent: me",
		} {
			if !slices.Contains(head, want) {
				t.Errorf("request lacks %q:\n%s", want, strings.Join(head, "\n"))
			}
		}
		for _, line := range head {
			if key, ok := strings.CutPrefix(line, "Sec-WebSocket-Key: "); ok {
				keys = append(keys, key)
			}
		}
		if len(head) != 12 {
			t.Errorf("request has %d lines, want 12:\n%s", len(head), strings.Join(head, "\n"))
		}

		if c.Subprotocol() != "b" {
			t.Errorf("subprotocol %q, want b", c.Subprotocol())
		}
		req := c.Request()
		if req.URL.Path != "/p/q" || req.Host != "example.org" || req.Header.Get("Sec-WebSocket-Key") != keys[len(keys)-1] {
			t.Errorf("Conn.Request is not the one sent: %+v", req)
		}
		if user, password, ok := req.BasicAuth(); !ok || user != "user" || password != "pa ss" {
			t.Errorf("Conn.Request has not the credentials sent: %v", req.Header)
		}
		if req.Context().Done() != nil {
			t.Error("the context of Conn.Request can be cancelled")
		}
		if resp.StatusCode != 101 || resp.Header.Get("X-Served") != "yes" || resp.Body != http.NoBody || resp.Request != req {
			t.Errorf("got response %+v", resp)
		}
	}
	if len(keys) != 2 || keys[0] == keys[1] {
		t.Errorf("got keys %q, want two that differ", keys)
	}
	for _, key := range keys {
		if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 16 {
			t.Errorf("key %q is not 16 bytes in base64", key)
		}
	}
	//lint:ignore SA1008 as the user has spelled it
	if _, ok := opts.Header["host"]; !ok || len(opts.Header) != 5 {
		t.Errorf("Dial changed the options: %v", opts.Header)
	}
}

func TestDialSchemes(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	plain := wstest.Listen(t, nil, (*wstest.Peer).Accept)
	secure := wstest.Listen(t, serverTLS, (*wstest.Peer).Accept)
	for _, url := range []string{"ws://" + plain, "http://" + plain, "wss://" + secure, "https://" + secure} {
		d := new(wstest.Dialer)
		nc, early, resp := dialTestConn(t, url+"/x", dialTestOptions(wstest.Transport(d)))
		dialTestEcho(t, nc, early, "")
		if (resp.TLS != nil) != strings.HasSuffix(url, secure) {
			t.Errorf("%s: response has TLS state %v", url, resp.TLS)
		}
		nc.Close()
		if n := d.Open(); n != 0 {
			t.Errorf("%s: %d connections are open after Close", url, n)
		}
	}
	if nc, _, _ := dialTestConn(t, "ws://"+plain, nil); reflect.TypeOf(nc) != reflect.TypeFor[*net.TCPConn]() {
		t.Errorf("got a %T, want the TCP connection", nc)
	}
}

func TestDialUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "a:b.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err)
	}
	requests := make(chan *http.Request, 2)
	wstest.Serve(t, ln, nil, func(p *wstest.Peer) {
		req := p.Request()
		if req == nil {
			return
		}
		requests <- req
		if req.URL.Path == "/from" { // a server that knows itself by the name it is called
			io.WriteString(p, "HTTP/1.1 302 Found\r\nLocation: ws://localhost/to\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(p, wstest.Switch(req, ""))
		p.Echo()
	})
	target := "ws+unix://" + strings.ReplaceAll(filepath.ToSlash(socket), ":", "%3A") + ":/from?q"
	tr := wstest.Transport(new(wstest.Dialer))
	tr.Proxy = func(*http.Request) (*url.URL, error) { t.Error("a proxy was asked for"); return nil, nil }
	opts := dialTestOptions(tr)
	opts.Header = http.Header{"Authorization": {"secret"}}
	nc, early, _ := dialTestConn(t, target, opts)
	if _, ok := nc.(*net.UnixConn); !ok {
		t.Errorf("got a %T, want the socket", nc)
	}
	dialTestEcho(t, nc, early, "")
	for _, want := range []string{"/from?q", "/to"} {
		req := wstest.ReceiveFor(t, requests, "a request")
		if req.RequestURI != want || req.Host != "localhost" || req.Header.Get("Authorization") != "secret" {
			t.Errorf("server was asked for %s on %s, authorization %q", req.RequestURI, req.Host, req.Header.Get("Authorization"))
		}
	}

	_, _, err = websocket.Dial(t.Context(), target, dialTestOptions(dialTestTripper(tr.RoundTrip)))
	if err == nil || !strings.Contains(err.Error(), "needs a Transport that is an *http.Transport") {
		t.Errorf("with a foreign RoundTripper: got %v", err)
	}
}

// TestDialLeavesClientAlone: settings, and the pool of idle connections.
func TestDialLeavesClientAlone(t *testing.T) {
	ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			return
		}
		http.Error(w, "no", http.StatusTeapot)
	}))
	defer ts.Close()
	client := ts.Client()
	client.Timeout = time.Minute
	tr := client.Transport.(*http.Transport)
	get := func() (reused bool) {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", ts.URL+"/plain", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return reused
	}
	snapshot := func(of any) (s []string) {
		v := reflect.ValueOf(of).Elem()
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				s = append(s, fmt.Sprintf("%s %+v", f.Name, v.Field(i)))
			}
		}
		return s
	}
	get()
	before := slices.Concat(snapshot(client), snapshot(tr), snapshot(tr.TLSClientConfig))
	_, _, err := websocket.Dial(t.Context(), ts.URL, &websocket.DialOptions{HTTPClient: client})
	dialTestRefused(t, err, http.StatusTeapot, "no")
	if after := slices.Concat(snapshot(client), snapshot(tr), snapshot(tr.TLSClientConfig)); !slices.Equal(before, after) {
		t.Errorf("client was\n%q\nand is\n%q", before, after)
	}
	if !get() {
		t.Error("the client's idle connection is gone")
	}
}

func TestDialTrace(t *testing.T) {
	serverTLS, _ := wstest.TLS()
	addr := wstest.Listen(t, serverTLS, (*wstest.Peer).Accept)
	var (
		mu    sync.Mutex
		seen  []string
		got   net.Conn
		event = func(name string) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, name)
		}
	)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:              func(hostPort string) { event("GetConn " + hostPort) },
		ConnectDone:          func(_, addr string, err error) { event(fmt.Sprint("ConnectDone ", addr, err)) },
		TLSHandshakeDone:     func(_ tls.ConnectionState, err error) { event(fmt.Sprint("TLSHandshakeDone ", err)) },
		GotConn:              func(info httptrace.GotConnInfo) { event("GotConn"); got = info.Conn },
		WroteHeaderField:     func(key string, _ []string) { event("WroteHeaderField " + key) },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { event(fmt.Sprint("WroteRequest ", info.Err)) },
		GotFirstResponseByte: func() { event("GotFirstResponseByte") },
	})
	nc, _, _, err := dialHandshake(ctx, "wss://"+addr, dialTestOptions(wstest.Transport(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if c, ok := got.(interface{ NetConn() net.Conn }); !ok || c.NetConn() != nc {
		t.Errorf("GotConn reported a %T, the connection is %p", got, nc)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{
		"GetConn " + addr, "ConnectDone " + addr + "<nil>", "TLSHandshakeDone <nil>", "GotConn",
		"WroteHeaderField Sec-WebSocket-Key", "WroteRequest <nil>", "GotFirstResponseByte",
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("hook %q was not called, only %q", want, seen)
		}
	}
}

func TestDialErrorsHideCredentials(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close() // nobody listens there now
	url := "ws://user:secret@" + ln.Addr().String() + "/path?token=secret"
	_, resp, err := websocket.Dial(t.Context(), url, dialTestOptions(wstest.Transport(nil)))
	if err == nil || resp != nil {
		t.Fatalf("got %v, %v", resp, err)
	}
	if s := err.Error(); strings.Contains(s, "secret") || strings.Contains(s, "user") || !strings.Contains(s, "ws://"+ln.Addr().String()+"/path: ") {
		t.Errorf("got %q", s)
	}
	if op := new(net.OpError); !errors.As(err, &op) {
		t.Errorf("%v wraps no *net.OpError", err)
	}
}
