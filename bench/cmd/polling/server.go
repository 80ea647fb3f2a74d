//go:build linux

package main

import (
	"context"
	"flag"
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
	both := []contract.Compression{contract.Off, contract.Takeover}
	contract.Main(contract.Support{{Mode: contract.Conn, Compress: both, TLS: true}, {Mode: contract.Loop, Compress: both}},
		func(l net.Listener, set contract.Setting) error {
			source, err := feed.NewSource(*topics, *every, *size)
			if err != nil {
				return err
			}
			go source.Run(context.Background())
			// The captured page has another host, that of a proxy in front.
			options := websocket.AcceptOptions{OriginPatterns: []string{"*"}}
			if set.Compress == contract.Takeover {
				options.Compression = &websocket.CompressionOptions{Threshold: -1} // updates are small
			}
			if set.Mode == contract.Loop {
				return source.ServeLoop(l, options)
			}
			server := http.Server{Handler: source.Handler(options)}
			if set.TLS == nil {
				return server.Serve(l)
			}
			server.TLSConfig = set.TLS
			server.TLSConfig.NextProtos = nil // HTTP/2, too
			// They would be sent with the first bytes that are counted.
			server.TLSConfig.SessionTicketsDisabled = true
			return server.ServeTLS(l, "", "")
		})
}
