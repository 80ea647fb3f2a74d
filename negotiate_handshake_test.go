package websocket

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fullduplex-go/websocket/internal/wstest"
)

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
