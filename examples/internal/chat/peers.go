package chat

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fullduplex-go/websocket/hub"
)

// Several servers share their rooms. Messages and typing notices go from hub to hub.
// Each server sends the others the list of its visitors in each room, after each change
// and every listInterval. A list that was not repeated for listLifetime is dropped,
// because its server may have crashed.
//
// A server with its first visitor in a room asks the others for earlier messages of
// the room. It asks again when another server appears in the room, perhaps after a
// time out of reach. Each answers with the messages of its own visitors.
const (
	listInterval = 5 * time.Second
	listLifetime = 3 * listInterval
)

// peersTopic is the topic of all servers. Each has one of its own, too.
const peersTopic = "/servers"

func peerTopic(server string) string { return peersTopic + "/" + server }

// maxSaid bounds the earlier messages in one notice, in bytes. NATS takes 1 MiB.
const maxSaid = 512 << 10

// notice is a message between servers, as JSON.
type notice struct {
	Server string       `json:"server"` // the sender
	Room   string       `json:"room"`
	People []personInfo `json:"people"` // all its visitors in that room
	Ask    bool         `json:"ask,omitempty"`
	Answer bool         `json:"answer,omitempty"`
	Said   []message    `json:"said,omitempty"` // with Answer: what its visitors have said lately
}

// remotePeople holds the visitors of another server in a room.
type remotePeople struct {
	names    map[string]string // by id
	received time.Time
}

// pendingNotice is a notice that waits to be sent to a topic. Its content is looked up
// when it is sent.
type pendingNotice struct {
	topic, room string
	ask, answer bool
}

// peers sends notices to the other servers. It is nil if there are none.
type peers struct {
	id           string
	plane        hub.Backplane
	unsubscribes []func() error

	wake  chan struct{}
	end   context.CancelFunc
	ended chan struct{}
	err   error // of the end; set before ended is closed

	pending []pendingNotice // guarded by Server.mu
}

// joinPeers begins to exchange notices with the other servers.
func (s *Server) joinPeers(plane hub.Backplane) error {
	ctx, end := context.WithCancel(context.Background())
	p := &peers{id: rand.Text(), plane: plane, wake: make(chan struct{}, 1), end: end, ended: make(chan struct{})}
	s.peers = p
	for _, topic := range []string{peersTopic, peerTopic(p.id)} {
		leave, err := plane.Subscribe(topic, s.receiveNotice)
		if err != nil {
			end()
			return errors.Join(err, p.unsubscribe())
		}
		p.unsubscribes = append(p.unsubscribes, leave)
	}
	go s.sendNotices(ctx)
	return nil
}

// close ends the exchange of notices. It is called when the last visitor has left.
func (p *peers) close(ctx context.Context) error {
	if p == nil {
		return nil
	}
	p.end()
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done(): // it ends as soon as the backplane lets it
		return ctx.Err()
	}
}

func (p *peers) unsubscribe() (err error) {
	for _, leave := range p.unsubscribes {
		err = errors.Join(err, leave())
	}
	return err
}

// enqueue adds a notice to the queue, unless it is there already. It is sent after a
// call of flushSoon, or after listInterval. The caller holds Server.mu.
func (p *peers) enqueue(e pendingNotice) {
	if p != nil && !slices.Contains(p.pending, e) {
		p.pending = append(p.pending, e)
	}
}

// flushSoon has sendNotices send the queue.
func (p *peers) flushSoon() {
	if p == nil {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// sendNotices sends the queued notices until ctx is done. Notices are queued under
// s.mu, and the backplane may be slow, so it is called here, without the lock.
func (s *Server) sendNotices(ctx context.Context) {
	p := s.peers
	defer close(p.ended)
	ticker := time.NewTicker(listInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-p.wake:
		case <-ticker.C:
			s.refresh()
		case <-ctx.Done(): // the queue is sent once more
		}
		for topic, n := s.nextNotice(); n != nil; topic, n = s.nextNotice() {
			s.notePublish(p.plane.Publish(topic, encode(n)))
		}
	}
	p.err = p.unsubscribe()
}

// nextNotice removes the first pending notice from the queue, and returns it with its
// topic. If there is none it returns nil.
func (s *Server) nextNotice() (topic string, n *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers.pending) == 0 {
		return "", nil
	}
	e := s.peers.pending[0]
	s.peers.pending = slices.Delete(s.peers.pending, 0, 1)
	n = &notice{Server: s.peers.id, Room: e.room, Ask: e.ask, Answer: e.answer}
	if r := s.rooms[e.room]; r != nil {
		n.People = listPeople(r.namesHere())
		if e.answer {
			n.Said = slices.Clone(bounded(r.said, maxSaid))
		}
	}
	return e.topic, n
}

// bounded returns the newest messages that take no more than limit bytes.
func bounded(messages []message, limit int) []message {
	i := len(messages)
	for i > 0 {
		if limit -= len(encode(messages[i-1])) + 1; limit < 0 {
			break
		}
		i--
	}
	return messages[i:]
}

// refresh repeats the lists of this server's visitors, and drops lists of others that
// have not been repeated.
func (s *Server) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rooms {
		for server, remote := range r.remote {
			if time.Since(remote.received) > listLifetime {
				s.update(r, func() { delete(r.remote, server) })
			}
		}
		if len(r.people) > 0 {
			s.peers.enqueue(pendingNotice{topic: peersTopic, room: r.name})
		}
	}
}

// decodeNotice parses and checks a notice.
func decodeNotice(msg []byte, l limits) (n notice, err error) {
	if err := json.Unmarshal(msg, &n); err != nil {
		return n, err
	}
	switch {
	case n.Server == "":
		return n, errors.New("from nobody")
	case len(n.People) > l.people:
		return n, fmt.Errorf("%d people", len(n.People))
	}
	_, err = checkRoom(n.Room, l.room)
	return n, err
}

// receiveNotice handles a notice of another server.
func (s *Server) receiveNotice(msg []byte) {
	n, err := decodeNotice(msg, s.limits)
	if err != nil {
		slog.Warn("chat: bad notice of another server", "error", err)
		return
	}
	if n.Server == s.peers.id {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[n.Room]
	if r == nil {
		if len(n.People) == 0 {
			return
		}
		if r, err = s.open(n.Room); err != nil {
			return // too many rooms, and those of other servers are not more important
		}
	}
	if n.Ask {
		s.peers.enqueue(pendingNotice{topic: peerTopic(n.Server), room: r.name, answer: true})
		s.peers.flushSoon()
	}
	if _, known := r.remote[n.Server]; !known && r.subscribed && !n.Answer && len(n.People) > 0 {
		s.peers.enqueue(pendingNotice{topic: peerTopic(n.Server), room: r.name, ask: true})
		s.peers.flushSoon()
	}
	s.update(r, func() {
		delete(r.remote, n.Server)
		if len(n.People) > 0 {
			r.remote[n.Server] = newRemotePeople(n.People)
		}
	})
	if len(n.Said) > 0 {
		r.addEarlier(n.Said)
		s.tell(r.name, history{Type: "history", Room: r.name, Messages: n.Said})
	}
}

func newRemotePeople(people []personInfo) remotePeople {
	c := remotePeople{names: make(map[string]string), received: time.Now()}
	for _, p := range people {
		if p.ID != "" && p.Name != "" {
			c.names[p.ID] = p.Name
		}
	}
	return c
}

// notePublish records the result of publishing to other servers, and logs the first
// failure in a row. The chat goes on without them.
func (s *Server) notePublish(err error) {
	if was := s.planeFailed.Swap(err != nil); err != nil && !was {
		slog.Warn("chat: cannot reach other servers", "error", err)
	}
}
