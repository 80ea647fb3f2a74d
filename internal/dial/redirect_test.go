package dial_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/fields"
	"github.com/fullduplex-go/websocket/internal/wstest"
)

// dialTestChain is a set of servers on names that a test makes up. They
// answer /from?to=… with a redirect, anything else with a handshake, and
// remember what they were asked.
type dialTestChain struct {
	dialer wstest.Dialer
	mu     sync.Mutex
	seen   []*http.Request
}

// newDialTestChain has a server without TLS at every http host, and one with
// TLS at every https host.
func newDialTestChain(t *testing.T, hosts ...string) *dialTestChain {
	c := new(dialTestChain)
	serverTLS, _ := wstest.TLS()
	plain := wstest.Listen(t, nil, c.serve)
	secure := wstest.Listen(t, serverTLS, c.serve)
	c.dialer.Hosts = make(map[string]string)
	for _, host := range hosts {
		u, err := url.Parse(host)
		if err != nil {
			t.Fatal(err)
		}
		addr, port := plain, "80"
		if u.Scheme == "https" {
			addr, port = secure, "443"
		}
		c.dialer.Hosts[net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))] = addr
	}
	return c
}

func (c *dialTestChain) serve(p *wstest.Peer) {
	for req := p.Request(); req != nil; req = p.Request() {
		c.mu.Lock()
		c.seen = append(c.seen, req)
		c.mu.Unlock()
		q := req.URL.Query()
		if !q.Has("to") {
			io.WriteString(p, wstest.Switch(req, ""))
			p.Echo()
			return
		}
		status, lines := "302", ""
		if q.Has("status") {
			status = q.Get("status")
		}
		if q.Has("set") {
			lines = "Set-Cookie: " + q.Get("set") + "\r\n"
		}
		fmt.Fprintf(p, "HTTP/1.1 %s Moved\r\nLocation: %s\r\n%sContent-Length: 9\r\n\r\nover there", status, q.Get("to"), lines)
	}
}

// requests returns what was asked since the last call.
func (c *dialTestChain) requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

// options trust the servers whatever they are called.
func (c *dialTestChain) options() *websocket.DialOptions {
	tr := wstest.Transport(&c.dialer)
	tr.TLSClientConfig.ServerName = "example.com"
	return dialTestOptions(tr)
}

// via makes a URL of the first hop that leads through the others.
func dialTestVia(hops ...string) string {
	to := hops[len(hops)-1]
	for _, hop := range slices.Backward(hops[:len(hops)-1]) {
		sep := "?"
		if strings.Contains(hop, "?") {
			sep = "&"
		}
		to = hop + sep + "to=" + url.QueryEscape(to)
	}
	return to
}

func TestDialFollowsRedirects(t *testing.T) {
	c := newDialTestChain(t, "http://a.test", "http://b.test", "http://b.test:81", "https://a.test", "https://b.test")
	for _, tt := range []struct {
		hops []string
		want string // the last URL
	}{
		{[]string{"ws://a.test/1", "/2"}, "http://a.test/2"},
		{[]string{"ws://a.test/1", "2?x"}, "http://a.test/2?x"},
		{[]string{"ws://a.test/1", "//b.test/2"}, "http://b.test/2"},
		{[]string{"ws://a.test/1", "ws://b.test:81/2"}, "http://b.test:81/2"},
		{[]string{"ws://a.test/1", "wss://b.test/2"}, "https://b.test/2"},
		{[]string{"ws://a.test/1", "http://b.test/2", "https://b.test/3"}, "https://b.test/3"},
		{[]string{"wss://a.test/1", "wss://b.test/2", "https://a.test/3"}, "https://a.test/3"},
		{[]string{"ws://a.test/1?status=301", "/2?status=303", "/3?status=307", "/4?status=308", "/5"}, "http://a.test/5"},
		{[]string{"ws://a.test/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10"}, "http://a.test/10"},
	} {
		nc, early, resp := dialTestConn(t, dialTestVia(tt.hops...), c.options())
		dialTestEcho(t, nc, early, "")
		if got := resp.Request.URL.String(); got != tt.want || resp.Request.Response != nil || resp.StatusCode != 101 {
			t.Errorf("%q: ended at %s, want %s", tt.hops, got, tt.want)
		}
		var keys []string
		requests := c.requests()
		for _, r := range requests {
			key := r.Header.Get("Sec-WebSocket-Key")
			if slices.Contains(keys, key) || !fields.HasToken(r.Header, "Connection", "upgrade") || r.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("%q: headers %v", tt.hops, r.Header)
			}
			if r.Method != "GET" || r.Header.Get("Referer") != "" {
				t.Errorf("%q: %s with referer %q", tt.hops, r.Method, r.Header.Get("Referer"))
			}
			keys = append(keys, key)
		}
		if len(requests) != len(tt.hops) {
			t.Errorf("%q: %d requests, want %d", tt.hops, len(requests), len(tt.hops))
		}
	}
	wstest.Eventually(t, func() bool { return c.dialer.Open() == 9 }, func() string {
		return fmt.Sprintf("%d connections are open, want those of 9 dials", c.dialer.Open())
	})
}

func TestDialRefusesRedirects(t *testing.T) {
	c := newDialTestChain(t, "http://a.test", "https://a.test")
	unwanted := errors.New("unwanted")
	for _, tt := range []struct {
		hops  []string
		check func(*http.Request, []*http.Request) error
		want  string
		wraps error
	}{
		{[]string{"wss://a.test/1", "ws://a.test/2"}, nil, "redirect to ws://a.test/2: not followed, it leads from wss to ws", nil},
		{[]string{"wss://a.test/1", "http://a.test/2?token=x"}, nil, "redirect to http://a.test/2: not followed", nil},
		{[]string{"ws://a.test/1", "wss://a.test/2", "ws://a.test/3"}, nil, "redirect to ws://a.test/3: not followed", nil},
		{[]string{"ws://a.test/1", "ws+unix:///run/x.sock:/"}, nil, "redirect to ws+unix:///run/x.sock:/: not a WebSocket URL", nil},
		{[]string{"ws://a.test/1", "file:///etc/passwd"}, nil, "not a WebSocket URL", nil},
		{[]string{"ws://a.test/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/11"}, nil, "stopped after 10 redirects", nil},
		{[]string{"ws://a.test/1", "/2"}, func(*http.Request, []*http.Request) error { return unwanted }, "unwanted", unwanted},
		{[]string{"wss://a.test/1", "/2"}, func(r *http.Request, _ []*http.Request) error {
			r.URL.Scheme = "ws"
			return nil
		}, "it leads from wss to ws", nil},
	} {
		opts := c.options()
		opts.HTTPClient.CheckRedirect = tt.check
		conn, resp, err := websocket.Dial(t.Context(), dialTestVia(tt.hops...), opts)
		if conn != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "token") {
			t.Fatalf("%q: got %v, want %q", tt.hops, err, tt.want)
		}
		if tt.wraps != nil && !errors.Is(err, tt.wraps) {
			t.Errorf("%q: %v does not wrap the error of CheckRedirect", tt.hops, err)
		}
		if b, err := io.ReadAll(resp.Body); resp.StatusCode != 302 || string(b) != "over ther" || err != nil {
			t.Errorf("%q: got status %d, body %q, %v", tt.hops, resp.StatusCode, b, err)
		}
		if n := c.dialer.Open(); n != 0 {
			t.Errorf("%q: %d connections are open", tt.hops, n)
		}
	}

	opts := c.options()
	opts.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, _, err := websocket.Dial(t.Context(), dialTestVia("ws://a.test/1", "/2"), opts)
	dialTestRefused(t, err, 302, "302 Moved: over ther")
}

func TestDialCheckRedirect(t *testing.T) {
	c := newDialTestChain(t, "http://a.test", "http://b.test")
	var calls []string
	opts := c.options()
	opts.Header = http.Header{"Authorization": {"secret"}, "Referer": {"mine"}}
	opts.HTTPClient.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		calls = append(calls, fmt.Sprint(r.URL, " ", len(via), " ", r.Header.Get("Authorization")))
		r.Header.Set("Authorization", "for b")
		r.Header.Del("Upgrade")
		return nil
	}
	dialTestConn(t, dialTestVia("ws://a.test/1", "ws://b.test/2"), opts)
	if want := []string{"http://b.test/2 1 "}; !slices.Equal(calls, want) {
		t.Errorf("CheckRedirect was called with %q, want %q", calls, want)
	}
	r := c.requests()[1]
	if r.Header.Get("Authorization") != "for b" || r.Header.Get("Referer") != "mine" {
		t.Errorf("headers %v", r.Header)
	}
}

// TestDialWithholdsCredentials checks, hop by hop, who gets to see them.
func TestDialWithholdsCredentials(t *testing.T) {
	c := newDialTestChain(t, "http://a.test", "http://a.test:81", "http://sub.a.test", "http://b.test", "https://a.test", "https://b.test")
	secrets := http.Header{
		"Authorization": {"Bearer x"}, "cookie": {"by=hand"}, "Proxy-Authorization": {"Basic x"}, "Www-Authenticate": {"x"},
	}
	for _, tt := range []struct {
		hops []string
		want string // + for each hop that sees them, - for each that does not
	}{
		{[]string{"ws://a.test/1", "/2", "ws://a.test/3", "http://a.test:80/4"}, "++++"},
		{[]string{"wss://a.test/1", "https://a.test:443/2"}, "++"},
		{[]string{"ws://a.test/1", "ws://b.test/2"}, "+-"},
		{[]string{"ws://a.test/1", "ws://sub.a.test/2"}, "+-"},
		{[]string{"ws://a.test/1", "ws://a.test:81/2"}, "+-"},
		{[]string{"ws://a.test/1", "wss://a.test/2"}, "+-"},
		{[]string{"ws://a.test/1", "ws://b.test/2", "ws://a.test/3"}, "+--"},
		{[]string{"ws://a.test/1", "ws://a.test:81/2", "ws://a.test/3"}, "+--"},
		{[]string{"ws://a.test/1", "ws://sub.a.test/2", "ws://a.test/3"}, "+--"},
		{[]string{"ws://a.test/1", "ws://b.test/2", "/3", "ws://a.test/4", "/5"}, "+----"},
		{[]string{"wss://a.test/1", "/2", "wss://b.test/3", "wss://a.test/4"}, "++--"},
	} {
		for _, jar := range []bool{false, true} {
			opts := c.options()
			opts.Header = secrets.Clone()
			opts.Header.Set("X-Other", "y")
			if jar {
				opts.HTTPClient.Jar, _ = cookiejar.New(nil)
			}
			dialTestConn(t, dialTestVia(tt.hops...), opts)
			got := ""
			for _, r := range c.requests() {
				n := 0
				for name := range secrets {
					if r.Header.Get(name) != "" {
						n++
					}
				}
				got += map[int]string{0: "-", len(secrets): "+"}[n]
				if r.Header.Get("X-Other") != "y" {
					t.Errorf("%q: another header is gone: %v", tt.hops, r.Header)
				}
			}
			if got != tt.want {
				t.Errorf("%q: credentials seen %q, want %q", tt.hops, got, tt.want)
			}
		}
	}

	// Those in the URL are no different.
	dialTestConn(t, dialTestVia("ws://user:pass@a.test/1", "/2", "ws://b.test/3"), c.options())
	for i, r := range c.requests() {
		if _, _, ok := r.BasicAuth(); ok != (i < 2) {
			t.Errorf("request %d has authorization %q", i+1, r.Header.Get("Authorization"))
		}
	}
}

func TestDialCookieJar(t *testing.T) {
	c := newDialTestChain(t, "http://a.test", "http://b.test")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := url.Parse("http://a.test/")
	jar.SetCookies(a, []*http.Cookie{{Name: "jar", Value: "a"}})
	opts := c.options()
	opts.HTTPClient.Jar = jar
	opts.Header = http.Header{"Cookie": {"hand=1"}}
	_, _, resp := dialTestConn(t, dialTestVia("ws://a.test/1?set=new%3Da", "ws://b.test/2?set=new%3Db", "/3", "ws://a.test/4"), opts)
	want := []string{"hand=1; jar=a", "", "new=b", "jar=a; new=a"}
	for i, r := range c.requests() {
		if got := r.Header.Get("Cookie"); got != want[i] {
			t.Errorf("request %d has cookies %q, want %q", i+1, got, want[i])
		}
	}
	if got := resp.Request.Header.Get("Cookie"); got != want[3] {
		t.Errorf("Conn.Request has cookies %q", got)
	}
}
