// Command wscat talks to a WebSocket server from the command line.
//
//	go run ./examples/wscat [flags] ws://HOST:PORT/PATH
//
// Each line of standard input goes out as a text message, without its line
// ending. Each text message that comes in is a line of standard output, each
// binary one a hex dump there. With -binary nothing is converted: every block
// read from standard input, of 32 KiB at most, goes out as a binary message,
// and the payloads of all messages go to standard output as they are. What
// happens to the connection is told on standard error.
//
// When standard input ends, wscat goes on receiving for the time given by
// -wait, so that replies to the last lines arrive, and then closes the
// connection with status 1000. An interrupt (Ctrl-C) or SIGTERM closes it at
// once, in the same orderly way; a second one ends the program there and
// then.
//
// The exit code is 0 if the connection was closed with status 1000, by either
// side and with the other one's answer, and standard input and output did not
// fail; it is 2 for a wrong command line and 1 in all other cases.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/fullduplex-go/websocket"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// config is the command line.
type config struct {
	url          string
	header       http.Header
	subprotocols []string
	insecure     bool
	binary       bool
	compress     bool
	ping         time.Duration
	wait         time.Duration
	readLimit    int64
}

func parse(args []string, stderr io.Writer) (*config, error) {
	cfg := &config{header: http.Header{}}
	flags := flag.NewFlagSet("wscat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: wscat [flags] ws://HOST:PORT/PATH")
		flags.PrintDefaults()
	}
	flags.Func("H", "send this `'Name: value'` header with the handshake; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("no colon")
		}
		cfg.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	flags.Func("subprotocol", "offer the subprotocol of this `name`; may be repeated, the preferred one first", func(s string) error {
		cfg.subprotocols = append(cfg.subprotocols, s)
		return nil
	})
	flags.Func("origin", "send this `origin`, as a browser does for a page of, say, https://example.com", func(s string) error {
		cfg.header.Set("Origin", s)
		return nil
	})
	flags.BoolVar(&cfg.insecure, "insecure", false, "accept any certificate of a wss server")
	flags.BoolVar(&cfg.binary, "binary", false, "send binary messages, and receive without any conversion")
	flags.BoolVar(&cfg.compress, "compress", false, "offer compression (permessage-deflate), and tell what was settled")
	flags.DurationVar(&cfg.ping, "ping", 0, "send a ping at this `interval` and tell the round-trip times")
	flags.DurationVar(&cfg.wait, "wait", time.Second, "`time` to go on receiving after the end of standard input;\nnegative: until the server closes")
	flags.Int64Var(&cfg.readLimit, "max", 64<<20, "largest message to accept in `bytes`; negative for no limit")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return nil, fmt.Errorf("want one URL, got %d arguments", flags.NArg())
	}
	cfg.url = flags.Arg(0)
	return cfg, nil
}

// dial connects as cfg says.
func (cfg *config) dial(ctx context.Context) (*websocket.Conn, *http.Response, error) {
	opts := &websocket.DialOptions{Header: cfg.header, Subprotocols: cfg.subprotocols}
	opts.ReadLimit = cfg.readLimit
	if cfg.compress {
		opts.Compression = &websocket.CompressionOptions{}
	}
	if cfg.insecure {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		opts.HTTPClient = &http.Client{Transport: transport}
	}
	return websocket.Dial(ctx, cfg.url, opts)
}

// run is the program: it returns the exit code. It ends with the connection,
// even if a read of stdin is still waiting then.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	s := newSession(cfg, stdout, stderr)
	c, resp, err := cfg.dial(ctx)
	if err != nil {
		s.refused(resp, err)
		return 1
	}
	if !s.talk(ctx, c, resp, stdin) {
		return 1
	}
	return 0
}
