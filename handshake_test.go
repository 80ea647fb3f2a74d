package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

// FuzzServerHandshake holds the steps against one slow look at the request.
// A line break in an input makes two header lines of it.
func FuzzServerHandshake(f *testing.F) {
	add := func(edit func(args []string)) {
		args := []string{"GET", "Upgrade", "websocket", "13", wstest.Key, ""}
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
	f.Add("GET", "Upgrade", "websocket", "13", wstest.Key, "", 2, 0, int64(0))
	f.Add("GET", "Upgrade", "websocket", "13", wstest.Key, "", 1, 0, int64(-1))

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
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {wstest.Key},
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
		fixed := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wstest.Accept + "\r\n"
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
	hs := serverHandshake{opts: new(AcceptOptions), key: wstest.Key}
	room := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if !bytes.Contains(hs.appendResponse(room), []byte(wstest.Accept)) {
			t.Error("the accept value is missing")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// showCompression writes c as the tables have it: what we send and what we
// receive, each with its window and a plus if there is takeover.
func showCompression(c compression) string {
	if !c.On() {
		return ""
	}
	show := func(bits uint8, takeover bool) string {
		if takeover {
			return fmt.Sprintf("%d+", bits)
		}
		return fmt.Sprint(bits)
	}
	return "send " + show(c.SendBits, c.SendTakeover) + " recv " + show(c.RecvBits, c.RecvTakeover)
}

func TestCompressionOptions(t *testing.T) {
	for _, tt := range []struct {
		opts *CompressionOptions
		want string
	}{
		{nil, ""},
		{&CompressionOptions{}, ""},
		{&CompressionOptions{Level: 1, Threshold: -1, WindowBits: 8, MemoryBudget: 1}, ""},
		{&CompressionOptions{Level: 9, Threshold: 1 << 30, WindowBits: 15, MemoryBudget: 1 << 30}, ""},
		{&CompressionOptions{Level: -1}, "websocket: CompressionOptions.Level is -1, want 1 to 9, or 0"},
		{&CompressionOptions{Level: 10}, "websocket: CompressionOptions.Level is 10, want 1 to 9, or 0"},
		{&CompressionOptions{WindowBits: -1}, "websocket: CompressionOptions.WindowBits is -1, want 8 to 15, or 0"},
		{&CompressionOptions{WindowBits: 7}, "websocket: CompressionOptions.WindowBits is 7, want 8 to 15, or 0"},
		{&CompressionOptions{WindowBits: 16}, "websocket: CompressionOptions.WindowBits is 16, want 8 to 15, or 0"},
		{&CompressionOptions{WindowBits: 256 + 10}, "websocket: CompressionOptions.WindowBits is 266, want 8 to 15, or 0"},
		{&CompressionOptions{MemoryBudget: -1}, "websocket: CompressionOptions.MemoryBudget is -1, want bytes, or 0"},
	} {
		got := ""
		if err := tt.opts.check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.opts, got, tt.want)
		}
	}
}

// TestAcceptCompression: the response to an offer, line by line.
func TestAcceptCompression(t *testing.T) {
	on := new(CompressionOptions)
	const header = "Sec-WebSocket-Extensions: "
	for _, tt := range []struct {
		name       string
		opts       *CompressionOptions
		offer      []string
		answer     string // "" if there is no such header
		negotiated string
	}{
		{"not offered", on, nil, "", ""},
		{"not wanted", nil, []string{header + "permessage-deflate"}, "", ""},
		{"as browsers offer it", on, []string{header + "permessage-deflate; client_max_window_bits"}, "permessage-deflate", "send 15+ recv 15+"},
		{"among others", on, []string{"sec-websocket-extensions: mux, permessage-deflate; x", header, header + `foo;bar, permessage-deflate;client_max_window_bits="12"`},
			"permessage-deflate; client_max_window_bits=12", "send 15+ recv 12+"},
		{"in no way that suits", on, []string{header + "permessage-deflate; server_max_window_bits=16"}, "", ""},
		{"with a budget", &CompressionOptions{MemoryBudget: 60_000}, []string{header + "permessage-deflate; server_max_window_bits=15; client_max_window_bits"},
			"permessage-deflate; server_max_window_bits=14; client_max_window_bits=14", "send 14+ recv 14+"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := &AcceptOptions{Options: Options{Compression: tt.opts}, Subprotocols: []string{"a"}}
			addr, outcomes := wstest.AcceptServer(t, func(w http.ResponseWriter, r *http.Request) error {
				c, err := Accept(w, r, opts)
				if err == nil {
					c.CloseNow()
				}
				return err
			})
			q := wstest.NewRequest().Add("Sec-WebSocket-Protocol: a").Add(tt.offer...)
			resp, _ := wstest.Exchange(t, addr, q.String())
			if err := wstest.Receive(t, outcomes); err != nil {
				t.Fatal(err)
			}
			want := http.Header{
				"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {wstest.Accept}, "Sec-Websocket-Protocol": {"a"},
			}
			if tt.answer != "" {
				want["Sec-Websocket-Extensions"] = []string{tt.answer}
			}
			if got, want := fmt.Sprint(resp.StatusCode, resp.Header), fmt.Sprint(101, want); got != want {
				t.Errorf("got %s, want %s", got, want)
			}

			r := httptest.NewRequest("GET", "/", nil)
			for _, line := range q.Lines {
				name, value, _ := strings.Cut(line, ":")
				r.Header.Add(name, strings.TrimSpace(value))
			}
			hs := serverHandshake{r: r, opts: opts}
			if refusal := hs.run(); refusal != nil {
				t.Fatal(refusal)
			}
			if got := showCompression(hs.extensions.Deflate); got != tt.negotiated {
				t.Errorf("negotiated %q, want %q", got, tt.negotiated)
			}
		})
	}
}

func TestDialCompression(t *testing.T) {
	const name = "permessage-deflate"
	on := new(CompressionOptions)
	small := &CompressionOptions{WindowBits: 10, ServerNoContextTakeover: true}
	for _, tt := range []struct {
		opts       *CompressionOptions
		offer      string // "" if there is no such header
		answer     string // lines of it
		negotiated string // or
		err        string // the whole reason
	}{
		{nil, "", "", "", ""},
		{on, name + "; client_max_window_bits", "", "", ""},
		{on, name + "; client_max_window_bits", name, "send 15+ recv 15+", ""},
		{on, name + "; client_max_window_bits", name + "; client_max_window_bits=\"9\"; server_no_context_takeover\n,", "send 9+ recv 15", ""},
		{small, name + "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10, " + name + "; server_no_context_takeover; client_max_window_bits",
			name + "; server_no_context_takeover; server_max_window_bits=9", "send 10+ recv 9", ""},

		{nil, "", name, "",
			`server uses extension "permessage-deflate", which was not offered (RFC 6455, section 4.1)`},
		{on, name + "; client_max_window_bits", "x-other", "",
			`server uses extension "x-other", which was not offered (RFC 6455, section 4.1)`},
		{on, name + "; client_max_window_bits", name + "\n" + name, "",
			`server uses permessage-deflate 2 times, want once (RFC 6455, section 4.1)`},
		{on, name + "; client_max_window_bits", name + "; client_max_window_bits", "",
			`server answers client_max_window_bits without a value (RFC 7692, section 7.1.2.2)`},
		{on, name + "; client_max_window_bits", name + "; server_max_window_bits=16", "",
			`server's permessage-deflate has parameter server_max_window_bits with value "16" (RFC 7692, section 7.1)`},
		{small, name + "; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10, " + name + "; server_no_context_takeover; client_max_window_bits",
			name + "; server_max_window_bits=11", "",
			`server answers server_max_window_bits=11 and leaves out server_no_context_takeover, so that 2048 bytes would be kept between messages, ` +
				`and CompressionOptions allows 1024; set WindowBits to 11, or turn Compression off (RFC 7692, section 7.1.2.1)`},
		{on, name + "; client_max_window_bits", name + ";", "",
			`header Sec-WebSocket-Extensions is malformed: want a token at the end (RFC 6455, section 9.1)`},
		{nil, "", "a b", "",
			`header Sec-WebSocket-Extensions is malformed: want a comma or semicolon at "b" (RFC 6455, section 9.1)`},
	} {
		offers := make(chan []string, 1)
		answer := func(r *http.Request) string {
			offers <- r.Header["Sec-Websocket-Extensions"]
			lines := ""
			for line := range strings.SplitSeq(tt.answer, "\n") {
				lines += "Sec-WebSocket-Extensions: " + line + "\r\n"
			}
			if tt.answer == "" {
				lines = ""
			}
			return wstest.Switch(r, lines)
		}
		addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
			p.Write([]byte(answer(p.Request())))
			p.Echo()
		})
		nc, cfg, _, err := dialHandshake(t.Context(), "ws://"+addr, &DialOptions{Options: Options{Compression: tt.opts}})
		switch he := (*HandshakeError)(nil); {
		case tt.err != "":
			if !errors.As(err, &he) || he.Status != 101 || he.Reason != tt.err || !strings.Contains(err.Error(), "server's handshake is invalid: "+tt.err) {
				t.Errorf("answer %q: got %v, want %q", tt.answer, err, tt.err)
			}
		case err != nil:
			t.Errorf("answer %q: %v", tt.answer, err)
		default:
			if got := showCompression(cfg.extensions.Deflate); got != tt.negotiated {
				t.Errorf("answer %q: negotiated %q, want %q", tt.answer, got, tt.negotiated)
			}
			nc.Close()
		}
		var want []string
		if tt.offer != "" {
			want = []string{tt.offer}
		}
		if got := wstest.Receive(t, offers); !slices.Equal(got, want) {
			t.Errorf("offered %q, want %q", got, want)
		}
	}
}

// TestDialCopiesCompressionOptions: every request of a chain offers what the
// options said when Dial was called.
func TestDialCopiesCompressionOptions(t *testing.T) {
	seen := make(chan *http.Request, 2)
	addr := wstest.Listen(t, nil, func(p *wstest.Peer) {
		for req := p.Request(); req != nil; req = p.Request() {
			seen <- req
			if req.URL.Path == "/b" {
				p.Write([]byte(wstest.Switch(req, "")))
				return
			}
			p.Write([]byte("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"))
		}
	})
	opts := &DialOptions{HTTPClient: new(http.Client)}
	opts.Compression = &CompressionOptions{Level: 3, Threshold: 4, WindowBits: 12}
	opts.HTTPClient.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		req.Header.Set("Sec-WebSocket-Extensions", "mine")
		*opts.Compression = CompressionOptions{Level: 5, Threshold: 6, WindowBits: 9, ClientNoContextTakeover: true}
		return nil
	}
	nc, cfg, _, err := dialHandshake(t.Context(), "ws://"+addr, opts)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	for range 2 {
		r := wstest.Receive(t, seen)
		if got := r.Header["Sec-Websocket-Extensions"]; !slices.Equal(got, []string{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, permessage-deflate; server_no_context_takeover; client_max_window_bits"}) {
			t.Errorf("offered %q", got)
		}
	}
	if cfg.agreement != (agreement{}) || cfg.opts.Compression != nil {
		t.Errorf("got %+v and %+v without an answer", cfg.agreement, cfg.opts.Compression)
	}
}
