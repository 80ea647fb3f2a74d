package feed

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fullduplex-go/websocket"
)

// The paths, to which the name of the topic is appended. The first two take the
// number of the last update that the client has seen: "?after=10017".
const (
	PollPath   = "/poll/"   // the latest update, or 204 if the client has seen it
	WaitPath   = "/wait/"   // likewise, but wait until there is one
	EventsPath = "/events/" // all updates from now on, as server-sent events
	SocketPath = "/ws/"     // all updates from now on, on a WebSocket
)

// waitLimit bounds the wait of a client of WaitPath. Proxies do not let it wait for
// ever.
const waitLimit = 30 * time.Second

// Handler serves all paths. WebSockets get the given options.
func (s *Source) Handler(options websocket.AcceptOptions) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PollPath+"{topic}", s.poll)
	mux.HandleFunc("GET "+WaitPath+"{topic}", s.wait)
	mux.HandleFunc("GET "+EventsPath+"{topic}", s.events)
	mux.Handle("GET "+SocketPath+"{topic}", &websocket.Server{AcceptOptions: options, Handler: s.serve})
	return mux
}

// asked returns the topic of a request, and the number of the last update that the
// client has seen. It answers an invalid request itself and returns nil.
func (s *Source) asked(w http.ResponseWriter, r *http.Request) (t *topic, seen int) {
	name, err := strconv.Atoi(r.PathValue("topic"))
	if t = s.topic(name); err != nil || t == nil {
		http.NotFound(w, r)
		return nil, 0
	}
	if seen, err = strconv.Atoi(r.URL.Query().Get("after")); err != nil {
		http.Error(w, "after is not a number", http.StatusBadRequest)
		return nil, 0
	}
	return t, seen
}

// answer sends an update, or that there is none.
func answer(w http.ResponseWriter, update []byte) {
	if update == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(update)
}

func (s *Source) poll(w http.ResponseWriter, r *http.Request) {
	if t, seen := s.asked(w, r); t != nil {
		answer(w, t.after(seen))
	}
}

func (s *Source) wait(w http.ResponseWriter, r *http.Request) {
	t, seen := s.asked(w, r)
	if t == nil {
		return
	}
	// Subscribe first: an update in between is then seen twice, not missed.
	updates, cancel := t.subscribe(1)
	defer cancel()
	update := t.after(seen)
	if update == nil {
		timer := time.NewTimer(waitLimit)
		defer timer.Stop()
		select {
		case update = <-updates:
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	answer(w, update)
}

func (s *Source) events(w http.ResponseWriter, r *http.Request) {
	name, err := strconv.Atoi(r.PathValue("topic"))
	t := s.topic(name)
	if err != nil || t == nil {
		http.NotFound(w, r)
		return
	}
	updates, cancel := t.subscribe(16)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flusher := http.NewResponseController(w)
	for err = flusher.Flush(); err == nil; err = flusher.Flush() {
		select {
		case update := <-updates:
			w.Write([]byte("data: "))
			w.Write(update)
			w.Write([]byte("\n\n"))
		case <-r.Context().Done():
			return
		}
	}
}

// attach subscribes the connection to the topic in its path. It returns a function
// that ends the subscription, or nil if there is no such topic.
//
// The source itself writes. A client that does not read would hold up all others, but
// those of the benchmark read.
func (s *Source) attach(c *websocket.Conn) (detach func()) {
	name, err := strconv.Atoi(strings.TrimPrefix(c.Request().URL.Path, SocketPath))
	t := s.topic(name)
	if err != nil || t == nil {
		return nil
	}
	sub := &subscriber{func(update []byte) {
		c.Write(context.Background(), websocket.Text, update) // one that fails ends by itself
	}}
	t.subscribers.Add(sub)
	return func() { t.subscribers.Remove(sub) }
}

// serve serves a connection on a goroutine of its own, which reads control frames.
func (s *Source) serve(c *websocket.Conn) {
	detach := s.attach(c)
	if detach == nil {
		c.Close(websocket.StatusPolicyViolation, "no such topic")
		return
	}
	defer detach()
	if _, _, err := c.Read(c.Context()); err == nil {
		c.Close(websocket.StatusPolicyViolation, "nobody has asked you")
	}
}
