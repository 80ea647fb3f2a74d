package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// start runs the server with args on a free port and returns its URL and a
// function that stops it, as a signal does, and returns what run returned.
func start(t testing.TB, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, stdout := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), stdout, t.Output())
		stdout.CloseWithError(err)
		done <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no line on standard output: %v", err)
	}
	url, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening on ")
	if !ok {
		t.Fatalf("standard output says %q", line)
	}
	stopped := false
	stop = func() error {
		cancel()
		stopped = true
		return <-done
	}
	t.Cleanup(func() {
		if !stopped {
			if err := stop(); err != nil {
				t.Errorf("run: %v", err)
			}
		}
	})
	return url, stop
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, url string, opts *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(testContext(t), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func TestEcho(t *testing.T) {
	url, _ := start(t)
	ctx := testContext(t)
	opts := &websocket.DialOptions{}
	opts.ReadLimit = 64 << 20
	fragments, ended := 0, make(chan struct{})
	opts.Trace = &websocket.Trace{FrameIn: func(_ *websocket.Conn, h websocket.Header) {
		if !h.Fin || h.Opcode == websocket.OpContinuation {
			fragments++
		}
	}, Close: func(*websocket.Conn, error) { close(ended) }}
	c := dial(t, url, opts)
	for _, tt := range []struct {
		name string
		typ  websocket.MessageType
		data []byte
	}{
		{"text", websocket.Text, []byte("Grüße, 世界 🙂")},
		{"binary", websocket.Binary, []byte{0, 0xff, 0x80, 0}},
		{"empty text", websocket.Text, nil},
		{"empty binary", websocket.Binary, nil},
		{"126 bytes", websocket.Binary, make([]byte, 126)},
		{"64 KiB", websocket.Text, bytes.Repeat([]byte("x"), 1<<16)},
		{"16 MiB", websocket.Binary, bytes.Repeat([]byte("0123456789abcdef"), 1<<20)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The echo may start before the whole message is written.
			sent := make(chan error, 1)
			go func() { sent <- c.Write(ctx, tt.typ, tt.data) }()
			typ, got, err := c.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if typ != tt.typ || !bytes.Equal(got, tt.data) {
				t.Errorf("sent type %v and %d bytes, got back type %v and %d bytes", tt.typ, len(tt.data), typ, len(got))
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("fragments", func(t *testing.T) {
		w, err := c.Writer(ctx, websocket.Text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one ", "two ", "three"} {
			if _, err := io.WriteString(w, s); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		typ, got, err := c.Read(ctx)
		if err != nil || typ != websocket.Text || string(got) != "one two three" {
			t.Errorf("got %v %q, %v", typ, got, err)
		}
	})
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	<-ended
	if fragments > 0 {
		t.Errorf("%d frames were fragments, want every echo as one frame", fragments)
	}
}

// With -compress, compression is used for clients that offer it.
func TestCompress(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		opts   *websocket.CompressionOptions
		answer string
	}{
		{nil, &websocket.CompressionOptions{}, ""},
		{[]string{"-compress"}, nil, ""},
		{[]string{"-compress"}, &websocket.CompressionOptions{}, "permessage-deflate"},
		{[]string{"-compress", "-window", "10"}, &websocket.CompressionOptions{}, "permessage-deflate; client_max_window_bits=10"},
	} {
		url, _ := start(t, tt.args...)
		ctx := testContext(t)
		opts := &websocket.DialOptions{}
		opts.Compression = tt.opts
		frames := make(chan websocket.Header, 10)
		opts.Trace = &websocket.Trace{FrameIn: func(_ *websocket.Conn, h websocket.Header) { frames <- h }}
		c, resp, err := websocket.Dial(ctx, url, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != tt.answer {
			t.Errorf("%q: negotiated %q, want %q", tt.args, got, tt.answer)
		}
		msg := bytes.Repeat([]byte("again and "), 1000)
		if err := c.Write(ctx, websocket.Text, msg); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.Read(ctx); err != nil || !bytes.Equal(p, msg) {
			t.Errorf("%q: sent %d bytes, got %d, %v", tt.args, len(msg), len(p), err)
		}
		if compressed := (<-frames).RSV == websocket.RSV1; compressed != (tt.answer != "") {
			t.Errorf("%q: the echo is compressed: %v", tt.args, compressed)
		}
		c.Close(websocket.StatusNormalClosure, "")
	}
}

func TestOrigin(t *testing.T) {
	foreign := &websocket.DialOptions{Header: http.Header{"Origin": {"https://elsewhere.example"}}}

	url, _ := start(t)
	_, resp, err := websocket.Dial(testContext(t), url, foreign)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("foreign origin: response %v, error %v, want a refusal with 403", resp, err)
	}
	own := &websocket.DialOptions{Header: http.Header{"Origin": {"http" + strings.TrimSuffix(url[len("ws"):], "/")}}}
	dial(t, url, own).Close(websocket.StatusNormalClosure, "")

	url, _ = start(t, "-any-origin")
	dial(t, url, foreign).Close(websocket.StatusNormalClosure, "")
}

func TestOtherPath(t *testing.T) {
	url, _ := start(t)
	_, resp, err := websocket.Dial(testContext(t), url+"other", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("response %v, error %v, want 404", resp, err)
	}
}

func TestTLS(t *testing.T) {
	cert, key, pool := selfSigned(t)
	url, _ := start(t, "-tls-cert", cert, "-tls-key", key)
	if !strings.HasPrefix(url, "wss://") {
		t.Fatalf("URL is %s", url)
	}
	c := dial(t, url, &websocket.DialOptions{HTTPClient: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
	}})
	ctx := testContext(t)
	if err := c.Write(ctx, websocket.Text, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if _, p, err := c.Read(ctx); err != nil || string(p) != "secret" {
		t.Errorf("got %q, %v", p, err)
	}
	c.Close(websocket.StatusNormalClosure, "")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"},
		{"-tls-cert", "x.pem"},
		{"-tls-cert", "missing.pem", "-tls-key", "missing.pem"},
		{"-addr", "nowhere"},
		{"-compress", "-window", "16"},
		{"operand"},
	} {
		var stdout bytes.Buffer
		if err := run(t.Context(), args, &stdout, io.Discard); err == nil || stdout.Len() > 0 {
			t.Errorf("run(%q) = %v and printed %q", args, err, &stdout)
		}
	}
}

// selfSigned makes a certificate for 127.0.0.1 and returns the names of its
// PEM files and a pool that trusts it.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})
	if err := os.WriteFile(cert, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}
