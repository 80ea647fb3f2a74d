package chat

import (
	"context"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// TestMain fails the run if the tests leave goroutines behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if code == 0 {
		if left := ourGoroutines(); left != "" {
			fmt.Fprintln(os.Stderr, "goroutines are left:\n"+left)
			code = 1
		}
	}
	os.Exit(code)
}

// ourGoroutines returns the stacks of this project's goroutines, apart from the
// caller's. Those that are about to end get the time to do so.
func ourGoroutines() (left string) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		left = ""
		buf := make([]byte, 1<<20)
		for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && strings.Contains(stack, "fullduplex-go/websocket") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			break
		}
	}
	return left
}

// start starts the chat on a loopback port.
func start(t *testing.T, l limits) (url string, s *Server) {
	s = mustServer(t, Options{}, l)
	ts := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error("shutdown:", err)
		}
		ts.Close()
	})
	return ts.URL, s
}

// TestCompression: pages get it, and their key is in no window.
func TestCompression(t *testing.T) {
	url, _ := start(t, defaultLimits)
	opts := &websocket.DialOptions{Header: http.Header{"Origin": {url}}}
	opts.Compression = &websocket.CompressionOptions{}
	conn, resp, err := websocket.Dial(t.Context(), url+"/ws", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	const want = "permessage-deflate; client_no_context_takeover; client_max_window_bits=11"
	if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != want {
		t.Errorf("negotiated %q, want %q", got, want)
	}
}

// dial connects to the chat as a page of its own would.
func dial(t *testing.T, url string) *page {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{
		Header: http.Header{"Origin": {url}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &page{t, conn}
}

func TestOverTheNetwork(t *testing.T) {
	url, _ := start(t, defaultLimits)
	ada, bo := dial(t, url), dial(t, url)
	ada.join("tea", "Ada")
	bo.join("tea", "Bo")
	ada.expect("joined")
	for i, text := range []string{"hello", "日本語 🎉", strings.Repeat("é", defaultLimits.text)} {
		ada.send(incoming{Type: "say", ID: fmt.Sprint(i), Text: text})
		ada.expect("ack")
		if e := bo.expect("message"); e.Text != text {
			t.Errorf("%.20q became %.20q", text, e.Text)
		}
	}
	if h := dial(t, url).join("tea", "Cy").History; len(h) != 3 {
		t.Errorf("history has %d messages", len(h))
	}
	bo.conn.CloseNow() // as when the network fails
	if e := ada.expect("left"); e.Name != "Bo" {
		t.Errorf("left is %+v", e)
	}
}

// Pages of other sites are kept out.
func TestForeignOrigin(t *testing.T) {
	url, _ := start(t, defaultLimits)
	conn, resp, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{
		Header: http.Header{"Origin": {"https://elsewhere.example"}},
	})
	if err == nil {
		conn.CloseNow()
		t.Fatal("let in")
	}
	if resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("refused with %v, %v", resp, err)
	}
}

func TestAbsurdSize(t *testing.T) {
	url, _ := start(t, defaultLimits)
	ada := dial(t, url)
	ada.join(lobby, "Ada")
	// The server may close while this is still being written.
	ada.conn.Write(t.Context(), websocket.Text, make([]byte, 1<<20))
	_, _, err := ada.conn.Read(t.Context())
	for err == nil {
		_, _, err = ada.conn.Read(t.Context())
	}
	if code := websocket.CloseCode(err); code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", err)
	}
}

func TestShutdown(t *testing.T) {
	url, s := start(t, defaultLimits)
	pages := []*page{dial(t, url), dial(t, url)}
	for i, p := range pages {
		p.join(lobby, fmt.Sprint("guest ", i))
	}
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	for _, p := range pages {
		_, _, err := p.conn.Read(t.Context())
		for err == nil { // somebody may see the other one leave
			_, _, err = p.conn.Read(t.Context())
		}
		if code := websocket.CloseCode(err); code != websocket.StatusGoingAway {
			t.Errorf("closed with %v", err)
		}
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// The same as TestSlowReader, with real sockets and their buffers.
func TestSlowReaderOverTCP(t *testing.T) {
	l := defaultLimits
	l.buffer = 50_000
	l.rate, l.burst = 1e6, 1e6
	s := mustServer(t, Options{}, l)
	ts := httptest.NewUnstartedServer(s)
	ts.Listener = tight{ts.Listener}
	ts.Start()
	defer ts.Close()
	defer s.ws.Close()

	slow, ada, bo := dial(t, ts.URL), dial(t, ts.URL), dial(t, ts.URL)
	slow.join(lobby, "Slow")
	ada.join(lobby, "Ada")
	bo.join(lobby, "Bo")
	ada.expect("joined")

	// The author goes on until the others have seen the slow one leave. How
	// many messages that takes depends on the system's buffers.
	text := strings.Repeat("slow ", 400)
	for sent, left := 0, false; !left; sent++ {
		ada.send(incoming{Type: "say", ID: fmt.Sprint(sent), Text: text})
		ada.expect("ack")
		e := bo.next()
		for ; e.Type != "message"; e = bo.next() {
			left = left || e.Type == "left" && e.Name == "Slow"
		}
		if e.ID != fmt.Sprint(sent) {
			t.Fatalf("message %d is %s", sent, e.ID)
		}
	}
	for _, e := range slow.expectClose(websocket.StatusTryAgainLater, "too slow") {
		if e.Type == "message" && len(e.Text) < 1999 {
			t.Fatalf("a message was cut: %+v", e)
		}
	}
}

// tight is a listener whose connections have small send buffers.
type tight struct{ net.Listener }

func (l tight) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return conn, err
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// The page is confined to its own files, and those are all there.
func TestPage(t *testing.T) {
	url, _ := start(t, defaultLimits)
	resp, page := get(t, url+"/")
	if got := resp.Header.Get("Content-Security-Policy"); got != contentPolicy {
		t.Errorf("the policy is %q", got)
	}
	for _, bad := range []string{"<style", " style=", " onclick=", "http:", "https:", "//"} {
		if strings.Contains(strings.TrimPrefix(page, "<!doctype html>"), bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}

	refs := regexp.MustCompile(`(?:src|href)="([^#"]+)"|from '\./([^']+)'`)
	known := map[string]bool{}
	var visit func(text string)
	visit = func(text string) {
		for _, m := range refs.FindAllStringSubmatch(text, -1) {
			name := m[1] + m[2]
			if known[name] {
				continue
			}
			known[name] = true
			resp, text := get(t, url+"/"+name)
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", name, resp.Status)
			}
			if strings.HasSuffix(name, ".js") && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
				t.Errorf("%s is %s", name, resp.Header.Get("Content-Type"))
			}
			for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval("} {
				if strings.Contains(text, bad) {
					t.Errorf("%s uses %s", name, bad)
				}
			}
			visit(text)
		}
	}
	visit(page)
	entries, err := fs.ReadDir(files, "web")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !known[entry.Name()] && entry.Name() != "index.html" {
			t.Errorf("nothing refers to %s", entry.Name())
		}
	}

	if resp, _ := get(t, url+"/nothing"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is not there: %s", resp.Status)
	}
	if resp, _ := get(t, url+"/ws"); resp.StatusCode < 400 {
		t.Errorf("no handshake: %s", resp.Status)
	}
}

func TestListen(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if again, err := Listen(ln.Addr().String()); err == nil {
		again.Close()
		t.Error("listening twice on one port went well")
	}
	// Whether the usual port is free here or not, there is one to listen on.
	usual, err := Listen("")
	if err != nil {
		t.Fatal(err)
	}
	defer usual.Close()
	other, err := Listen("")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Addr().String() == usual.Addr().String() {
		t.Errorf("both listen on %v", usual.Addr())
	}
}

func TestURLs(t *testing.T) {
	for _, test := range []struct {
		addr net.TCPAddr
		want string
	}{
		{net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}, "http://127.0.0.1:8080/"},
		{net.TCPAddr{IP: net.IPv6loopback, Port: 80}, "http://[::1]:80/"},
		{net.TCPAddr{IP: net.IPv6zero, Port: 8080}, "http://localhost:8080/"},
		{net.TCPAddr{IP: net.IPv4zero, Port: 8080}, "http://localhost:8080/"},
	} {
		if got := urls(&test.addr); !slices.Contains(got, test.want) {
			t.Errorf("%v is at %q, want %q among them", &test.addr, got, test.want)
		}
	}
}

// Run serves until it is told to stop.
func TestRun(t *testing.T) {
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, ln, Options{}) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
	if err := Run(t.Context(), ln, Options{}); err == nil {
		t.Error("serves on a listener that is closed")
	}
}

// The programs' help says what happens when the port is taken.
func TestFlags(t *testing.T) {
	fs := flag.NewFlagSet("chat", flag.ContinueOnError)
	var help strings.Builder
	fs.SetOutput(&help)
	var o Options
	addr := Flags(fs, &o)
	if err := fs.Parse([]string{"-addr", ":1", "-max-conns", "2", "-max-per-address", "1"}); err != nil {
		t.Fatal(err)
	}
	if *addr != ":1" || o.MaxConns != 2 || o.MaxPerAddress != 1 {
		t.Errorf("%s, %+v", *addr, o)
	}
	fs.PrintDefaults()
	if !strings.Contains(help.String(), "If the port is taken") {
		t.Errorf("the help says\n%s", &help)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if s.door.all != 2 || s.door.each != 1 {
		t.Errorf("the server lets in %d, and %d from one address", s.door.all, s.door.each)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
