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
	people map[string]*person // by id

	// seen is the last limits.seen messages that were said, so that one that is
	// said again is recognised.
	seen []seen

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

// names returns everyone in the room: their names by their ids.
func (r *room) names() map[string]string {
	names := make(map[string]string)
	for id, p := range r.people {
		names[id] = p.name
	}
	return names
}

func (r *room) empty() bool { return len(r.people) == 0 }

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

// said notes that a message is said, or returns when it was said before.
func (r *room) said(from, id string, now int64) (at int64, again bool) {
	i := slices.IndexFunc(r.seen, func(s seen) bool { return s.from == from && s.id == id })
	if i >= 0 {
		return r.seen[i].at, true
	}
	r.seen = appendBounded(r.seen, seen{from, id, now}, r.limits.seen)
	return now, false
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
