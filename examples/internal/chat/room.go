package chat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// room is who is in it and what they may not say twice. What they do say is in
// the hub. It has no lock of its own: all of it is guarded by Server.mu.
type room struct {
	name   string
	limits limits
	people map[string]*person // those who are here, by id
	away   map[string]crowd   // those who are at other servers, by server

	// seen is the last limits.seen messages that were said, so that one that is
	// said again is recognised.
	seen []seen

	// What follows is needed only where there are other servers.
	followed bool      // the hub gets what is said at other servers,
	earlier  []message // and this was before: the last limits.history messages
	said     []message // the last limits.history messages that were said here

	emptySince time.Time // when the last one left; counts only without people
}

// person is someone in a room. A person may have several connections, as when
// a browser tab is duplicated, or when an old connection is dead and nobody
// has noticed yet.
type person struct {
	name        string
	connections int
}

// seen is what a room remembers of a message. It takes the author to tell
// messages apart: pages make the ids up, and one page could take another's.
type seen struct {
	from, id string
	at       int64
}

func newRoom(name string, l limits) *room {
	return &room{
		name: name, limits: l, emptySince: time.Now(),
		people: make(map[string]*person),
		away:   make(map[string]crowd),
	}
}

// enter adds a connection of the person id.
func (r *room) enter(id, name string) {
	p := r.people[id]
	if p == nil {
		p = new(person)
		r.people[id] = p
	}
	p.connections++
	p.name = r.freeName(name, id)
}

// leave undoes enter.
func (r *room) leave(id string) {
	p := r.people[id]
	if p.connections--; p.connections == 0 {
		delete(r.people, id)
	}
}

// names returns everyone in the room, here and at other servers: their names by
// their ids.
func (r *room) names() map[string]string {
	names := r.namesHere()
	for _, crowd := range r.away {
		for id, name := range crowd.names {
			if names[id] == "" {
				names[id] = name
			}
		}
	}
	return names
}

func (r *room) namesHere() map[string]string {
	names := make(map[string]string)
	for id, p := range r.people {
		names[id] = p.name
	}
	return names
}

func (r *room) empty() bool { return len(r.people) == 0 && len(r.away) == 0 }

// freeName returns name, or name with a number if another person has it.
func (r *room) freeName(name, id string) string {
	names := r.names()
	taken := func(name string) bool {
		for other, has := range names {
			if other != id && strings.EqualFold(has, name) {
				return true
			}
		}
		return false
	}
	free := name
	for n := 2; taken(free); n++ {
		number := fmt.Sprint(" ", n)
		chars := []rune(name)
		free = string(chars[:min(len(chars), r.limits.name-len(number))]) + number
	}
	return free
}

// repeated notes that a message is said now. If it was said before it returns
// when that was.
func (r *room) repeated(from, id string, now int64) (at int64, again bool) {
	i := slices.IndexFunc(r.seen, func(s seen) bool { return s.from == from && s.id == id })
	if i >= 0 {
		return r.seen[i].at, true
	}
	r.seen = appendBounded(r.seen, seen{from, id, now}, r.limits.seen)
	return now, false
}

// remember adds to what was said earlier.
func (r *room) remember(messages []message) {
	known := make(map[string]bool)
	all := slices.Concat(r.earlier, messages)
	all = slices.DeleteFunc(all, func(m message) bool {
		was := known[m.key()]
		known[m.key()] = true
		return was
	})
	slices.SortStableFunc(all, func(a, b message) int { return cmp.Compare(a.At, b.At) })
	r.earlier = bounded(all[max(0, len(all)-r.limits.history):], maxSaid)
}

// everyone lists people, by name.
func everyone(names map[string]string) []someone {
	list := make([]someone, 0, len(names))
	for id, name := range names {
		list = append(list, someone{ID: id, Name: name})
	}
	slices.SortFunc(list, func(a, b someone) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
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
