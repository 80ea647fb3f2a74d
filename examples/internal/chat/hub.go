package chat

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lobby is the room that always exists.
const lobby = "lobby"

// listDelay is how long the hub collects changes to the list of rooms before
// everyone gets the new one. Without it a thousand people who come back after
// a restart would cause a million messages.
const listDelay = 100 * time.Millisecond

// hub is all the rooms and everyone in them.
//
// One lock guards everything, and that is enough: under it there is only a look
// into a map and a few sends to channels that never block. No connection is
// read from or written to while it is held, so nobody can hold up the others.
type hub struct {
	limits limits

	mu      sync.Mutex
	rooms   map[string]*room
	clients map[*client]bool // those who are in a room
	listing bool             // a new list of rooms is on its way
}

func newHub(l limits) *hub {
	h := &hub{limits: l, rooms: make(map[string]*room), clients: make(map[*client]bool)}
	h.rooms[lobby] = newRoom(lobby, l, time.Now())
	return h
}

// join moves c into a room, which is made if there is none of that name. If
// anything speaks against it c stays where it is.
func (h *hub) join(c *client, key, roomName, name string) error {
	id, err := checkKey(key)
	if err != nil {
		return err
	}
	if roomName, err = checkRoom(roomName, h.limits.room); err != nil {
		return err
	}
	if name, err = checkName(name, h.limits.name); err != nil {
		return err
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.open(roomName)
	if err != nil {
		return err
	}
	if c.room != r || c.person.id != id {
		p, err := r.join(c, id, name)
		if err != nil {
			return err
		}
		if c.room != nil {
			c.room.leave(c, time.Now())
		}
		c.room, c.person = r, p
		h.clients[c] = true
		h.announce()
	} else {
		r.rename(c.person, name)
	}
	c.send(encode(welcome{
		Type: "welcome", Room: r.name, You: c.person.id, Name: c.person.name,
		People: r.everyone(), History: r.history, Rooms: h.list(),
		Limits: lengths{Name: h.limits.name, Room: h.limits.room, Text: h.limits.text},
	}))
	return nil
}

// leave takes c out of the chat. It may be called for a client that never came
// in.
func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.room == nil {
		return
	}
	c.room.leave(c, time.Now())
	c.room, c.person = nil, nil
	delete(h.clients, c)
	h.announce()
}

func (h *hub) rename(c *client, name string) error {
	name, err := checkName(name, h.limits.name)
	if err != nil {
		return err
	}
	return h.inRoom(c, func(r *room) { r.rename(c.person, name) })
}

func (h *hub) say(c *client, id, text string) error {
	text, err := checkSay(id, text, h.limits.text)
	if err != nil {
		return err
	}
	return h.inRoom(c, func(r *room) { r.say(c, id, text, time.Now()) })
}

func (h *hub) typing(c *client, on bool) error {
	return h.inRoom(c, func(r *room) { r.typing(c.person, on) })
}

// inRoom calls f with the room that c is in, under the lock.
func (h *hub) inRoom(c *client, f func(*room)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.room == nil {
		return refuse("not-joined", "Join a room first.")
	}
	f(c.room)
	return nil
}

// open returns the room of that name and makes it if need be. When there are
// too many, the one that has been empty the longest gives way. The caller holds
// h.mu.
func (h *hub) open(name string) (*room, error) {
	if r := h.rooms[name]; r != nil {
		return r, nil
	}
	h.sweep()
	if len(h.rooms) >= h.limits.rooms {
		var oldest *room
		for _, r := range h.rooms {
			if len(r.people) == 0 && r.name != lobby && (oldest == nil || r.emptySince.Before(oldest.emptySince)) {
				oldest = r
			}
		}
		if oldest == nil {
			return nil, refuse("too-many-rooms", "There are %d rooms already, and somebody in each.", len(h.rooms))
		}
		delete(h.rooms, oldest.name)
	}
	r := newRoom(name, h.limits, time.Now())
	h.rooms[name] = r
	return r, nil
}

// sweep forgets the rooms that have been empty for too long. The caller holds
// h.mu.
func (h *hub) sweep() {
	for name, r := range h.rooms {
		if len(r.people) == 0 && name != lobby && time.Since(r.emptySince) > h.limits.forget {
			delete(h.rooms, name)
		}
	}
}

// list returns the rooms: first the lobby, then those with the most people. The
// caller holds h.mu.
func (h *hub) list() []roomInfo {
	h.sweep()
	list := make([]roomInfo, 0, len(h.rooms))
	for name, r := range h.rooms {
		list = append(list, roomInfo{Name: name, Count: len(r.people)})
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

// announce sends everyone the list of rooms, soon. The caller holds h.mu.
func (h *hub) announce() {
	if h.listing {
		return
	}
	h.listing = true
	time.AfterFunc(listDelay, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.listing = false
		msg := encode(roomList{Type: "rooms", Rooms: h.list()})
		for c := range h.clients {
			c.send(msg)
		}
	})
}
