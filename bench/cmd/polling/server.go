//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/fullduplex-go/websocket/bench/internal/feed"
)

// serverEnv marks a process as the server; see serverMain.
const serverEnv = "WEBSOCKET_BENCH_SERVER"

// serverMain is the program as server.
func serverMain() {
	topics := flag.Int("topics", 1, "how many topics there are")
	every := flag.Duration("every", time.Second, "time between two updates of a topic")
	size := flag.Int("size", feed.MinSize, "bytes per update")
	secure := flag.Bool("tls", false, "speak TLS, and HTTP/2 over it")
	both := []contract.Compression{contract.Off, contract.Takeover}
	contract.Main(contract.Support{{Mode: contract.Conn, Compress: both}, {Mode: contract.Loop, Compress: both}},
		func(l net.Listener, mode contract.Mode, compress contract.Compression) error {
			source, err := feed.NewSource(*topics, *every, *size)
			if err != nil {
				return err
			}
			go source.Run(context.Background())
			// The captured page has another host, that of a proxy in front.
			options := websocket.AcceptOptions{OriginPatterns: []string{"*"}}
			if compress == contract.Takeover {
				options.Compression = &websocket.CompressionOptions{Threshold: -1} // updates are small
			}
			if mode == contract.Loop {
				return source.ServeLoop(l, options)
			}
			server := http.Server{Handler: source.Handler(options)}
			if !*secure {
				return server.Serve(l)
			}
			certificate, err := newCertificate()
			if err != nil {
				return err
			}
			server.TLSConfig = &tls.Config{
				Certificates: []tls.Certificate{certificate},
				// They would be sent with the first bytes that are counted.
				SessionTicketsDisabled: true,
			}
			return server.ServeTLS(l, "", "")
		})
}

// newCertificate makes a certificate of the kind that most servers have. The
// clients do not look at it.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
