// Package chat is the chat of examples/chat and examples/chat-cluster: an HTTP
// server with a page and, beside it, a WebSocket endpoint.
//
// Rooms are topics of a [hub.Hub], which delivers messages, keeps them for newcomers,
// and handles slow readers. This package does the rest: the names of visitors, and
// the checks of their messages.
//
// # Where to look
//
//	run.go        listening, shutting down
//	server.go     HTTP: the page, and the WebSocket endpoint beside it
//	client.go     one connection: acts on its page's messages
//	message.go    the messages on the wire, and their checks
//	rooms.go      all the rooms, behind one lock: joining, saying, leaving
//	room.go       one room: its people, and which messages it has had
//	peers.go      messages between servers, if there are several
//	limit.go      how much a visitor may do
//	connlimit.go  how many connections there may be
//	web/          the page
//
// # Protocol
//
// The page connects to /ws and exchanges JSON objects with the server, each in one
// text message. "type" is the type of an object.
//
// From the page to the server:
//
//	{"type":"join", "room":"tea", "name":"Ada", "key":"…"}
//	    Enters a room, after leaving the one before. It comes first on a
//	    connection. The key is a secret that the page has made up (16 to 64
//	    characters); everyone else sees only a hash of it. So a visitor who
//	    reconnects is the same person as before, and nobody can pose as another.
//	{"type":"rename", "name":"Countess"}
//	{"type":"say", "id":"…", "text":"Hello"}
//	    The id (1 to 64 characters) is made up by the page, different for each
//	    message. The same id from the same person again is not a new message.
//	{"type":"typing", "on":true}
//	    Repeated every few seconds while it is true.
//	{"type":"ping", "t":1234.5}
//	    Browsers do not let a page send a WebSocket ping, so it has its own.
//
// From the server to the page:
//
//	{"type":"welcome", "room":"tea", "you":"4f…", "name":"Ada",
//	 "people":[{"id":"4f…","name":"Ada"}], "rooms":[…],
//	 "limits":{"name":32,"room":32,"text":2000,"history":100}, "server":"b"}
//	    Answers join. The name differs from the one that was asked for if
//	    another person in the room has that. server is the server's name, if it
//	    has one. The last messages of the room follow, up to limits.history,
//	    perhaps a history, and then:
//	{"type":"ready", "room":"tea"}
//	{"type":"message", "room":"tea", "id":"…", "from":"4f…", "name":"Ada",
//	 "text":"Hello", "at":1767225600000}
//	    Goes to everyone in the room, its author included. at is in
//	    milliseconds since 1970.
//	{"type":"history", "room":"tea", "messages":[…]}
//	    Earlier messages of other servers, from before this one listened. It may
//	    come at any time, and may repeat messages.
//	{"type":"ack", "room":"tea", "id":"…", "at":1767225600000}
//	    Tells the author that a message is in the room, also if it was there
//	    already. Until then the page keeps the message, and sends it again after
//	    it has reconnected.
//	{"type":"joined", "room":"tea", "from":"4f…", "name":"Ada"}
//	{"type":"left", "room":"tea", "from":"4f…", "name":"Ada"}
//	{"type":"renamed", "room":"tea", "from":"4f…", "name":"Countess", "was":"Ada"}
//	{"type":"typing", "room":"tea", "from":"4f…", "on":true}
//	    Events of the room. A page that has just asked for another room may get
//	    some more of these, so each names its room.
//	{"type":"rooms", "rooms":[{"name":"tea","count":3}]}
//	{"type":"pong", "t":1234.5, "rtt":0.42}
//	    rtt is the round trip in milliseconds as the server has measured it, by
//	    WebSocket pings. It is left out while there is no measurement.
//	{"type":"error", "code":"slow-down", "text":"…", "id":"…", "wait":800}
//	    Something was refused, and changed nothing. id is that of the message,
//	    if it was one. wait is when to try again, in milliseconds.
//
// The connection is closed with 1001 when the server shuts down, with 1013
// when the page does not read fast enough, with 1008 when the page does not slow
// down after "slow-down" or does not enter a room, and with 1009 for a message that
// is far too big. When there are too many connections the handshake is refused,
// with 429 if they are from one address, else with 503.
package chat

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

//go:embed web
var files embed.FS

// Options are the settings of a [Server].
type Options struct {
	// Name is the server's name, which its pages show. With "" they show none.
	Name string
	// Backplane connects the server with others, with which it shares all rooms. Nil
	// means that there are none.
	Backplane hub.Backplane
	// MaxConns is how many pages may be connected at once, and MaxPerAddress how
	// many of them from one address, which is one network with IPv6. Zero means
	// 10,000 and 100. Behind a proxy all pages have the proxy's address.
	MaxConns, MaxPerAddress int
}

// Server is the chat's http.Handler.
type Server struct {
	name   string
	limits limits
	ws     websocket.Server
	mux    *http.ServeMux
	conns  *connLimit

	// Messages and typing notices are published to shared; the lists of people
	// and of rooms, which each server makes for its own visitors, to local.
	shared, local *hub.Hub

	peers       *peers      // nil if there are no other servers
	planeFailed atomic.Bool // the last publish has not reached other servers

	mu      sync.Mutex // guards the fields below, and the rooms and clients
	rooms   map[string]*room
	listing bool // a new list of rooms is on its way
}

// compression is used for every page that offers it, as all browsers do.
//
// The server's messages are alike, so a window over the last messages is worth its
// memory, and 2 KiB are enough: they compress a conversation to a third, for 5 KB of
// memory a page. 32 KiB would compress it to 30 %, for 57 KB; without a window it
// would be 80 %. Short messages gain as much as long ones.
//
// Each message of a page is compressed by itself. They are small, and the first one
// has the visitor's secret key: the length of later ones must not depend on the key.
var compression = &websocket.CompressionOptions{
	Threshold:               32,
	WindowBits:              11,
	ClientNoContextTakeover: true,
}

// forever is how long the hub keeps the messages of an empty room: until the room is
// forgotten.
const forever = 100 * 365 * 24 * time.Hour

// New returns a server, which is to be shut down after use. An error is that of
// the backplane.
func New(o Options) (*Server, error) {
	l := defaultLimits
	l.conns = cmp.Or(o.MaxConns, l.conns)
	l.connsPerAddress = cmp.Or(o.MaxPerAddress, l.connsPerAddress)
	return newServer(o, l)
}

func newServer(o Options, l limits) (*Server, error) {
	s := &Server{
		name:   o.Name,
		limits: l,
		mux:    http.NewServeMux(),
		conns:  newConnLimit(l.conns, l.connsPerAddress),
		shared: hub.New(&hub.Options{Backplane: o.Backplane, Replay: l.history, Linger: forever}),
		local:  hub.New(nil),
		rooms:  map[string]*room{lobby: newRoom(lobby, l)},
	}
	if o.Backplane != nil {
		if err := s.joinPeers(o.Backplane); err != nil {
			return nil, err
		}
	}
	s.ws.Handler = s.serve
	s.ws.SendBuffer = l.buffer
	// JSON may spend six bytes on a character of text.
	s.ws.ReadLimit = int64(6*l.text + 4096)
	// The page sends its own ping every ten seconds. The server pings after a
	// shorter silence, so that there are pings by which Conn.RTT is measured.
	s.ws.PingInterval = 8 * time.Second
	s.ws.PongTimeout = 20 * time.Second
	s.ws.Compression = compression

	page, err := fs.Sub(files, "web")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	s.mux.Handle("GET /", secure(http.FileServerFS(page)))
	s.mux.Handle("GET /ws", s.conns.handler(&s.ws))
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Shutdown closes the connections of all pages and waits for that, but not longer than
// ctx lasts. Pages connect again by themselves when there is a server again.
func (s *Server) Shutdown(ctx context.Context) error {
	return errors.Join(s.ws.Shutdown(ctx), s.peers.close(ctx), s.shared.Shutdown(ctx), s.local.Shutdown(ctx))
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
