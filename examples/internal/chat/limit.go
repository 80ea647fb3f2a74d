package chat

import "time"

// limits bound what one visitor can do to the others and to the server's memory.
type limits struct {
	name, room, text int // length, in characters

	conns, connsPerAddress int           // connections, and those from one address
	joinTimeout            time.Duration // after which a connection without a room is not kept

	rooms   int // rooms that exist at once
	people  int // people in one room
	history int // messages that a newcomer gets to see
	recent  int // messages that a room recognises when they are sent again
	buffer  int // bytes that wait for one connection to take them: a whole history, at least

	rate        float64 // messages that a connection may send per second,
	burst       int     // and how many at once after a silence
	maxRefusals int     // refusals in a row after which it is cut off

	keepEmpty time.Duration // how long a room outlives its last visitor
}

var defaultLimits = limits{
	name: 32, room: 32, text: 2000,
	conns: 10_000, connsPerAddress: 100, joinTimeout: 30 * time.Second,
	rooms: 200, people: 200, history: 100, recent: 1000, buffer: 2 << 20,
	rate: 5, burst: 20, maxRefusals: 100,
	keepEmpty: time.Hour,
}

// bucket limits the rate of one connection. It holds up to burst tokens, gets
// rate new ones per second, and each message takes one. It belongs to the
// goroutine that reads from the connection.
type bucket struct {
	rate   float64
	burst  float64
	tokens float64
	last   time.Time // when tokens was right
}

func newBucket(rate float64, burst int, now time.Time) *bucket {
	return &bucket{rate: rate, burst: float64(burst), tokens: float64(burst), last: now}
}

// take takes a token. If there is none it returns how long to wait for one.
func (b *bucket) take(now time.Time) (wait time.Duration) {
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / b.rate * float64(time.Second))
	}
	b.tokens--
	return 0
}
