package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fullduplex-go/websocket"
)

// client is one connection of the game. It queues its events for the
// game, so the loop's goroutine that handles a message never waits.
type client struct {
	conn    *websocket.Conn
	skipped atomic.Uint32 // snapshots that were not sent
	dropped atomic.Bool   // by drop

	// Used by OnMessage only, which is called for one message at a time.
	tokens bucket
	joined bool
	seq    uint8 // of the last steer

	// Used by the game's goroutine only.
	id      uint8 // of its koi, or 0
	version int   // of the roster that it has
}

// closeReason is the code and reason with which the server closes a connection.
type closeReason struct {
	code   websocket.StatusCode
	reason string
}

var (
	errFull  = closeReason{websocket.StatusTryAgainLater, "the pond is full"}
	errSlow  = closeReason{websocket.StatusTryAgainLater, "you do not read fast enough"}
	errFlood = closeReason{websocket.StatusPolicyViolation, "too many messages"}
	errText  = closeReason{websocket.StatusUnsupportedData, "messages of this game are binary"}
	errTwice = closeReason{websocket.StatusPolicyViolation, "you have joined already"}
	errEarly = closeReason{websocket.StatusPolicyViolation, "join first"}
	errOrder = closeReason{websocket.StatusPolicyViolation, "a sequence number was left out"}
)

// drop closes the connection. It does that in a goroutine of its own, since a close
// may take long and neither the game nor the loop may wait. Messages that arrive
// meanwhile are ignored.
func (c *client) drop(why closeReason) {
	if !c.dropped.Swap(true) {
		go c.conn.Close(why.code, why.reason)
	}
}

// events are the connections of a server, on its loop.
type events struct {
	game    *game
	rate    int
	clients sync.Map // *websocket.Conn to *client
}

func (e *events) OnOpen(conn *websocket.Conn) {
	c := &client{conn: conn, version: -1, tokens: newBucket(2*e.rate, time.Now())}
	e.clients.Store(conn, c)
	e.game.enqueue(c, opened{})
	if err := conn.Send(websocket.Binary, hello{uint8(e.rate)}.append(nil)); err != nil {
		c.drop(errSlow)
	}
}

func (e *events) OnMessage(conn *websocket.Conn, typ websocket.MessageType, p []byte) {
	v, _ := e.clients.Load(conn)
	c := v.(*client)
	if c.dropped.Load() {
		return
	}
	if !c.tokens.take(time.Now()) {
		c.drop(errFlood)
		return
	}
	if typ != websocket.Binary {
		c.drop(errText)
		return
	}
	msg, err := parseIncoming(p)
	if err != nil {
		c.drop(closeReason{websocket.StatusPolicyViolation, err.Error()})
		return
	}
	switch msg := msg.(type) {
	case join:
		if c.joined {
			c.drop(errTwice)
			return
		}
		c.joined = true
		e.game.enqueue(c, msg)
	case steer:
		c.seq++
		switch {
		case !c.joined:
			c.drop(errEarly)
		case msg.seq != c.seq:
			c.drop(errOrder)
		default:
			e.game.enqueue(c, msg)
		}
	case ping:
		// A page that does not read its pongs needs none.
		conn.Send(websocket.Binary, pong{msg.time, c.skipped.Load()}.append(nil))
	}
}

func (e *events) OnClose(conn *websocket.Conn, err error) {
	if v, ok := e.clients.LoadAndDelete(conn); ok {
		e.game.enqueue(v.(*client), closed{})
	}
}

// bucket limits the rate of one connection: each message takes a token. A page
// sends one message per tick and gets twice as many tokens. It may save them for
// five seconds, because messages that a network has held up come all at once.
type bucket struct {
	rate, tokens float64
	last         time.Time // when tokens was right
}

func newBucket(rate int, now time.Time) bucket {
	return bucket{float64(rate), float64(rate) * 5, now}
}

// take takes a token, and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.rate*5, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
