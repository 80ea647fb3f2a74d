package hub

import (
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"

	"github.com/fullduplex-go/websocket"
)

// Options are the settings of a [Hub]. The zero value is a hub of this process
// alone, without a replay.
type Options struct {
	// Backplane connects the hub with those of other processes. Nil means
	// that there are none.
	Backplane Backplane

	// Replay is how many messages of each topic are kept for newcomers. Of
	// those that [Hub.PublishKey] published with the same key only the newest
	// is kept: for prices, with Replay at least the number of keys, a newcomer
	// gets one of each. Zero means none.
	Replay int

	// Linger is how long a topic is kept after its last subscriber has left,
	// with its replay and its subscription at the backplane, so that a page
	// that is reloaded finds what it left, and the backplane is not told of
	// every coming and going. A topic that is published to without subscribers
	// is kept for its replay, too. It may be up to twice that long. Zero means
	// a minute, a negative value not at all. Without a Backplane and a Replay
	// there is nothing to keep.
	Linger time.Duration

	// OnJoin is called when the first subscription of a member to a topic
	// begins, OnLeave when the last one has ended (see
	// SubscribeOptions.Member). They run on a goroutine of the hub, for each
	// topic one at a time and in order, and may call any method of the hub but
	// Shutdown. What OnJoin publishes reaches the newcomer, too, behind the
	// replay. A panic is logged, and nothing else is affected. They should not
	// take long: what has happened in the meantime is kept in memory.
	OnJoin, OnLeave func(topic, member string)

	// Logger receives what no call can return, such as a message of the
	// backplane that is invalid. Nil means [slog.Default].
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	switch {
	case o.Linger == 0:
		o.Linger = time.Minute
	case o.Linger < 0:
		o.Linger = 0
	}
	o.Replay = max(o.Replay, 0)
	return o
}

// Policy says what happens to a message for a connection whose peer does not
// keep up.
type Policy uint8

const (
	// DropNewest leaves the message out when the connection's own queue
	// ([websocket.Options].SendBuffer) has no room for it. What is queued
	// arrives, however old it is.
	DropNewest Policy = iota
	// DropOldest keeps the newest messages: as long as the connection has not
	// sent what it was given, the hub keeps up to SubscribeOptions.Queue
	// messages, and leaves out the oldest when there are more.
	//
	// A message that the system has taken can no longer be left out.
	// So DropOldest and [KeepLatest] let it take little: Subscribe calls
	// [websocket.Conn.LimitUnsent] with 16 KiB. That holds for all that is sent
	// on the connection, so the queue of the connection itself fills earlier,
	// too. Call it after Subscribe for another limit. What remains is
	// what is on its way, and what the peer's own system has received and the
	// peer has not read, often some 64 KiB: that arrives, however old it is.
	DropOldest
	// KeepLatest keeps the newest message of each key (see [Hub.PublishKey]):
	// as long as the connection has not sent what it was given, a message
	// takes the place of the one with the same key, if that still waits. So a
	// slow reader sees fewer prices, but none that is older than what it takes
	// to read what its own system has received (see [DropOldest]). Keys
	// leave in the order in which they began to wait, so that one that changes
	// all the time can neither starve the others nor be starved. Messages
	// without a key count as those of one key, "".
	KeepLatest
	// Disconnect closes the connection when its own queue has no room: with
	// SubscribeOptions.Code and Reason, without waiting for it. Who has this
	// policy gets every message, or is told that it did not.
	Disconnect
)

var policies = [...]string{"drop newest", "drop oldest", "keep latest", "disconnect"}

// String returns what the policy is called, such as "drop oldest".
func (p Policy) String() string {
	if int(p) < len(policies) {
		return policies[p]
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// queues reports whether the hub keeps messages for slow readers, beyond what
// the connection does.
func (p Policy) queues() bool { return p == DropOldest || p == KeepLatest }

// SubscribeOptions are the settings of a [Subscription].
type SubscribeOptions struct {
	// Policy says what happens when the peer does not keep up.
	Policy Policy

	// Queue is how many messages [DropOldest] keeps; zero means 64. For
	// [KeepLatest] it is how many keys: a message of one more drops the one
	// that has waited longest; zero means 1024. Memory is used only while there
	// is something to keep.
	Queue int

	// Member is who subscribes, for Hub.Members and Options.OnJoin. Any number
	// of subscriptions may be of the same member, such as a person with two
	// tabs. With "" it is nobody.
	Member string

	// Replay sends the messages that the topic has kept, if Options.Replay is
	// set, before all that are published from now on: each message once, and in
	// order. They count like others.
	Replay bool

	// Code and Reason are what [Disconnect] closes the connection with. Zero
	// and "" mean [websocket.StatusTryAgainLater] and "too slow".
	Code   websocket.StatusCode
	Reason string
}

// Default values of SubscribeOptions.Queue.
const (
	defaultQueue = 64
	defaultKeys  = 1024
)

// withDefaults returns o, which may be nil, with what its zero values mean, or
// an error if something in it has no meaning.
func (o *SubscribeOptions) withDefaults() (SubscribeOptions, error) {
	var d SubscribeOptions
	if o != nil {
		d = *o
	}
	if int(d.Policy) >= len(policies) {
		return d, fmt.Errorf("hub: there is no %v", d.Policy)
	}
	if d.Queue < 0 {
		return d, fmt.Errorf("hub: a Queue of %d", d.Queue)
	}
	if d.Queue == 0 {
		d.Queue = defaultQueue
		if d.Policy == KeepLatest {
			d.Queue = defaultKeys
		}
	}
	if d.Code == 0 {
		d.Code = websocket.StatusTryAgainLater
	}
	if d.Reason == "" {
		d.Reason = "too slow"
	}
	return d, checkClose(d.Code, d.Reason)
}

// checkClose checks that a connection can be closed with that, before one has
// to be: Conn.Close would refuse it, and the connection would stay open.
func checkClose(code websocket.StatusCode, reason string) error {
	switch {
	case code >= 3000 && code < 5000:
	case code < 1000, code > 1014, code > 1003 && code < 1007:
		return fmt.Errorf("hub: a connection cannot be closed with status code %d", uint16(code))
	}
	if len(reason) > 123 || !utf8.ValidString(reason) {
		return fmt.Errorf("hub: the reason to close with must be UTF-8 of at most 123 bytes, not %q", reason)
	}
	return nil
}
