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

	// MaxMessage is how many bytes a message may have, with 10 for its header.
	// Larger ones are refused by [Hub.Publish], and ignored if they come from the
	// Backplane, since connections could not queue them. So it should be the
	// [websocket.Options].SendBuffer of the connections. Zero means the default of
	// SendBuffer, 256 KiB. With a negative value there is no limit.
	MaxMessage int

	// Linger is how long a topic is kept after its last subscriber has left,
	// with its replay and its subscription at the backplane, so that a page
	// that is reloaded finds the same messages, and the hub does not subscribe
	// and unsubscribe at the backplane each time. A topic that is published to
	// without subscribers is kept for its replay, too. The time may be up to
	// twice as long. Zero means a minute; with a negative value topics are not
	// kept. Without a Backplane and a Replay there is nothing to keep.
	Linger time.Duration

	// Collect is how long a message may wait for others to the same topic, so that
	// they leave together, in one write for each connection: for bursts. A few
	// milliseconds are much. With it Publish does not wait for the delivery, a lone
	// message is late by that time, and messages of one goroutine to different topics
	// may overtake each other. No more than 128 messages or 16 KiB wait: the Publish
	// that makes them as many delivers them. Collect concerns messages of the
	// backplane, too.
	//
	// Zero means that a message leaves before Publish returns, and waits only for
	// messages that are being delivered. Those that wait leave together.
	Collect time.Duration

	// OnJoin is called when the first subscription of a member to a topic
	// begins, OnLeave when the last one has ended (see
	// SubscribeOptions.Member). They run on a goroutine of the hub, for each
	// topic one at a time and in order, and may call any method of the hub but
	// Shutdown. A message that OnJoin publishes reaches the newcomer, too, after
	// the replay. A panic is logged, and nothing else is affected. They should
	// not take long: later joins and leaves wait in memory.
	OnJoin, OnLeave func(topic, member string)

	// Logger receives the errors that no call can return, such as an invalid
	// message of the backplane. Nil means [slog.Default].
	Logger *slog.Logger
}

// defaultMaxMessage is the default of websocket.Options.SendBuffer.
const defaultMaxMessage = 256 << 10

func (o Options) withDefaults() Options {
	switch {
	case o.Linger == 0:
		o.Linger = time.Minute
	case o.Linger < 0:
		o.Linger = 0
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = defaultMaxMessage
	}
	o.Replay, o.Collect = max(o.Replay, 0), max(o.Collect, 0)
	return o
}

// SubscribeOptions are the settings of a [Subscription].
type SubscribeOptions struct {
	// Policy says what happens when the peer does not keep up.
	Policy Policy

	// Queue is how many messages [DropOldest] keeps; zero means 64. For
	// [KeepLatest] it is how many keys: a message of one more drops the one
	// that has waited longest; zero means 1024. Memory is used only while there
	// is something to keep.
	Queue int

	// Member names the subscriber, for Hub.Members and Options.OnJoin. Any number
	// of subscriptions may have the same member, such as a person with two
	// tabs. A subscription with "" has no member.
	Member string

	// Replay sends the messages that the topic has kept, if Options.Replay is
	// set, before those that are published from now on: each message once, and
	// in order. Replayed messages count like others.
	Replay bool

	// Code and Reason are those of the close frame that [Disconnect] sends. Zero
	// and "" mean [websocket.StatusTryAgainLater] and "too slow".
	Code   websocket.StatusCode
	Reason string
}

// withDefaults returns o, which may be nil, with its defaults filled in, or an
// error if a value is invalid.
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
	if d.Code == 0 {
		d.Code = defaultClose.code
	}
	if d.Reason == "" {
		d.Reason = defaultClose.reason
	}
	return d, checkClose(d.Code, d.Reason)
}

// checkClose checks that a connection can be closed with code and reason. Without
// the check, Conn.Close would refuse them and the connection would stay open.
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
