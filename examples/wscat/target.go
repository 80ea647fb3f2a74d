package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/fullduplex-go/websocket"
)

// target is a server, and how to connect to it.
type target struct {
	url          string
	header       http.Header
	subprotocols []string
	compress     bool
	readLimit    int64
	verbose      bool

	insecure   bool
	ca         string // files in PEM form
	cert, key  string
	servername string

	client *http.Client // nil if no flag is about TLS
}

// register defines the flags that say how to connect.
func (t *target) register(flags *flag.FlagSet) {
	t.header = http.Header{}
	flags.Func("H", "send this `'Name: value'` header with the handshake; may be repeated", func(s string) error {
		name, value, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("no colon")
		}
		t.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	flags.Func("subprotocol", "offer the subprotocol of this `name`; may be repeated, the preferred one first", func(s string) error {
		t.subprotocols = append(t.subprotocols, s)
		return nil
	})
	flags.Func("origin", "send this `origin`, as a browser does for a page of, say, https://example.com", func(s string) error {
		t.header.Set("Origin", s)
		return nil
	})
	flags.BoolVar(&t.insecure, "insecure", false, "accept any certificate of a wss server")
	flags.StringVar(&t.ca, "ca", "", "trust the authorities in this PEM `file` instead of the system's")
	flags.StringVar(&t.cert, "cert", "", "identify with the certificate in this PEM `file`")
	flags.StringVar(&t.key, "key", "", "private key of -cert, a PEM `file`")
	flags.StringVar(&t.servername, "servername", "", "`name` to ask for in the TLS handshake, and to expect in the certificate")
	flags.BoolVar(&t.compress, "compress", false, "offer compression (permessage-deflate), and print what was negotiated")
	flags.Int64Var(&t.readLimit, "max", 64<<20, "largest message to accept in `bytes`; negative for no limit")
	flags.BoolVar(&t.verbose, "v", false, "print the steps of the handshake, the time that each takes, and all headers")
}

// parse parses the command line: flags and one URL.
func (t *target) parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return usageError(flags, fmt.Errorf("want one URL, got %d arguments", flags.NArg()))
	}
	t.url = flags.Arg(0)
	if err := t.prepareTLS(); err != nil {
		return usageError(flags, err)
	}
	return nil
}

// prepareTLS makes the client that the flags about TLS describe.
func (t *target) prepareTLS() error {
	if (t.cert == "") != (t.key == "") {
		return errors.New("-cert and -key go together")
	}
	if !t.insecure && t.ca == "" && t.cert == "" && t.servername == "" {
		return nil
	}
	config := &tls.Config{InsecureSkipVerify: t.insecure, ServerName: t.servername}
	if t.ca != "" {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate in PEM form", t.ca)
		}
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	t.client = &http.Client{Transport: transport}
	return nil
}

// dial connects. With -v it logs the steps to status.
func (t *target) dial(ctx context.Context, status *log.Logger) (*websocket.Conn, *http.Response, error) {
	opts := &websocket.DialOptions{Header: t.header, Subprotocols: t.subprotocols, HTTPClient: t.client}
	opts.ReadLimit = t.readLimit
	if t.compress {
		opts.Compression = &websocket.CompressionOptions{}
	}
	if !t.verbose {
		return websocket.Dial(ctx, t.url, opts)
	}
	steps := newTiming(status)
	c, resp, err := websocket.Dial(steps.trace(ctx), t.url, opts)
	steps.finish(resp, err)
	return c, resp, err
}

// printRefusal prints why there is no connection.
func printRefusal(status *log.Logger, resp *http.Response, err error) {
	status.Print("wscat: ", printable(err.Error()))
	if resp == nil || resp.Body == nil {
		return
	}
	// Dial keeps no more than the beginning of the body, in memory, and its
	// error has the first line.
	body, _ := io.ReadAll(resp.Body)
	if text := strings.TrimSpace(string(body)); !strings.Contains(err.Error(), text) {
		status.Print(printable(text))
	}
}
