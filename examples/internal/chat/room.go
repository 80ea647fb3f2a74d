package chat

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// room holds the people in a room, and the ids of their messages, to recognise
// repetitions. The messages are in the hub. All of it is guarded by Server.mu.
type room struct {
	name   string
	limits limits
	people map[string]*person      // on this server, by id
	remote map[string]remotePeople // on other servers, by server

	// recent holds the last limits.recent messages, to recognise one that is sent
	// again.
	recent []recentMessage

	// The fields below are needed only if there are other servers.
	subscribed bool      // the hub gets the messages of other servers
	earlier    []message // the last limits.history messages from before it did
	said       []message // the last limits.history messages of this server's visitors

	emptySince time.Time // when the last person left; valid only without people
}

// person is someone in a room. A person may have several connections, as when
// a browser tab is duplicated, or when an old connection is dead and that has
// not been noticed yet.
type person struct {
	name        string
	connections int
}

// recentMessage is a room's record of a message. The key has the author: pages make up the
// ids, so one page could use another's.
type recentMessage struct {
	from, id string
	at       int64
}

func newRoom(name string, l limits) *room {
	return &room{
		name: name, limits: l, emptySince: time.Now(),
		people: make(map[string]*person),
		remote: make(map[string]remotePeople),
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
	for _, remote := range r.remote {
		for id, name := range remote.names {
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

func (r *room) empty() bool { return len(r.people) == 0 && len(r.remote) == 0 }

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

// recordMessage records a message of the time now. If the room has a record of it,
// recordMessage returns the time of that.
func (r *room) recordMessage(from, id string, now int64) (at int64, again bool) {
	i := slices.IndexFunc(r.recent, func(s recentMessage) bool { return s.from == from && s.id == id })
	if i >= 0 {
		return r.recent[i].at, true
	}
	r.recent = appendBounded(r.recent, recentMessage{from, id, now}, r.limits.recent)
	return now, false
}

// addEarlier adds messages to earlier.
func (r *room) addEarlier(messages []message) {
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

// listPeople lists people, by name.
func listPeople(names map[string]string) []personInfo {
	list := make([]personInfo, 0, len(names))
	for id, name := range names {
		list = append(list, personInfo{ID: id, Name: name})
	}
	slices.SortFunc(list, func(a, b personInfo) int {
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
