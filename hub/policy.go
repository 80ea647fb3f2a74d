package hub

import (
	"errors"
	"fmt"

	"github.com/fullduplex-go/websocket"
)

// Policy says what happens to a message for a connection whose peer does not
// keep up.
type Policy uint8

const (
	// DropNewest drops the message when the connection's own queue
	// ([websocket.Options].SendBuffer) has no room for it. Queued messages
	// arrive, however old they are.
	DropNewest Policy = iota
	// DropOldest keeps the newest messages: while the connection's own queue is
	// not drained, the hub keeps up to SubscribeOptions.Queue messages, and
	// drops the oldest when there are more. Messages that leave together, up to
	// 16 KiB (see [Hub.Publish]), are given to a connection that keeps up all
	// together.
	//
	// A message that the system has taken can no longer be dropped. So
	// DropOldest and [KeepLatest] let the system take little: Subscribe calls
	// [websocket.Conn.LimitUnsent] with 16 KiB. That limit holds for everything
	// that is sent on the connection, so the connection's own queue fills
	// earlier, too. Call LimitUnsent after Subscribe for another limit. Messages
	// on their way, and those that the peer's system has received and the peer
	// has not read, often some 64 KiB, arrive however old they are.
	DropOldest
	// KeepLatest keeps the newest message of each key (see [Hub.PublishKey]):
	// while the connection's own queue is not drained, a message takes the place
	// of a waiting one with the same key. So a slow reader sees fewer prices,
	// but none that is older than the time it takes to read the messages that
	// its own system has received (see [DropOldest]). Keys are sent in the order
	// in which they began to wait, so a key that changes all the time can
	// neither starve the others nor be starved. Messages without a key count as
	// those of one key, "".
	KeepLatest
	// Disconnect closes the connection when its own queue has no room: with
	// SubscribeOptions.Code and Reason, without waiting for the close. A peer
	// with this policy gets every message, or is told that it did not. For a message
	// that is larger than the queue the reason is "message too big", and a newcomer
	// gets the replay without that message.
	Disconnect
)

// policies is the table of the policies: a new one needs a constant and a row.
var policies = [...]rules{
	DropNewest: {name: "drop newest", full: (*Subscription).drop},
	DropOldest: {name: "drop oldest", queue: 64, full: (*Subscription).replaceOldest},
	KeepLatest: {name: "keep latest", queue: 1024, keyed: true, full: (*Subscription).replaceOldest},
	Disconnect: {name: "disconnect", full: (*Subscription).disconnect, tooBig: (*Subscription).disconnectTooBig},
}

// rules are what a policy does. By default messages wait in the connection's own
// queue only, and one that is larger than that queue is left out.
type rules struct {
	name string

	// queue is the default of SubscribeOptions.Queue: how many messages the hub
	// keeps for a slow reader. With 0 the hub keeps none.
	queue int
	// keyed replaces a waiting message by a newer one of the same key.
	keyed bool

	// full is called with a message for which there is no room: in the hub's queue
	// or, if the policy has none, in the connection's. tooBig is called with a
	// message that is larger than the connection's queue, and was left out; nil means
	// that nothing else happens. They get the error of the connection. If they return one, that ends
	// the subscription. They are called with chunk.mu held, and must not wait.
	full, tooBig func(*Subscription, *message, *counts, error) error
}

func (p Policy) rules() *rules { return &policies[p] }

// String returns the name of the policy, such as "drop oldest".
func (p Policy) String() string {
	if int(p) < len(policies) {
		return policies[p].name
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// queues reports whether the hub keeps messages for slow readers, beyond what
// the connection does.
func (p Policy) queues() bool { return policies[p].queue > 0 }

// drop leaves m out.
func (s *Subscription) drop(_ *message, n *counts, _ error) error {
	s.extraLocked().dropped++
	n.dropped++
	return nil
}

// replaceOldest drops the message that has waited longest, and queues m.
func (s *Subscription) replaceOldest(m *message, n *counts, err error) error {
	s.extra.backlog.pop()
	s.extra.backlog.push(m)
	return s.drop(m, n, err)
}

// disconnect closes the connection of a peer that does not keep up.
func (s *Subscription) disconnect(_ *message, n *counts, err error) error {
	return s.closeConn(s.closing(), n, err)
}

// disconnectTooBig closes the connection, whose peer has missed a message although it
// keeps up.
func (s *Subscription) disconnectTooBig(_ *message, n *counts, err error) error {
	return s.closeConn(closeWith{s.closing().code, "message too big"}, n, err)
}

// closeConn closes the connection, without waiting for that.
func (s *Subscription) closeConn(with closeWith, n *counts, err error) error {
	n.disconnected++
	go s.client.conn.Close(with.code, with.reason)
	return fmt.Errorf("hub: disconnected: %w", err)
}

// refused applies the policy to m, which the connection has refused with err.
func (s *Subscription) refused(m *message, n *counts, err error) error {
	r := s.policy.rules()
	switch {
	case errors.Is(err, websocket.ErrBackpressure) && r.queue > 0:
		return s.delay(m, n)
	case errors.Is(err, websocket.ErrBackpressure):
		return r.full(s, m, n, err)
	case !tooBig(err):
		return err // the connection has ended
	}
	s.leaveOut(n)
	if r.tooBig == nil || s.entry() != nil { // a newcomer gets the rest of the replay
		return nil
	}
	return r.tooBig(s, m, n, err)
}

// leaveOut counts a message that the connection can never take.
func (s *Subscription) leaveOut(n *counts) {
	s.extraLocked().tooBig++
	n.tooBig++
}

// isRefusal reports whether err is about a message that the connection does not take,
// now or ever. Any other error means that the connection has ended.
func isRefusal(err error) bool { return errors.Is(err, websocket.ErrBackpressure) || tooBig(err) }

// tooBig reports whether err is about a message that does not fit into the
// connection's queue, even when the queue is empty. It is false if a message of
// the peer was too big, which ends the connection.
func tooBig(err error) bool {
	var closed *websocket.CloseError
	return errors.Is(err, websocket.ErrMessageTooBig) && !errors.As(err, &closed)
}
