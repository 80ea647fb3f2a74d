package chat

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/fullduplex-go/websocket"
	"github.com/fullduplex-go/websocket/hub"
)

// lobby is the room that always exists.
const lobby = "lobby"

// listTopic is the topic of the lists of rooms. No room has this name, or that of a
// topic for typing.
const listTopic = "/rooms"

func typingTopic(room string) string { return room + "/typing" }

// listDelay is how long changes are collected before all visitors get the new list of
// rooms. Without it a thousand visitors that come back after a restart would cause a
// million messages.
const listDelay = 100 * time.Millisecond

// join moves c into a room, which it makes if there is none of that name. On an error
// c stays in its room.
func (s *Server) join(c *client, in incoming) error {
	id, err := checkKey(in.Key)
	if err != nil {
		return err
	}
	roomName, err := checkRoom(in.Room, s.limits.room)
	if err != nil {
		return err
	}
	name, err := checkName(in.Name, s.limits.name)
	if err != nil {
		return err
	}
	if err := s.move(c, id, roomName, name); err != nil {
		return err
	}
	// The page gets new messages after the earlier ones. A page that misses a
	// message must be told, and connect again; a missed typing notice does not
	// matter.
	err = errors.Join(
		c.subscribe(s.shared, roomName, &hub.SubscribeOptions{Policy: hub.Disconnect, Replay: true}),
		c.subscribe(s.shared, typingTopic(roomName), &hub.SubscribeOptions{Policy: hub.KeepLatest}))
	if err != nil {
		return err
	}
	s.sendEarlier(c)
	c.send(ready{Type: "ready", Room: roomName})
	return nil
}

// sendEarlier sends c the messages of other servers from before this one subscribed to
// the room. If this server has just subscribed, it asks the others for them.
func (s *Server) sendEarlier(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := c.room
	if len(r.earlier) > 0 {
		c.send(history{Type: "history", Room: r.name, Messages: r.earlier})
	}
	if !r.subscribed {
		r.subscribed = true
		s.peers.enqueue(pendingNotice{topic: peersTopic, room: r.name, ask: true})
		s.peers.flushSoon()
	}
}

// move is the part of join that is atomic for other visitors.
func (s *Server) move(c *client, id, roomName, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.open(roomName)
	if err != nil {
		return err
	}
	if names := r.names(); names[id] == "" && len(names) >= s.limits.people {
		return refuse("room-full", "There are %d people in %s already.", len(names), r.name)
	}
	c.unsubscribe()
	s.change(r, func() { r.enter(id, name) })
	s.leave(c)
	c.room, c.id = r, id
	names := r.names()
	c.send(welcome{
		Type: "welcome", Room: r.name, Server: s.name, You: id, Name: names[id],
		People: listPeople(names), Rooms: s.list(),
		Limits: limitsInfo{Name: s.limits.name, Room: s.limits.room, Text: s.limits.text, History: s.limits.history},
	})
	return errors.Join(
		c.subscribe(s.local, r.name, &hub.SubscribeOptions{Policy: hub.Disconnect}),
		c.subscribe(s.local, listTopic, &hub.SubscribeOptions{Policy: hub.KeepLatest}))
}

// leave takes c out of its room, if it is in one. The caller holds s.mu.
func (s *Server) leave(c *client) {
	if r := c.room; r != nil {
		c.room = nil
		s.change(r, func() { r.leave(c.id) })
	}
}

func (s *Server) rename(c *client, name string) error {
	name, err := checkName(name, s.limits.name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := c.room
	if r == nil {
		return notJoined()
	}
	s.change(r, func() { r.people[c.id].name = r.freeName(name, c.id) })
	return nil
}

// say publishes a text. If the message is there already, its author has missed the
// acknowledgement, and gets it again.
func (s *Server) say(c *client, id, text string) error {
	text, err := checkSay(id, text, s.limits.text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	r := c.room
	if r == nil {
		s.mu.Unlock()
		return notJoined()
	}
	at, again := r.recordMessage(c.id, id, time.Now().UnixMilli())
	m := message{Type: "message", Room: r.name, ID: id, From: c.id, Name: r.people[c.id].name, Text: text, At: at}
	if !again && s.peers != nil {
		r.said = appendBounded(r.said, m, s.limits.history)
	}
	s.mu.Unlock()
	if !again {
		// The key makes the history have a message once, even if it was said again
		// on another server.
		if err := s.publish(r.name, m.key(), m); err != nil {
			return err
		}
	}
	c.send(ack{Type: "ack", Room: r.name, ID: id, At: at})
	return nil
}

// typing tells all visitors of the room whether c's person is typing.
func (s *Server) typing(c *client, on bool) error {
	if c.room == nil {
		return notJoined()
	}
	return s.publish(typingTopic(c.room.name), c.id, typing{Type: "typing", Room: c.room.name, From: c.id, On: on})
}

// publish publishes v to the visitors of all servers that can be reached. It fails
// after the hub's shutdown.
func (s *Server) publish(topic, key string, v any) error {
	err := s.shared.PublishKey(topic, key, websocket.Text, encode(v))
	if errors.Is(err, hub.ErrClosed) {
		return err
	}
	s.notePublish(err)
	return nil
}

// change calls f, which changes this server's visitors in a room, and tells this
// server's visitors and the other servers. The caller holds s.mu.
func (s *Server) change(r *room, f func()) {
	s.update(r, f)
	s.peers.enqueue(pendingNotice{topic: peersTopic, room: r.name})
	s.announce()
}

// update calls f, which changes the people in a room, and tells this server's
// visitors the difference. The caller holds s.mu.
func (s *Server) update(r *room, f func()) {
	before := r.names()
	f()
	after := r.names()
	for _, id := range slices.Sorted(maps.Keys(after)) {
		switch name, was := after[id], before[id]; was {
		case name:
		case "":
			s.tell(r.name, presence{Type: "joined", Room: r.name, From: id, Name: name})
		default:
			s.tell(r.name, presence{Type: "renamed", Room: r.name, From: id, Name: name, Was: was})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if after[id] == "" {
			s.tell(r.name, presence{Type: "left", Room: r.name, From: id, Name: before[id]})
		}
	}
	if r.empty() && len(before) > 0 {
		r.emptySince = time.Now()
	}
	if len(before) != len(after) {
		s.announce()
	}
}

// tell publishes v to this server's own visitors. It may be called under s.mu, since
// it waits for no other server and no visitor.
func (s *Server) tell(topic string, v any) {
	// It fails after the hub's shutdown, when there are no visitors.
	_ = s.local.Publish(topic, websocket.Text, encode(v))
}

// open returns the room of that name, and makes it if there is none. When there are
// too many rooms, the one that has been empty the longest is dropped. The caller
// holds s.mu.
func (s *Server) open(name string) (*room, error) {
	if r := s.rooms[name]; r != nil {
		return r, nil
	}
	s.sweep()
	if len(s.rooms) >= s.limits.rooms {
		var oldest *room
		for _, r := range s.rooms {
			if r.empty() && r.name != lobby && (oldest == nil || r.emptySince.Before(oldest.emptySince)) {
				oldest = r
			}
		}
		if oldest == nil {
			return nil, refuse("too-many-rooms", "There are %d rooms already, and somebody in each.", len(s.rooms))
		}
		s.forget(oldest)
	}
	r := newRoom(name, s.limits)
	s.rooms[name] = r
	return r, nil
}

// sweep forgets the rooms that have been empty for too long. The caller holds
// s.mu.
func (s *Server) sweep() {
	for name, r := range s.rooms {
		if r.empty() && name != lobby && time.Since(r.emptySince) > s.limits.keepEmpty {
			s.forget(r)
		}
	}
}

// forget drops a room and its messages. The caller holds s.mu.
func (s *Server) forget(r *room) {
	delete(s.rooms, r.name)
	go func() { // the backplane may be slow
		for _, topic := range []string{r.name, typingTopic(r.name)} {
			if err := s.shared.Forget(topic); err != nil {
				slog.Warn("chat: cannot forget a room", "room", r.name, "error", err)
			}
		}
	}()
}

// list returns the rooms: first the lobby, then those with the most people. The
// caller holds s.mu.
func (s *Server) list() []roomInfo {
	s.sweep()
	list := make([]roomInfo, 0, len(s.rooms))
	for name, r := range s.rooms {
		list = append(list, roomInfo{Name: name, Count: len(r.names())})
	}
	slices.SortFunc(list, func(a, b roomInfo) int {
		switch lobby {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// announce soon sends the list of rooms to all visitors, and the lists of visitors to
// other servers. The caller holds s.mu.
func (s *Server) announce() {
	if s.listing {
		return
	}
	s.listing = true
	time.AfterFunc(listDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.listing = false
		s.tell(listTopic, roomList{Type: "rooms", Rooms: s.list()})
		s.peers.flushSoon()
	})
}
