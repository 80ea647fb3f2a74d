// Command echo is a WebSocket server that sends every message back, with the
// same type and as one message.
//
//	go run ./examples/echo -addr 127.0.0.1:9001
//
// With -compress it agrees to permessage-deflate with clients that offer it,
// and -window says how much memory that may take: about three windows for each
// connection.
//
// With -mode loop the connections are read by an event loop, without a
// goroutine for each.
//
// On an interrupt (Ctrl-C) or SIGTERM all connections are closed with 1001. A second
// one ends the program there and then.
//
// Its limits are those of a server on the open internet: handshakes have a
// deadline and a size, messages have a limit, and a peer that does not take
// its echoes is not read from any further.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket"
)

// shutdownTimeout bounds the closing handshakes of all connections.
const shutdownTimeout = 10 * time.Second

// handshakeTimeout bounds each part of an opening handshake: that of TLS, the
// request from its first byte to its last, the response. Tests shorten it.
var handshakeTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// echo serves one connection. Reading and writing take turns on one
// goroutine, so a peer that does not read its echoes fills the socket's buffers,
// then blocks the write, and with it the next read.
func echo(c *websocket.Conn) {
	ctx := context.Background()
	for msg, err := range c.Messages(ctx) {
		if err != nil || c.Write(ctx, msg.Type, msg.Data) != nil {
			return
		}
	}
}

// echoEvents is echo for an event loop, which stops reading from a peer with too many
// unread echoes.
type echoEvents struct{}

func (echoEvents) OnOpen(*websocket.Conn)         {}
func (echoEvents) OnClose(*websocket.Conn, error) {}

func (echoEvents) OnMessage(c *websocket.Conn, typ websocket.MessageType, p []byte) {
	c.Write(context.Background(), typ, p)
}

// run serves until ctx is done, then shuts down.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:9001", "listen on `HOST:PORT`; port 0 takes a free one. If the port is taken\nthe program fails")
	readLimit := flags.Int64("read-limit", 32<<20, "largest message in `bytes`; negative for no limit")
	cert := flags.String("tls-cert", "", "serve wss with the certificate in this PEM `file`")
	key := flags.String("tls-key", "", "private key of -tls-cert, a PEM `file`")
	anyOrigin := flags.Bool("any-origin", false, "let pages of every origin connect, not only the server's own")
	compress := flags.Bool("compress", false, "compress messages (permessage-deflate) with clients that offer it")
	mode := flags.String("mode", "conn", "how to wait for connections: conn, a goroutine for each, or loop, an event loop for all")
	window := flags.Int("window", 15, "with -compress, `N`, for a largest window of 2^N bytes: 8 to 15")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if (*cert == "") != (*key == "") {
		return errors.New("-tls-cert and -tls-key go together")
	}
	if *window < 8 || *window > 15 {
		return fmt.Errorf("-window is %d, want 8 to 15", *window)
	}

	ws := new(websocket.Server)
	switch *mode {
	case "conn":
		ws.Handler = echo
	case "loop":
		loop, err := websocket.NewLoop(nil)
		if err != nil {
			return err
		}
		defer loop.Close()
		ws.Events, ws.Loop = echoEvents{}, loop
	default:
		return fmt.Errorf("-mode is %q, want conn or loop", *mode)
	}
	ws.ReadLimit = *readLimit
	if *compress {
		ws.Compression = &websocket.CompressionOptions{WindowBits: *window}
	}
	if *anyOrigin {
		ws.OriginPatterns = []string{"*"}
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", ws)
	// These deadlines end with the handshake: a WebSocket connection has
	// its own, see websocket.Options.
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: handshakeTimeout,
		ReadTimeout:       handshakeTimeout,
		WriteTimeout:      handshakeTimeout,
		IdleTimeout:       handshakeTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(stderr, "echo: ", 0),
	}

	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			return err
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}

	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	if ws.Loop != nil {
		ln = ws.Loop.Listener(ln) // needed for TLS
	}
	failed := make(chan error, 1)
	if server.TLSConfig != nil {
		fmt.Fprintf(stdout, "listening on wss://%v/\n", ln.Addr())
		go func() { failed <- server.ServeTLS(ln, "", "") }()
	} else {
		fmt.Fprintf(stdout, "listening on ws://%v/\n", ln.Addr())
		go func() { failed <- server.Serve(ln) }()
	}

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	fmt.Fprintln(stderr, "echo: shutting down")
	return shutdown(server, ws)
}

// shutdown ends both servers at the same time, because a slow handshake must not
// delay the close frames of the connections.
func shutdown(server *http.Server, ws *websocket.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	refused := make(chan error, 1)
	go func() { refused <- server.Shutdown(ctx) }() // no new ones
	err := ws.Shutdown(ctx)                         // 1001 to all connections
	if err2 := <-refused; err2 != nil {
		server.Close()
		err = errors.Join(err, err2)
	}
	return err
}
