// Package chat is the chat of examples/chat and examples/chat-cluster: an HTTP
// server with a page and, beside it, a WebSocket endpoint.
//
// # Where to look
//
//	run.go      listening, shutting down
//	server.go   HTTP: the page, and the WebSocket endpoint beside it
//	client.go   one connection: its reader, its writer and the queue between
//	message.go  what goes over the wire, and what is refused
//	hub.go      all the rooms, behind one lock
//	room.go     one room: people, history, deduplication
//	limit.go    how much a visitor may do
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
//	 "people":[{"id":"4f…","name":"Ada"}], "history":[…], "rooms":[…],
//	 "limits":{"name":32,"room":32,"text":2000}}
//	    Answers join. The name may differ from the one that was asked for,
//	    where somebody in the room has that already. History holds the last
//	    messages, the oldest first, each without type and room.
//	{"type":"message", "room":"tea", "seq":7, "id":"…", "from":"4f…",
//	 "name":"Ada", "text":"Hello", "at":1767225600000}
//	    Goes to everyone in the room but its author. seq counts the messages of
//	    the room, at is in milliseconds since 1970.
//	{"type":"ack", "room":"tea", "id":"…", "seq":7, "at":1767225600000}
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
// after "slow-down", and with 1009 for a message of absurd size.
package chat

import (
	"context"
	"embed"
	"io/fs"
	"net/http"
	"time"

	"github.com/fullduplex-go/websocket"
)

//go:embed web
var files embed.FS

// server is the chat's http.Handler.
type server struct {
	hub *hub
	ws  websocket.Server
	mux *http.ServeMux
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

func newServer(l limits) *server {
	s := &server{hub: newHub(l), mux: http.NewServeMux()}
	s.ws.Handler = func(conn *websocket.Conn) { serve(conn, s.hub) }
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
	s.mux.Handle("GET /ws", &s.ws)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// shutdown asks all pages to leave and waits until they have done so, but not
// longer than ctx lasts. They come back by themselves when there is a server
// again.
func (s *server) shutdown(ctx context.Context) error { return s.ws.Shutdown(ctx) }

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
