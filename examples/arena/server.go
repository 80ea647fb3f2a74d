// Command arena is a pond of koi for everyone who opens its page: a small
// multiplayer game that shows how state is kept in step in real time.
//
//	go run ./examples/arena
//	go run ./examples/arena -bots 200 -tick 60
//	go run ./examples/arena -bots 50 -connect ws://192.168.1.20:8080/ws
//
// Koi eat crumbs and grow. A koi that darts into another one makes it lose a part of
// its score.
//
// # How it works
//
// Only the server decides the state of the world. It moves the world in ticks of
// equal length and sends all of it, in 15 bytes a koi, to everybody: encoded once per
// tick, in the same bytes for all. A page sends no positions, but its player's
// inputs, one per tick, with a number. From its inputs the page predicts its own koi
// at once. Each snapshot says which input took effect last, and the page repeats the
// later ones on top of the snapshot. The page shows the other koi as they were a
// tenth of a second ago, between two snapshots that it has. A connection that does
// not keep up misses snapshots, and needs none of them.
//
// # Where to look
//
//	main.go      flags, listening, shutting down
//	protocol.go  every message, byte by byte
//	motion.go    how a koi swims, the same on the server and on the page
//	world.go     the rules of the game; no clock, no network
//	game.go      the goroutine that owns the world, ticks, and sends snapshots
//	client.go    the connections, on a websocket.Loop
//	server.go    HTTP: the page, and the WebSocket endpoint beside it
//	bots.go      clients that play by themselves; brain.go makes their decisions
//	web/         the page
package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
)

//go:embed web
var files embed.FS

// socketBuffer is how many bytes the kernel may hold for a connection that does not
// keep up. By default it would take megabytes: half a minute of old snapshots. This
// many are needed to fill a line of 1 Mbit/s with a round trip of a third of a
// second.
const socketBuffer = 48 << 10

// server is the game's http.Handler.
type server struct {
	game *game
	ws   websocket.Server
	mux  *http.ServeMux

	stop context.CancelFunc // ends the game's goroutine,
	play sync.WaitGroup     // which this waits for
}

// newServer starts a game that makes a tick when a time comes from times, or at
// the right time, if that is nil.
func newServer(rate, players int, seed uint64, times <-chan time.Time) (*server, error) {
	if err := checkRate(rate); err != nil {
		return nil, err
	}
	loop, err := websocket.NewLoop(nil)
	if err != nil {
		return nil, err
	}
	s := &server{game: newGame(rate, players, seed), mux: http.NewServeMux()}
	s.ws.Events = &events{game: s.game, rate: rate}
	s.ws.Loop = loop
	s.ws.ForgetRequest = true
	s.ws.ReadLimit = maxIncoming
	s.ws.SendBuffer = 64 << 10
	s.ws.PingInterval = 10 * time.Second
	s.ws.PongTimeout = 10 * time.Second
	s.ws.CloseTimeout = 2 * time.Second

	page, err := fs.Sub(files, "web")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	s.mux.Handle("GET /", secure(http.FileServerFS(page)))
	s.mux.Handle("GET /ws", &s.ws)

	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.play.Go(func() {
		if times == nil {
			ticker := time.NewTicker(time.Second / time.Duration(rate))
			defer ticker.Stop()
			times = ticker.C
		}
		s.game.run(ctx, times)
	})
	return s, nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// httpServer returns an HTTP server for the game.
func (s *server) httpServer() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if tcp, ok := c.(*net.TCPConn); ok {
				tcp.SetWriteBuffer(socketBuffer) // an error only means more delay on this connection
			}
			return ctx
		},
	}
}

// shutdown asks all players to leave, waits until they have done so, but not
// longer than ctx lasts, and ends the game.
func (s *server) shutdown(ctx context.Context) error {
	err := s.ws.Shutdown(ctx)
	s.stop()
	s.play.Wait()
	return errors.Join(err, s.ws.Loop.Shutdown(ctx))
}

// contentPolicy lets the page load nothing but its own files and connect to
// nothing but its own server. There is no inline script and no inline style,
// and script must not turn text into markup.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'"

// secure adds the headers that confine the page.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		// Embedded files have no date to revalidate by.
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
