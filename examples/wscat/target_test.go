package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fullduplex-go/websocket"
)

// writeCertificate makes a self-signed certificate for a name, and returns it
// and the PEM files with it and its key.
func writeCertificate(t *testing.T, name string) (pair tls.Certificate, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, cert, key
}

// serveTLS starts a server that has a certificate for a name, and tells each
// client its own.
func serveTLS(t *testing.T, pair tls.Certificate) (url string) {
	ws := &websocket.Server{Handler: func(c *websocket.Conn) {
		name := "nobody"
		if certs := c.Request().TLS.PeerCertificates; len(certs) > 0 {
			name = certs[0].Subject.CommonName
		}
		c.Write(context.Background(), websocket.Text, []byte(name))
	}}
	server := httptest.NewUnstartedServer(ws)
	server.Config.ErrorLog = quiet
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(func() {
		ws.Close()
		server.Close()
	})
	return "wss" + strings.TrimPrefix(server.URL, "https")
}

func TestTLS(t *testing.T) {
	pair, ca, _ := writeCertificate(t, "server.example")
	_, cert, key := writeCertificate(t, "the client")
	url := serveTLS(t, pair)
	wscat(t, endless(t), "-ca", ca, url).want(t, exitFailed, "", "certificate") // it is not for 127.0.0.1
	wscat(t, endless(t), "-servername", "server.example", url).want(t, exitFailed, "", "certificate")
	wscat(t, endless(t), "-ca", ca, "-servername", "server.example", url).want(t, 0, "nobody\n")
	wscat(t, endless(t), "-insecure", "-cert", cert, "-key", key, url).want(t, 0, "the client\n")

	// An invalid certificate file is found before anything is sent.
	wscat(t, endless(t), "-ca", key, url).want(t, exitUsage, "", "has no certificate")
	wscat(t, endless(t), "-ca", "/nonexistent", url).want(t, exitUsage, "", "/nonexistent")
	wscat(t, endless(t), "-cert", cert, url).want(t, exitUsage, "", "go together")
	wscat(t, endless(t), "-cert", key, "-key", cert, url).want(t, exitUsage, "", "wscat: ")
}

// Each step of the handshake has a line with its time, and so has each header.
func TestVerbose(t *testing.T) {
	pair, _, _ := writeCertificate(t, "server.example")
	url := strings.Replace(serveTLS(t, pair), "127.0.0.1", "localhost", 1)
	r := wscat(t, endless(t), "-v", "-insecure", "-H", "X-Color: red", url)
	r.want(t, 0, "nobody\n")
	rest := r.stderr
	const took = ` +[\d.]+(µs|ms|s|ns)  `
	for _, line := range []string{
		`\* DNS` + took + `.*127\.0\.0\.1.*`,
		`\* TCP` + took + `127\.0\.0\.1:\d+`,
		`\* TLS` + took + `TLS 1\.3, \w+, certificate of server\.example until \d{4}-\d\d-\d\d`,
		`> X-Color: red`,
		`\* Upgrade` + took + `HTTP/1\.1 101 Switching Protocols`,
		`< Upgrade: websocket`,
		`\* Total +[\d.]+(µs|ms|s)`,
		`connected to wss:.*`,
	} {
		at := regexp.MustCompile(`(?m)^` + line + `$`).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("no line %s in the rest of\n%s", line, r.stderr)
		}
		rest = rest[at[1]:]
	}
	// It tells of a refusal, too.
	r = wscat(t, endless(t), "-v", "-insecure", "-origin", "https://elsewhere.example", url)
	r.want(t, exitFailed, "", "HTTP/1.1 403 Forbidden")
	if strings.Contains(r.stderr, "* Total") {
		t.Errorf("there is a total:\n%s", r.stderr)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 123456: "123µs", 1234567: "1.23ms", 12345678: "12.3ms",
		1234567890: "1.23s", 75 * time.Second: "1m15s", time.Hour + time.Minute: "1h1m0s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) is %s, want %s", d, got, want)
		}
	}
}
