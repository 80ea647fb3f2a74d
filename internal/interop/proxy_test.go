//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// proxies are reverse proxies. start starts one for the server at backend, a ws
// or http URL, and returns the URL to connect to. It cuts connections on which
// nothing comes for timeout.
var proxies = []struct {
	name  string
	start func(t *testing.T, backend string, timeout time.Duration) (url string)
}{
	{"nginx", func(t *testing.T, backend string, timeout time.Duration) string {
		return startNginx(t, backend, timeout).url
	}},
	{"HAProxy", startHAProxy},
	{"Caddy", startCaddy},
}

// hostOf returns the HOST:PORT of a URL.
func hostOf(url string) string {
	_, host, _ := strings.Cut(strings.TrimSuffix(url, "/"), "://")
	return host
}

// haproxyConfig is for fmt.Sprintf: the timeout and the server behind. HAProxy
// gets its listening socket as a file, so the port is free for certain, and
// connections made before it is ready wait for it.
const haproxyConfig = `
global
	nbthread 1
defaults
	mode http
	timeout connect 30s
	timeout client %[1]dms
	timeout server %[1]dms
	timeout tunnel %[1]dms
frontend in
	bind fd@3
	default_backend out
backend out
	server one %[2]s
`

func startHAProxy(t *testing.T, backend string, timeout time.Duration) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := fmt.Sprintf(haproxyConfig, timeout.Milliseconds(), hostOf(backend))
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = []*os.File{f} // number 3
	}, lookPath(t, "haproxy"), "-db", "-q", "-f", path)
	return "ws://" + ln.Addr().String() + "/"
}

func startCaddy(t *testing.T, backend string, timeout time.Duration) (url string) {
	t.Helper()
	type obj = map[string]any
	// Caddy takes no socket, and tells nobody which port it was given. Among so
	// many addresses of this machine the port is free on any.
	addr := fmt.Sprintf("127.%d.%d.%d:20080", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	config, err := json.Marshal(obj{
		"admin":   obj{"disabled": true, "config": obj{"persist": false}},
		"logging": obj{"logs": obj{"default": obj{"level": "WARN"}}},
		"apps": obj{"http": obj{"servers": obj{"one": obj{
			"listen":          []string{addr},
			"automatic_https": obj{"disable": true},
			"routes": []obj{{"handle": []obj{{
				"handler":   "reverse_proxy",
				"upstreams": []obj{{"dial": hostOf(backend)}},
				"transport": obj{"protocol": "http", "read_timeout": timeout.String()},
			}}}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "caddy.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	}, lookPath(t, "caddy"), "run", "--config", path)
	for ctx := testContext(t); ; {
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			nc.Close()
			return "ws://" + addr + "/"
		}
		if ctx.Err() != nil {
			t.Fatalf("Caddy does not listen: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A client that sends too much gets the close code, although the server stops reading and
// a proxy is in between: 20 clients of 20 see 1009, ours and another one.
func TestProxyTooLarge(t *testing.T) {
	t.Parallel()
	const size = 5_000_000
	for _, proxy := range proxies {
		t.Run(proxy.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			selfSigned(t, dir)
			node := startEndings(t, peers[0], dir)
			for _, e := range endingEngines {
				t.Run(e.name, func(t *testing.T) {
					ctx := testContext(t)
					s := newEndingServer(t, e.name)
					url := proxy.start(t, "ws://"+e.serve(s, nil), time.Minute)
					want := ending{Code: websocket.StatusMessageTooBig, Clean: true}

					ends := make(chan ending)
					for range endingCount(t) {
						go func() { ends <- upload(t, ctx, url, size) }()
					}
					var got []ending
					for range endingCount(t) {
						got = append(got, <-ends)
					}
					checkEnds(t, "our client", got, want, true)
					checkEnds(t, "server", s.seen(t, ctx, false), want, true)

					got, err := node.ask(ctx, endingQuestion{URL: url, Action: endingAction{Large: size}, Count: endingCount(t)})
					if err != nil {
						t.Fatal(err)
					}
					checkEnds(t, "node", got, want, true)
					checkEnds(t, "server", s.seen(t, ctx, false), want, true)
				})
			}
		})
	}
}

// upload sends a message of ours that is refused, and returns how the connection
// has ended.
func upload(t *testing.T, ctx context.Context, url string, size int) ending {
	c, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Error(err)
		return ending{}
	}
	defer c.CloseNow()
	c.Write(ctx, websocket.Binary, make([]byte, size)) // may be cut off: Read tells why
	_, _, err = c.Read(ctx)
	return endOf(t, err, true)
}

// endOf returns what the error of a connection that has ended tells.
func endOf(t *testing.T, err error, remote bool) ending {
	t.Helper()
	var end *websocket.CloseError
	if !errors.As(err, &end) {
		t.Errorf("the connection has ended with %v", err)
		return ending{}
	}
	return ending{end.Code, end.Reason, end.Remote == remote}
}

// A proxy cuts connections on which nothing comes for six seconds. With pings
// every two seconds an idle one lives on, and its close codes pass both ways.
func TestProxyIdle(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup // at the same time: they do nothing but wait
	for _, proxy := range proxies {
		for _, who := range []string{"server", "client"} {
			running.Go(func() {
				t.Run(proxy.name+", pings by "+who, func(t *testing.T) { testProxyIdle(t, proxy.start, who) })
			})
		}
	}
	running.Wait()
}

func testProxyIdle(t *testing.T, start func(*testing.T, string, time.Duration) string, whoPings string) {
	const timeout, interval = 6 * time.Second, 2 * time.Second
	ctx := testContext(t)
	kept, silent := newEndingServer(t, "kept"), newEndingServer(t, "silent")
	var opts websocket.DialOptions
	opts.PingInterval, kept.opts.PingInterval, silent.opts.PingInterval = -1, -1, -1
	silence := opts
	if whoPings == "server" {
		kept.opts.PingInterval = interval
	} else {
		opts.PingInterval = interval
	}
	mux := http.NewServeMux()
	mux.Handle("/", kept)
	mux.Handle("/silent", silent)
	backend := httptest.NewServer(mux)
	t.Cleanup(backend.Close)
	url := start(t, backend.URL, timeout)
	dial := func(url string, opts websocket.DialOptions) *websocket.Conn {
		c, _, err := websocket.Dial(ctx, url, &opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.CloseNow() })
		return c
	}

	closing, closed := dial(url, opts), dial(url, opts)
	echoes := make(chan string, 2)
	for _, c := range []*websocket.Conn{closing, closed} {
		go func() { // somebody reads, as in any real program
			_, p, err := c.Read(ctx)
			echoes <- fmt.Sprintf("%q, %v", p, err)
		}()
	}
	// Two connections without pings, one after the other, are cut meanwhile. They
	// measure how long it lasts.
	for range 2 {
		_, _, err := dial(url+"silent", silence).Read(ctx)
		if code := websocket.CloseCode(err); code != websocket.StatusAbnormalClosure {
			t.Fatalf("a connection without pings ended with %v, want 1006", err)
		}
	}
	for _, c := range []*websocket.Conn{closing, closed} {
		if err := c.Write(ctx, websocket.Text, []byte("still here")); err != nil {
			t.Error(err)
		}
		if got := <-echoes; got != `"still here", <nil>` {
			t.Errorf("the echo is %s", got)
		}
	}

	if err := closing.Close(4321, "Tschüß"); err != nil {
		t.Errorf("Close: %v", err)
	}
	want := ending{4321, "Tschüß", true}
	if end := kept.end(t, ctx, true); end != want {
		t.Errorf("closed by the client with 4321, the server saw %+v", end)
	}

	if err := closed.Write(ctx, websocket.Text, []byte("close 4002 bis später")); err != nil {
		t.Error(err)
	}
	want = ending{4002, "bis später", true}
	_, _, err := closed.Read(ctx)
	if end := endOf(t, err, true); end != want {
		t.Errorf("closed by the server with 4002, the client saw %+v", end)
	}
	if end := kept.end(t, ctx, false); end != want {
		t.Errorf("closed by the server with 4002, it saw %+v", end)
	}
}
