// Command peer-nbio is the lesismal/nbio server of the comparison, in its two
// documented ways: with -mode conn IOModBlocking, a goroutine per connection,
// which its README recommends for few connections; with -mode loop
// IOModNonBlocking, its pollers, for many.
//
// Settings, after its README and the servers of its author's own benchmark:
//
//   - ReleaseWebsocketPayload: the buffer of a message goes back to the pool
//     after OnMessage. The upgrader shares the engine, and with it the pool.
//   - BlockingModAsyncWrite only for broadcasts, where the README recommends
//     it against head-of-line blocking; an echo is written at once.
//   - KeepaliveTime 0: no other peer sets a deadline per message.
//   - MaxWebsocketFramePayloadSize as large as a message. The default cuts
//     replies into frames of 32 KiB, with a write for each.
//   - ServerExecutor, with -mode loop, runs handlers on the poller itself. The
//     default starts a goroutine for each message, which costs twice as much
//     and is there for handlers that block; writes to a non-blocking
//     connection do not.
//   - Buffers keep their defaults: 4 KiB for a connection in blocking mode,
//     64 KiB for a poller.
//
// TLS is its own copy of crypto/tls, of an earlier version, which it needs for its
// pollers and uses in blocking mode, too.
//
// It has permessage-deflate without context takeover, and no prepared message.
// In this version an empty message never gets to OnMessage, so it is not
// echoed. The log goes to standard output by default, where only the contract's
// lines belong.
package main

import (
	std "crypto/tls"
	"net"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/fullduplex-go/websocket/bench/internal/contract"
	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func main() {
	compressions := []contract.Compression{contract.Off, contract.NoTakeover}
	contract.Main(contract.Support{
		{Mode: contract.Conn, Compress: compressions, TLS: true},
		{Mode: contract.Loop, Compress: compressions, TLS: true},
	}, serve)
}

func serve(l net.Listener, set contract.Setting) error {
	logging.Output = os.Stderr
	logging.SetLevel(logging.LevelError)

	echoes := websocket.NewUpgrader()
	echoes.BlockingModAsyncWrite = false
	echoes.OnMessage(func(c *websocket.Conn, typ websocket.MessageType, p []byte) {
		c.WriteMessage(typ, p) // one that fails ends by itself
	})

	var (
		everyone contract.Set[*websocket.Conn]
		sending  atomic.Int32 // broadcasts under way
	)
	broadcasts := websocket.NewUpgrader()
	broadcasts.BlockingModAsyncWrite = true
	broadcasts.OnOpen(everyone.Add)
	broadcasts.OnClose(func(c *websocket.Conn, _ error) { everyone.Remove(c) })
	broadcasts.OnMessage(func(_ *websocket.Conn, typ websocket.MessageType, p []byte) {
		sending.Add(1)
		defer sending.Add(-1)
		for _, to := range everyone.All() {
			to.WriteMessage(typ, p)
		}
	})

	mux := http.NewServeMux()
	mux.HandleFunc("/", upgrade(echoes))
	mux.HandleFunc("/broadcast", upgrade(broadcasts))
	config := nbhttp.Config{
		Listen:                       func(string, string) (net.Listener, error) { return l, nil },
		Handler:                      mux,
		IOMod:                        nbhttp.IOModBlocking,
		ReleaseWebsocketPayload:      true,
		MaxWebsocketFramePayloadSize: contract.ReadLimit,
	}
	addrs := []string{l.Addr().String()}
	if set.TLS == nil {
		config.Addrs = addrs
	} else {
		config.AddrsTLS, config.TLSConfig = addrs, fork(set.TLS)
	}
	if set.Mode == contract.Loop {
		config.IOMod = nbhttp.IOModNonBlocking
		config.ServerExecutor = func(f func()) {
			// A write that fails executes the closing of its connection,
			// which needs a lock that WriteMessage holds. An echo has its
			// connection's queue between the two; a broadcast has not.
			if sending.Load() > 0 {
				go f()
			} else {
				f()
			}
		}
	}
	engine := nbhttp.NewEngine(config)
	for _, u := range []*websocket.Upgrader{echoes, broadcasts} {
		u.Engine = engine
		u.KeepaliveTime = 0
		u.MessageLengthLimit = contract.ReadLimit
		u.EnableCompression(set.Compress == contract.NoTakeover)
	}
	if err := engine.Start(); err != nil {
		return err
	}
	select {} // the engine runs on goroutines of its own
}

func upgrade(u *websocket.Upgrader) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u.Upgrade(w, r, nil) // on failure the client has been told
	}
}

// fork returns config as one of nbio's copy of crypto/tls.
func fork(config *std.Config) *tls.Config {
	var certificates []tls.Certificate
	for _, c := range config.Certificates {
		certificates = append(certificates, tls.Certificate{Certificate: c.Certificate, PrivateKey: c.PrivateKey})
	}
	return &tls.Config{Certificates: certificates, MinVersion: config.MinVersion, NextProtos: config.NextProtos}
}
