// Command measure tells how much memory an idle connection takes in a server of
// this library.
//
//	go run ./docs/measure -n 2000 -mode loop -tls
//
// Its clients run in a process of their own, which it starts. It needs Linux.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket"
)

// compression is what both sides use with -compress.
var compression = &websocket.CompressionOptions{}

func main() {
	log.SetFlags(0)
	n := flag.Int("n", 2000, "how many connections")
	mode := flag.String("mode", "handler", "handler, forget (a Handler with ForgetRequest) or loop")
	useTLS := flag.Bool("tls", false, "use TLS")
	compress := flag.Bool("compress", false, "compress messages, with the default settings")
	keepalive := flag.Bool("keepalive", true, "ping idle connections, as is the default")
	traffic := flag.Bool("traffic", false, "echo 40 messages of 1 KiB on each connection before")
	url := flag.String("url", "", "be the clients, of the server at `URL`")
	flag.Parse()
	if !*compress {
		compression = nil
	}
	if *url != "" {
		if err := connect(*url, *n, *traffic); err != nil {
			log.Fatal(err)
		}
		return
	}
	perConn, err := measure(*n, *mode, *useTLS, *keepalive)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, TLS %v, compression %v, keepalive %v, traffic %v: %d B for each of %d connections\n",
		*mode, *useTLS, *compress, *keepalive, *traffic, perConn, *n)
}

// echo is what the server does on an event loop; echoLoop is the same as a
// handler.
type echo struct{}

func (echo) OnOpen(*websocket.Conn)         {}
func (echo) OnClose(*websocket.Conn, error) {}

func (echo) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	c.Write(context.Background(), typ, p)
}

func echoLoop(c *websocket.Conn) {
	ctx := context.Background()
	for msg, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, msg.Type, msg.Data) != nil {
			return
		}
	}
}

// measure returns the bytes that each of n connections takes.
func measure(n int, mode string, useTLS, keepalive bool) (int, error) {
	ws := &websocket.Server{Handler: echoLoop}
	ws.Compression = compression
	if !keepalive {
		ws.PingInterval = -1
	}
	web := httptest.NewUnstartedServer(ws)
	switch mode {
	case "handler":
	case "forget":
		ws.ForgetRequest = true
	case "loop":
		loop, err := websocket.NewLoop(nil)
		if err != nil {
			return 0, err
		}
		defer loop.Close()
		ws.Handler, ws.Events, ws.Loop, ws.ForgetRequest = nil, echo{}, loop, true
		web.Listener = loop.Listener(web.Listener)
	default:
		return 0, fmt.Errorf("unknown mode %q", mode)
	}
	if useTLS {
		web.StartTLS()
	} else {
		web.Start()
	}
	defer web.Close()
	defer ws.Close()

	// The first connections load what is loaded once.
	if _, err := with(web.URL, 16, resident); err != nil {
		return 0, err
	}
	before, err := resident()
	if err != nil {
		return 0, err
	}
	after, err := with(web.URL, n, resident)
	return (after - before) / n, err
}

// with calls f while n clients are connected.
func with(url string, n int, f func() (int, error)) (int, error) {
	args := append([]string{"-url", url}, os.Args[1:]...)
	cmd := exec.Command(os.Args[0], append(args, "-n", strconv.Itoa(n))...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var result int
	if err == nil {
		result, err = f()
	} else {
		err = fmt.Errorf("the clients said %q: %w", line, err)
	}
	stdin.Close() // they end
	return result, errors.Join(err, cmd.Wait())
}

// connect connects n clients, says so, and waits for the end of standard input.
func connect(url string, n int, traffic bool) error {
	opts := &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // our own server on loopback
	}}}
	opts.PingInterval, opts.Compression = -1, compression
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var conns []*websocket.Conn
	for i := range n {
		c, _, err := websocket.Dial(ctx, url, opts)
		if err != nil {
			return err
		}
		conns = append(conns, c)
		for j := 0; traffic && j < 40; j++ {
			text := fmt.Sprintf("%d %d %s", i, j, strings.Repeat("message ", 128))
			if err := c.Write(ctx, websocket.Text, []byte(text[:1024])); err != nil {
				return err
			}
			if _, _, err := c.Read(ctx); err != nil {
				return err
			}
		}
	}
	fmt.Println("connected")
	io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.CloseNow()
	}
	return nil
}

// resident returns the bytes of this process that are in memory, garbage
// excluded.
func resident() (int, error) {
	time.Sleep(time.Second) // handshakes are over
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kb << 10, err
		}
	}
	return 0, errors.New("there is no Rss in smaps_rollup")
}
