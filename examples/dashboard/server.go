// Command dashboard shows a market live: hundreds of made-up instruments, each
// traded up to 60 times a second, over one WebSocket per page.
//
//	go run ./examples/dashboard
//
// A switch in the page makes its connection slow, for real: from then on the
// server's writes take as long as they would on a slow network. The hub then
// keeps the newest trade of each instrument, so a page that gets one update in
// ten still shows prices that are a moment old. The page may also ask the hub to
// queue all updates, and see them get late.
//
// # Where to look
//
//	main.go      flags, listening, shutting down
//	server.go    HTTP: the page, the WebSocket endpoint, with -debug counters in JSON
//	visitor.go   one connection: its subscription, and what the page may ask for
//	pace.go      connections that can be slowed down
//	market.go    runs the simulation in real time and publishes its trades
//	sim.go       the simulation
//	names.go     names for its instruments
//	protocol.go  what goes over the wire
//	web/         the page
package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

//go:embed web
var files embed.FS

// server is the dashboard: a market and its visitors.
type server struct {
	market *market
	ws     websocket.Server
	http   http.Server

	mu       sync.Mutex
	visitors map[*visitor]bool // guarded by mu
}

// newServer returns a server for a market. With debug everybody may ask for the
// counters of all connections.
func newServer(m *market, debug bool) *server {
	s := &server{market: m, visitors: make(map[*visitor]bool)}
	s.ws.Handler = s.visit
	s.ws.ReadLimit = 64
	// No compression, since all fields change with every trade.

	page, err := fs.Sub(files, "web")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", secure(http.FileServerFS(page)))
	mux.Handle("GET /ws", &s.ws)
	if debug {
		mux.Handle("GET /debug/stats", secure(http.HandlerFunc(s.serveStats)))
	}
	s.http.Handler = mux
	s.http.ConnContext = withPace
	s.http.ReadHeaderTimeout = 5 * time.Second
	s.http.IdleTimeout = time.Minute
	return s
}

// serve serves until shutdown is called. It closes ln.
func (s *server) serve(ln net.Listener) error { return s.http.Serve(pacedListener{ln}) }

// visit is the Handler of the WebSocket server.
func (s *server) visit(conn *websocket.Conn) {
	v := &visitor{conn: conn, market: s.market, paced: paceOf(conn.Context())}
	s.mu.Lock()
	s.visitors[v] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.visitors, v)
		s.mu.Unlock()
	}()
	code, reason := v.serve()
	v.paced.setRate(0) // so that a slow page does not delay the close
	conn.Close(code, reason)
}

// shutdown closes the connections of all pages and waits for that, but not longer than
// ctx lasts. Pages connect again by themselves when there is a server again. Messages
// that wait for slow pages are worth nothing any more, so the connections are closed
// before the hub.
func (s *server) shutdown(ctx context.Context) error {
	return errors.Join(s.http.Shutdown(ctx), s.ws.Shutdown(ctx), s.market.hub.Shutdown(ctx))
}

// stats is the answer of /debug/stats.
type stats struct {
	Uptime      float64        `json:"uptime"` // in seconds
	Instruments int            `json:"instruments"`
	Rate        float64        `json:"rate"`
	Steps       int            `json:"steps"`
	Trades      uint64         `json:"trades"`
	Hub         hub.Totals     `json:"hub"`
	Visitors    []visitorStats `json:"visitors"`
}

type visitorStats struct {
	counts
	QueueAll bool   `json:"queue_all"`
	Rate     int    `json:"rate"` // bytes per second; 0: as many as it can
	Buffered int    `json:"buffered"`
	Bytes    uint64 `json:"bytes"`
	Messages uint64 `json:"messages"`
}

func (s *server) stats() stats {
	m := s.market
	st := stats{
		Uptime: m.now() / 1000, Instruments: len(m.keys), Rate: m.sim.rate,
		Hub: m.hub.Stats(), Visitors: []visitorStats{},
	}
	st.Steps, st.Trades = m.stats()
	s.mu.Lock()
	visitors := slices.Collect(maps.Keys(s.visitors))
	s.mu.Unlock()
	for _, v := range visitors {
		c, set := v.counts()
		sent := v.conn.Stats()
		st.Visitors = append(st.Visitors, visitorStats{
			counts: c, QueueAll: set.policy == queueAll, Rate: set.rate,
			Buffered: v.conn.Buffered(), Bytes: sent.BytesWritten, Messages: sent.MessagesWritten,
		})
	}
	return st
}

func (s *server) serveStats(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.Encode(s.stats())
}

// contentPolicy lets the page load nothing but its own files and connect to
// nothing but its own server. There is no inline script and no inline style,
// and script must not turn text into markup.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'"

// secure adds the headers that confine the page. A page that is isolated from other
// sites also gets a clock that is finer than a tenth of a millisecond.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		// Embedded files have no date to revalidate by.
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
