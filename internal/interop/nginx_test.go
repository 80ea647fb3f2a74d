//go:build interop

package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// nginxConfig is for fmt.Sprintf: a directory, the two addresses to listen
// on, the read timeout, the server behind, and a "user" line.
const nginxConfig = `
daemon off;
%[6]s
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen %[2]s;
		listen %[3]s ssl;
		ssl_certificate %[1]s/cert.pem;
		ssl_certificate_key %[1]s/key.pem;
		location / {
			proxy_pass http://%[5]s/;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $http_host;
			proxy_read_timeout %[4]s;
		}
		# A proxy without settings for WebSocket.
		location /plain/ {
			proxy_pass http://%[5]s/;
		}
	}
}
`

// nginx is a reverse proxy, with and without TLS.
type nginx struct {
	url  string       // ws://HOST:PORT/
	wss  string       // wss://HOST:PORT/
	http *http.Client // trusts its certificate
}

// startNginx starts a proxy for the server at backend, a ws or http URL.
func startNginx(t *testing.T, backend string, readTimeout time.Duration) *nginx {
	t.Helper()
	dir := t.TempDir()
	pool := selfSigned(t, dir)

	// nginx takes over the listening sockets of its predecessor. We pretend
	// to be one: then the ports are free for certain, and connections made
	// before it is ready wait for it.
	var files []*os.File
	var addrs []string
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		defer f.Close()
		files = append(files, f)
		addrs = append(addrs, ln.Addr().String())
	}

	_, host, _ := strings.Cut(strings.TrimSuffix(backend, "/"), "://")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // anyone else could not get into dir
	}
	config := fmt.Sprintf(nginxConfig, dir, addrs[0], addrs[1], readTimeout, host, user)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	program := start(t, func(cmd *exec.Cmd) {
		cmd.ExtraFiles = files // numbers 3 and 4
		cmd.Env = append(os.Environ(), "NGINX=3;4;")
	}, lookPath(t, "nginx"), "-p", dir, "-c", path, "-e", "stderr")
	t.Cleanup(func() { program.stop(t) })
	return &nginx{
		url:  "ws://" + addrs[0] + "/",
		wss:  "wss://" + addrs[1] + "/",
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
	}
}

func (n *nginx) dial(t *testing.T, url string, opts websocket.DialOptions) (context.Context, *websocket.Conn) {
	t.Helper()
	ctx := testContext(t)
	opts.HTTPClient = n.http
	opts.ReadLimit = 32 << 20
	c, _, err := websocket.Dial(ctx, url, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return ctx, c
}

func TestNginx(t *testing.T) {
	_, backend := startEcho(t)
	proxy := startNginx(t, backend, time.Minute)
	for name, url := range map[string]string{"ws": proxy.url, "wss": proxy.wss} {
		t.Run(name, func(t *testing.T) {
			ctx, c := proxy.dial(t, url, websocket.DialOptions{})
			exchange(t, ctx, c, websocket.Text, []byte(text))
			exchange(t, ctx, c, websocket.Binary, nil)
			large := make([]byte, 16<<20)
			rand.Read(large)
			exchange(t, ctx, c, websocket.Binary, large)
			if rtt, err := c.Ping(ctx); err != nil || rtt <= 0 {
				t.Errorf("Ping: %v, %v", rtt, err)
			}
			if err := c.Close(4321, "Tschüß"); err != nil {
				t.Errorf("Close: %v", err)
			}
			_, _, err := c.Read(ctx)
			if code := websocket.CloseCode(err); code != 4321 {
				t.Errorf("the connection ended with %v, want 4321", err)
			}
		})
	}
}

// A page that came through the proxy has the proxy's origin. Without TLS that
// is the server's own, because the proxy passes the Host header on. With TLS
// the schemes differ, and the error must tell what to set.
func TestNginxOrigin(t *testing.T) {
	_, backend := startEcho(t)
	proxy := startNginx(t, backend, time.Minute)
	origin := func(url string) websocket.DialOptions {
		return websocket.DialOptions{
			HTTPClient: proxy.http,
			Header:     http.Header{"Origin": {"http" + strings.TrimSuffix(url[len("ws"):], "/")}},
		}
	}
	_, c := proxy.dial(t, proxy.url, origin(proxy.url))
	c.Close(websocket.StatusNormalClosure, "")

	opts := origin(proxy.wss)
	_, resp, err := websocket.Dial(testContext(t), proxy.wss, &opts)
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("response %v, error %v, want a refusal with 403", resp, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "OriginPatterns") {
		t.Errorf("the refusal says %q, %v, and does not tell what to set", body, err)
	}

	_, backend = startEcho(t, "-any-origin")
	proxy = startNginx(t, backend, time.Minute)
	_, c = proxy.dial(t, proxy.wss, origin(proxy.wss))
	c.Close(websocket.StatusNormalClosure, "")
}

// The proxy cuts connections that are silent for its read timeout. Pings from
// either end keep an idle one alive.
func TestNginxKeepalive(t *testing.T) {
	const timeout = time.Second
	for _, tt := range []struct {
		name           string
		server, client time.Duration // ping intervals
	}{
		{"pings by client", -1, timeout / 4},
		{"pings by server", timeout / 4, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := testContext(t)
			var idle atomic.Bool // the next connection is one without keepalive
			server := func(interval time.Duration) *websocket.Server {
				s := &websocket.Server{Handler: func(c *websocket.Conn) {
					for msg, err := range c.Messages(ctx) {
						if err != nil || c.Write(ctx, msg.Type, msg.Data) != nil {
							return
						}
					}
				}}
				s.PingInterval = interval
				return s
			}
			pinging, silent := server(tt.server), server(-1)
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if idle.Load() {
					silent.ServeHTTP(w, r)
				} else {
					pinging.ServeHTTP(w, r)
				}
			}))
			t.Cleanup(func() {
				pinging.Close()
				silent.Close()
				backend.Close()
			})
			proxy := startNginx(t, backend.URL, timeout)

			opts := websocket.DialOptions{}
			opts.PingInterval = tt.client
			_, kept := proxy.dial(t, proxy.url, opts)
			received := make(chan error, 1) // somebody reads, as in any real program
			go func() {
				_, p, err := kept.Read(ctx)
				if err == nil && string(p) != "still here" {
					err = fmt.Errorf("got %q", p)
				}
				received <- err
			}()

			// Two connections without keepalive, one after the other, are cut
			// meanwhile. They measure how long it lasts.
			idle.Store(true)
			opts.PingInterval = -1
			for range 2 {
				_, cut := proxy.dial(t, proxy.url, opts)
				if _, _, err := cut.Read(ctx); websocket.CloseCode(err) != websocket.StatusAbnormalClosure {
					t.Fatalf("a connection without pings ended with %v, want 1006", err)
				}
			}
			if err := kept.Write(ctx, websocket.Text, []byte("still here")); err != nil {
				t.Error(err)
			}
			if err := <-received; err != nil {
				t.Error(err)
			}
			if err := kept.Close(websocket.StatusNormalClosure, ""); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// Without the Upgrade header the server sees an ordinary request, of HTTP/1.0
// even. Both ends must say so.
func TestNginxWithoutUpgrade(t *testing.T) {
	_, backend := startEcho(t)
	proxy := startNginx(t, backend, time.Minute)
	_, resp, err := websocket.Dial(testContext(t), proxy.url+"plain/", nil)
	if err == nil || resp == nil {
		t.Fatalf("response %v, error %v, want a refusal", resp, err)
	}
	t.Log(err)
	if !strings.Contains(err.Error(), resp.Status) {
		t.Errorf("the error %q does not tell the status %s", err, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s", resp.Status, body)
	if !strings.Contains(strings.ToLower(string(body)), "http/1.0") && !strings.Contains(strings.ToLower(string(body)), "upgrade") {
		t.Errorf("the refusal %q does not tell what is missing", body)
	}
}

// The server behind the proxy is not there.
func TestNginxBadGateway(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	proxy := startNginx(t, "http://"+ln.Addr().String(), time.Minute)
	_, resp, err := websocket.Dial(testContext(t), proxy.url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusBadGateway {
		t.Fatalf("response %v, error %v, want 502", resp, err)
	}
	if !strings.Contains(err.Error(), "502") {
		t.Errorf("the error %q does not tell the status", err)
	}
}

// selfSigned writes a certificate for 127.0.0.1 and its key to dir, as
// cert.pem and key.pem, and returns a pool that trusts it.
func selfSigned(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certDER},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}
