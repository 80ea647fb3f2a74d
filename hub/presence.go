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

// presence is the members of a topic. It is guarded by topic.mu.
type presence struct {
	members map[string]int // number of subscriptions of each member
	events  []event        // waiting for their call of OnJoin or OnLeave
	telling bool           // a goroutine makes these calls
}

// joinLocked counts a subscription of a member. The caller holds t.mu.
func (t *topic) joinLocked(member string) {
	if t.presence == nil {
		t.presence = &presence{members: make(map[string]int)}
	}
	t.presence.members[member]++
	if t.presence.members[member] == 1 && t.hub.opts.OnJoin != nil {
		t.tellLocked(event{member: member})
	}
}

// leaveLocked undoes joinLocked.
func (t *topic) leaveLocked(member string) {
	p := t.presence
	p.members[member]--
	if p.members[member] > 0 {
		return
	}
	delete(p.members, member)
	if t.hub.opts.OnLeave != nil {
		t.tellLocked(event{member, true})
	}
	t.endPresenceLocked()
}

// tellLocked queues a call of OnJoin or OnLeave. The topic is kept until the call
// has returned, so that a later topic of the same name does not overtake it.
func (t *topic) tellLocked(e event) {
	p := t.presence
	p.events = append(p.events, e)
	if !p.telling {
		p.telling = true
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
		events := t.takeEvents()
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			t.call(e)
		}
	}
}

// takeEvents returns the calls that are due. If there are none, tell ends.
func (t *topic) takeEvents() []event {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.presence
	events := p.events
	p.events = nil
	p.telling = len(events) > 0
	t.endPresenceLocked()
	return events
}

// endPresenceLocked frees the presence if nothing is in it.
func (t *topic) endPresenceLocked() {
	if p := t.presence; len(p.members) == 0 && !p.telling {
		t.presence = nil
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
