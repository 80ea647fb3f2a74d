package chat

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// room is a place where everyone hears everyone. It has no lock of its own: all
// of it is guarded by hub.mu. It writes to nobody's connection; what it has to
// say it puts into the clients' queues, and that never blocks.
type room struct {
	name    string
	limits  limits
	people  []*person // in the order in which they came
	history []message // the last limits.history messages, the oldest first
	seq     int       // number of the last message

	// seen holds the last limits.seen messages by author and id, so that one
	// that is sent again is recognised; seenOrder has the same, the oldest
	// first.
	seen      map[messageKey]ack
	seenOrder []messageKey

	emptySince time.Time // when the last one left; counts only without people
}

// person is someone in a room. A person may have several connections, as when
// a browser tab is duplicated, or when an old connection is dead and nobody
// has noticed yet. So presence is about people, delivery about clients.
type person struct {
	id, name string
	clients  []*client
}

// messageKey tells messages apart. An id alone would not do: pages make them
// up, and one page could take another's.
type messageKey struct{ from, id string }

func newRoom(name string, l limits, now time.Time) *room {
	return &room{
		name: name, limits: l, emptySince: now,
		history: []message{}, // not nil, which would be null in JSON
		seen:    make(map[messageKey]ack),
	}
}

// join brings c into the room as the person id, and returns that person. The
// others hear of it unless the person was there already.
func (r *room) join(c *client, id, name string) (*person, error) {
	if p := r.find(id); p != nil {
		p.clients = append(p.clients, c)
		r.rename(p, name)
		return p, nil
	}
	if len(r.people) >= r.limits.people {
		return nil, refuse("room-full", "There are %d people in %s already.", len(r.people), r.name)
	}
	p := &person{id: id, name: r.freeName(name, id), clients: []*client{c}}
	r.broadcast(presence{Type: "joined", Room: r.name, From: p.id, Name: p.name}, nil)
	r.people = append(r.people, p)
	return p, nil
}

// leave takes c out of the room. The others hear of it when it was the last
// connection of its person.
func (r *room) leave(c *client, now time.Time) {
	p := c.person
	if p.clients = without(p.clients, c); len(p.clients) > 0 {
		return
	}
	r.people = without(r.people, p)
	r.emptySince = now
	r.broadcast(presence{Type: "left", Room: r.name, From: p.id, Name: p.name}, nil)
}

// rename gives p another name, or the nearest one that is free.
func (r *room) rename(p *person, name string) {
	was := p.name
	if p.name = r.freeName(name, p.id); p.name != was {
		r.broadcast(presence{Type: "renamed", Room: r.name, From: p.id, Name: p.name, Was: was}, nil)
	}
}

// say publishes a text, unless it is there already: then the author has missed
// the acknowledgement, and gets that again.
func (r *room) say(c *client, id, text string, now time.Time) {
	key := messageKey{c.person.id, id}
	if a, ok := r.seen[key]; ok {
		c.send(encode(a))
		return
	}
	r.seq++
	m := message{Seq: r.seq, ID: id, From: c.person.id, Name: c.person.name, Text: text, At: now.UnixMilli()}
	a := ack{Type: "ack", Room: r.name, ID: id, Seq: m.Seq, At: m.At}
	r.history = appendBounded(r.history, m, r.limits.history)
	if len(r.seenOrder) == r.limits.seen {
		delete(r.seen, r.seenOrder[0])
	}
	r.seen[key] = a
	r.seenOrder = appendBounded(r.seenOrder, key, r.limits.seen)

	m.Type, m.Room = "message", r.name
	r.broadcast(m, c)
	c.send(encode(a))
}

// typing tells the others, on all their connections, whether p writes.
func (r *room) typing(p *person, on bool) {
	msg := encode(typing{Type: "typing", Room: r.name, From: p.id, On: on})
	for _, other := range r.people {
		if other != p {
			other.send(msg, nil)
		}
	}
}

// broadcast queues v for everyone in the room, but not for except.
func (r *room) broadcast(v any, except *client) {
	msg := encode(v)
	for _, p := range r.people {
		p.send(msg, except)
	}
}

func (p *person) send(msg []byte, except *client) {
	for _, c := range p.clients {
		if c != except {
			c.send(msg)
		}
	}
}

// find returns the person with that id, or nil.
func (r *room) find(id string) *person {
	if i := slices.IndexFunc(r.people, func(p *person) bool { return p.id == id }); i >= 0 {
		return r.people[i]
	}
	return nil
}

// freeName returns name, or name with a number if another person has it.
func (r *room) freeName(name, id string) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(r.people, func(p *person) bool {
			return p.id != id && strings.EqualFold(p.name, name)
		})
	}
	free := name
	for n := 2; taken(free); n++ {
		number := fmt.Sprint(" ", n)
		chars := []rune(name)
		free = string(chars[:min(len(chars), r.limits.name-len(number))]) + number
	}
	return free
}

// everyone lists who is in the room.
func (r *room) everyone() []someone {
	list := make([]someone, len(r.people))
	for i, p := range r.people {
		list[i] = someone{ID: p.id, Name: p.name}
	}
	return list
}

// appendBounded appends v to s and drops the oldest when there are more than
// limit.
func appendBounded[T any](s []T, v T, limit int) []T {
	if len(s) == limit {
		s = slices.Delete(s, 0, 1)
	}
	return append(s, v)
}

// without removes v from s.
func without[T comparable](s []T, v T) []T {
	if i := slices.Index(s, v); i >= 0 {
		return slices.Delete(s, i, i+1)
	}
	return s
}
