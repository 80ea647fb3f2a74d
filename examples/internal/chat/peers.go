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
// Each server tells the others its visitors in each room: whenever they have changed,
// and every tellEvery. A list that has not been repeated for the time believe is
// dropped; its server may have crashed.
//
// A server with its first visitor in a room asks the others for earlier messages of
// the room. It asks again when another server appears in the room, perhaps after a
// time out of reach. Each answers with the messages of its own visitors.
const (
	tellEvery = 5 * time.Second
	believe   = 3 * tellEvery
)

// peersTopic is the topic of all servers. Each has one of its own, too.
const peersTopic = "/servers"

func peerTopic(server string) string { return peersTopic + "/" + server }

// maxSaid bounds the earlier messages in one notice, in bytes. NATS takes 1 MiB.
const maxSaid = 512 << 10

// notice is a message between servers, as JSON.
type notice struct {
	Server string    `json:"server"` // the sender
	Room   string    `json:"room"`
	People []someone `json:"people"` // all its visitors in that room
	Ask    bool      `json:"ask,omitempty"`
	Answer bool      `json:"answer,omitempty"`
	Said   []message `json:"said,omitempty"` // with Answer: what its visitors have said lately
}

// crowd holds the visitors of another server in a room.
type crowd struct {
	names map[string]string // by id
	heard time.Time
}

// errand is a notice to be sent to a topic. Its content is looked up when it is sent.
type errand struct {
	to, room    string
	ask, answer bool
}

// peers is a server's part in the exchange. It is nil if there are no other servers.
type peers struct {
	id    string
	plane hub.Backplane
	leave []func() error

	wake  chan struct{}
	end   context.CancelFunc
	ended chan struct{}
	err   error // of the end; set before ended is closed

	errands []errand // guarded by Server.mu
}

// meet has s take part in the exchange.
func (s *Server) meet(plane hub.Backplane) error {
	ctx, end := context.WithCancel(context.Background())
	p := &peers{id: rand.Text(), plane: plane, wake: make(chan struct{}, 1), end: end, ended: make(chan struct{})}
	s.peers = p
	for _, topic := range []string{peersTopic, peerTopic(p.id)} {
		leave, err := plane.Subscribe(topic, s.hear)
		if err != nil {
			end()
			return errors.Join(err, p.unsubscribe())
		}
		p.leave = append(p.leave, leave)
	}
	go s.keepInTouch(ctx)
	return nil
}

// part ends that, when the last visitor has left.
func (p *peers) part(ctx context.Context) error {
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
	for _, leave := range p.leave {
		err = errors.Join(err, leave())
	}
	return err
}

// later adds an errand, unless it is there already. The errand is done after a call
// of hurry, or in a while. The caller holds Server.mu.
func (p *peers) later(e errand) {
	if p != nil && !slices.Contains(p.errands, e) {
		p.errands = append(p.errands, e)
	}
}

func (p *peers) hurry() {
	if p == nil {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// keepInTouch does the errands until ctx is done. Errands arise under s.mu, and the
// backplane may be slow, so it is called from here.
func (s *Server) keepInTouch(ctx context.Context) {
	p := s.peers
	defer close(p.ended)
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-p.wake:
		case <-ticker.C:
			s.refresh()
		case <-ctx.Done(): // there may be some left
		}
		for topic, n := s.errand(); n != nil; topic, n = s.errand() {
			s.reached(p.plane.Publish(topic, encode(n)))
		}
	}
	p.err = p.unsubscribe()
}

// errand takes an errand, and returns its notice and topic. If there is none it
// returns nil.
func (s *Server) errand() (topic string, n *notice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.peers.errands) == 0 {
		return "", nil
	}
	e := s.peers.errands[0]
	s.peers.errands = slices.Delete(s.peers.errands, 0, 1)
	n = &notice{Server: s.peers.id, Room: e.room, Ask: e.ask, Answer: e.answer}
	if r := s.rooms[e.room]; r != nil {
		n.People = everyone(r.namesHere())
		if e.answer {
			n.Said = slices.Clone(bounded(r.said, maxSaid))
		}
	}
	return e.to, n
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
		for server, crowd := range r.away {
			if time.Since(crowd.heard) > believe {
				s.update(r, func() { delete(r.away, server) })
			}
		}
		if len(r.people) > 0 {
			s.peers.later(errand{to: peersTopic, room: r.name})
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

// hear handles a notice of another server.
func (s *Server) hear(msg []byte) {
	n, err := decodeNotice(msg, s.limits)
	if err != nil {
		slog.Warn("chat: another server says what makes no sense", "error", err)
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
		s.peers.later(errand{to: peerTopic(n.Server), room: r.name, answer: true})
		s.peers.hurry()
	}
	if _, known := r.away[n.Server]; !known && r.followed && !n.Answer && len(n.People) > 0 {
		s.peers.later(errand{to: peerTopic(n.Server), room: r.name, ask: true})
		s.peers.hurry()
	}
	s.update(r, func() {
		delete(r.away, n.Server)
		if len(n.People) > 0 {
			r.away[n.Server] = newCrowd(n.People)
		}
	})
	if len(n.Said) > 0 {
		r.remember(n.Said)
		s.tell(r.name, history{Type: "history", Room: r.name, Messages: n.Said})
	}
}

func newCrowd(people []someone) crowd {
	c := crowd{names: make(map[string]string), heard: time.Now()}
	for _, p := range people {
		if p.ID != "" && p.Name != "" {
			c.names[p.ID] = p.Name
		}
	}
	return c
}

// reached takes the result of publishing to other servers, and logs the first failure
// in a row. The chat goes on without them.
func (s *Server) reached(err error) {
	if was := s.cutOff.Swap(err != nil); err != nil && !was {
		slog.Warn("chat: cannot reach other servers", "error", err)
	}
}
