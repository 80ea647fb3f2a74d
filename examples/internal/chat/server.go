// Package chat is the chat of examples/chat and examples/chat-cluster: an HTTP
// server with a page and, beside it, a WebSocket endpoint.
//
// Rooms are topics of a [hub.Hub], which delivers what is said, remembers it for
// newcomers, and deals with those who do not keep up. What is left to do here
// is who is called what, and what must not be said.
//
// # Where to look
//
//	run.go      listening, shutting down
//	server.go   HTTP: the page, and the WebSocket endpoint beside it
//	client.go   one connection: what its page sends, and what that leads to
//	message.go  what goes over the wire, and what is refused
//	rooms.go    all the rooms, behind one lock: joining, saying, leaving
//	room.go     one room: its people, and which messages it has had
//	peers.go    what servers tell each other, where there are several
//	limit.go    how much a visitor may do
//	door.go     how many connections there may be
//	web/        the page
//
// # Protocol
//
// The page connects to /ws and exchanges JSON objects with the server, each of
// which is one text message. "type" says what an object is.
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
//	    Answers join. The name may differ from the one that was asked for,
//	    where somebody in the room has that already. server is there if it has
//	    a name. The last messages of the room follow, up to limits.history,
//	    perhaps a history, and then:
//	{"type":"ready", "room":"tea"}
//	{"type":"message", "room":"tea", "id":"…", "from":"4f…", "name":"Ada",
//	 "text":"Hello", "at":1767225600000}
//	    Goes to everyone in the room, its author included. at is in
//	    milliseconds since 1970.
//	{"type":"history", "room":"tea", "messages":[…]}
//	    Tells what was said at other servers before this one listened. It may
//	    come at any time, and may have messages in it that the page has.
//	{"type":"ack", "room":"tea", "id":"…", "at":1767225600000}
//	    Tells the author that a message has its place in the room; also when it
//	    had that already. Until then the page keeps the message, and says it
//	    again after it has reconnected.
//	{"type":"joined", "room":"tea", "from":"4f…", "name":"Ada"}
//	{"type":"left", "room":"tea", "from":"4f…", "name":"Ada"}
//	{"type":"renamed", "room":"tea", "from":"4f…", "name":"Countess", "was":"Ada"}
//	{"type":"typing", "room":"tea", "from":"4f…", "on":true}
//	    What happens in the room. A page that has just asked for another room
//	    may get some more of these, so each says where it belongs.
//	{"type":"rooms", "rooms":[{"name":"tea","count":3}]}
//	{"type":"pong", "t":1234.5, "rtt":0.42}
//	    rtt is the round trip in milliseconds as the server has measured it, by
//	    WebSocket pings. It is left out while there is no measurement.
//	{"type":"error", "code":"slow-down", "text":"…", "id":"…", "wait":800}
//	    Something was refused, and changed nothing. id is that of the message,
//	    if it was one. wait is when to try again, in milliseconds.
//
// The connection is closed with 1001 when the server shuts down, with 1013
// when the page does not read fast enough, with 1008 when it goes on and on
// after "slow-down" or does not enter a room, and with 1009 for a message of
// absurd size. When there are too many connections the handshake is refused,
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
	// Name is what pages call the server that they are connected to. With ""
	// they do not mention it.
	Name string
	// Backplane connects the server with others, with whom it shares all rooms.
	// Nil means that there are none.
	Backplane hub.Backplane
	// MaxConns is how many pages may be connected at once, and MaxPerAddress how
	// many of them from one address, which is one network with IPv6. Zero means
	// 10,000 and 100. Behind a proxy all have its address.
	MaxConns, MaxPerAddress int
}

// Server is the chat's http.Handler.
type Server struct {
	name   string
	limits limits
	ws     websocket.Server
	mux    *http.ServeMux
	door   *door

	// What people say, and that they are about to, is published to shared;
	// what this server has to tell its visitors, who is here and which rooms
	// there are, to local.
	shared, local *hub.Hub

	peers  *peers      // nil if there are none
	cutOff atomic.Bool // the last publish has not reached other servers

	mu      sync.Mutex // guards what follows, and the rooms and clients
	rooms   map[string]*room
	listing bool // a new list of rooms is on its way
}

// compression is what every page that offers it gets, which is all browsers.
//
// What the server sends is much alike, so a window over the last messages is
// worth having, and 2 KiB do: they bring a conversation down to a third, for
// 5 KB of memory a page. 32 KiB would bring it to 30 %, for 57 KB; messages each
// for itself, to 80 %. Short ones gain as well as long ones do.
//
// What a page sends starts afresh with each message. It is little, and it begins
// with the key that a visitor is known by: how long the later ones are must tell
// nothing about that.
var compression = &websocket.CompressionOptions{
	Threshold:               32,
	WindowBits:              11,
	ClientNoContextTakeover: true,
}

// forever is how long the hub keeps what was said in an empty room: until the
// room is forgotten.
const forever = 100 * 365 * 24 * time.Hour

// New returns a server, which is to be shut down after use. An error is that of
// the backplane.
func New(o Options) (*Server, error) {
	l := defaultLimits
	l.all = cmp.Or(o.MaxConns, l.all)
	l.each = cmp.Or(o.MaxPerAddress, l.each)
	return newServer(o, l)
}

func newServer(o Options, l limits) (*Server, error) {
	s := &Server{
		name:   o.Name,
		limits: l,
		mux:    http.NewServeMux(),
		door:   newDoor(l.all, l.each),
		shared: hub.New(&hub.Options{Backplane: o.Backplane, Replay: l.history, Linger: forever}),
		local:  hub.New(nil),
		rooms:  map[string]*room{lobby: newRoom(lobby, l)},
	}
	if o.Backplane != nil {
		if err := s.meet(o.Backplane); err != nil {
			return nil, err
		}
	}
	s.ws.Handler = s.serve
	s.ws.SendBuffer = l.buffer
	// JSON may spend six bytes on a character of text.
	s.ws.ReadLimit = int64(6*l.text + 4096)
	// The page sends its own ping every ten seconds. A little less than that
	// leaves a silence that is long enough for a ping of ours, which is what
	// Conn.RTT is measured by.
	s.ws.PingInterval = 8 * time.Second
	s.ws.PongTimeout = 20 * time.Second
	s.ws.Compression = compression

	page, err := fs.Sub(files, "web")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	s.mux.Handle("GET /", secure(http.FileServerFS(page)))
	s.mux.Handle("GET /ws", s.door.guard(&s.ws))
	return s, nil
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Shutdown asks all pages to leave and waits until they have done so, but not
// longer than ctx lasts. They come back by themselves when there is a server
// again.
func (s *Server) Shutdown(ctx context.Context) error {
	return errors.Join(s.ws.Shutdown(ctx), s.peers.part(ctx), s.shared.Shutdown(ctx), s.local.Shutdown(ctx))
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
