package chat

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/internal/wstest"
	"github.com/fullduplex-go/websocket/internal/wstest/exampletest"
)

func TestMain(m *testing.M) { os.Exit(wstest.MainOfFew(m)) }

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

// The page is confined to its own files, and those are all there.
func TestPage(t *testing.T) {
	url, _ := start(t, defaultLimits)
	exampletest.CheckPage(t, url, contentPolicy, files)
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
	if s.conns.total != 2 || s.conns.perAddress != 1 {
		t.Errorf("the server lets in %d, and %d from one address", s.conns.total, s.conns.perAddress)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
