package hub

import (
	"log/slog"
	"runtime/debug"
)

// event is the join or the leave of a member.
type event struct {
	member string
	left   bool
}

// joinLocked counts a subscription of a member. The caller holds t.mu.
func (t *topic) joinLocked(member string) {
	if t.members == nil {
		t.members = make(map[string]int)
	}
	t.members[member]++
	if t.members[member] == 1 && t.hub.opts.OnJoin != nil {
		t.tellLocked(event{member: member})
	}
}

// leaveLocked undoes joinLocked.
func (t *topic) leaveLocked(member string) {
	t.members[member]--
	if t.members[member] > 0 {
		return
	}
	delete(t.members, member)
	if len(t.members) == 0 {
		t.members = nil
	}
	if t.hub.opts.OnLeave != nil {
		t.tellLocked(event{member, true})
	}
}

// tellLocked queues a call of OnJoin or OnLeave. The topic is kept until the call
// has returned, so that a later topic of the same name does not overtake it.
func (t *topic) tellLocked(e event) {
	t.events = append(t.events, e)
	if !t.telling {
		t.telling = true
		t.refs++
		t.hub.telling.Enter()
		go t.tell()
	}
}

// tell calls the callbacks. It runs in a goroutine of its own, one per topic.
func (t *topic) tell() {
	defer t.hub.telling.Leave()
	defer t.release()
	for {
		t.mu.Lock()
		events := t.events
		t.events = nil
		t.telling = len(events) > 0
		t.mu.Unlock()
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			t.call(e)
		}
	}
}

func (t *topic) call(e event) {
	h := t.hub
	name, f := "OnJoin", h.opts.OnJoin
	if e.left {
		name, f = "OnLeave", h.opts.OnLeave
	}
	defer func() {
		if v := recover(); v != nil {
			h.logger().Error("hub: panic in "+name, slog.String("topic", t.name),
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		}
	}()
	f(t.name, e.member)
}
